"""Table 2: few-shot segmentation by inversion, and auto-shot, class by class."""

from collections.abc import Sequence
from typing import Any

from gseg_cli.reproduce.jobs import TEACHER, Job, inversion, student, teacher
from gseg_cli.reproduce.markdown import figure, per_class, table
from gseg_cli.reproduce.published import FACE
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.tables.per_class import class_chart
from gseg_cli.reproduce.tables.table import CELEBAMASK, FACES, Page, Table

TEXT = """\
IoU by class from {shots} annotations, on the same {photos} test photos. *By inversion*: the latent of each photo is
found, and the teacher ({model}) classifies the GAN's features. *Auto-shot*: a UNet that learned from {pairs:,}
generated images with that teacher's labels sees the photo itself. *s*: seconds per photo on the hardware below,
*CPU s* those of all threads together.

{table}

![IoU by class]({name}.png)
"""


def jobs(setup: Setup) -> list[Job]:
    return [inversion(setup, setup.test), *_teachers(setup), *_students(setup)]


def _shots(setup: Setup) -> int:
    return max(setup.shots)


def _teachers(setup: Setup) -> list[Job]:
    task = setup.subject.tasks[0]
    return [teacher(setup, TEACHER, task, _shots(setup), draw) for draw in setup.size.numbers]


def _students(setup: Setup) -> list[Job]:
    return [student(setup, _shots(setup), draw) for draw in setup.size.numbers]


def page(setup: Setup) -> Page:
    names = setup.subject.tasks[0].classes.names
    few, auto = ([job.figures["test"] for job in jobs] for jobs in (_teachers(setup), _students(setup)))
    inverted = inversion(setup, setup.test).figures
    rows = [_row("by inversion", names, few, [inverted]), _row("auto-shot", names, auto, auto)]
    text = TEXT.format(
        shots=_shots(setup), photos=few[0]["photos"], model=TEACHER, pairs=setup.size.pairs.count, name=TABLE.name,
        table=table(["", *names, "mean", "weighted", "s", "CPU s"], rows),
    )  # fmt: skip
    if setup.subject.name == CELEBAMASK:
        text += f"\nWhat others report, IoU in percent:\n\n{FACE.text()}\n"
    picture = class_chart(names, {"by inversion": few, "auto-shot": auto}, "Few-shot and auto-shot")
    return Page(text, {TABLE.name: picture})


def _row(
    name: str, classes: Sequence[str], per_draw: Sequence[dict[str, Any]], timed: Sequence[dict[str, Any]]
) -> list[str]:
    seconds = [f"{min(t[key] for t in timed):.2g}" for key in ("s_per_photo", "cpu_s_per_photo")]
    return [name, *per_class(classes, per_draw), figure([f["weighted_iou"] for f in per_draw]), *seconds]


TABLE = Table("table2", "Table 2: few-shot by inversion, and auto-shot", FACES, jobs, page)
