"""Table 3: few-shot segmentation class by class, from one, five and ten annotations."""

from itertools import product
from typing import Any

from gseg_cli.choices import TeacherModel
from gseg_cli.counted import counted
from gseg_cli.reproduce.jobs import Job, inversion, teacher
from gseg_cli.reproduce.markdown import per_class, table
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.subject import Task
from gseg_cli.reproduce.tables.per_class import class_chart
from gseg_cli.reproduce.tables.table import FACES, Page, Table

MODELS: tuple[TeacherModel, ...] = ("cnn-s", "mlp")  # the paper's table is of its CNN; the MLP is the default of gseg
TEXT = """\
IoU by class of teachers on {photos} test photos, each inverted into the GAN.

{tables}

![IoU by class]({name}.png)
"""


def jobs(setup: Setup) -> list[Job]:
    every = product(_models(setup), setup.subject.tasks, setup.shots, setup.size.numbers)
    return [inversion(setup, setup.test), *(teacher(setup, *config) for config in every)]


def _models(setup: Setup) -> list[TeacherModel]:
    return [model for model in MODELS if model in setup.size.models]


def _figures(setup: Setup, model: TeacherModel, task: Task, shots: int) -> list[dict[str, Any]]:
    return [teacher(setup, model, task, shots, draw).figures["test"] for draw in setup.size.numbers]


def page(setup: Setup) -> Page:
    models, task = _models(setup), setup.subject.tasks[0]
    tables = "\n\n".join(_table(setup, task) for task in setup.subject.tasks)
    series = {counted(n, "annotation"): _figures(setup, models[0], task, n) for n in setup.shots}
    photos = _figures(setup, models[0], task, setup.shots[0])[0]["photos"]
    picture = class_chart(task.classes.names, series, f"{models[0]}, {task.name}")
    return Page(TEXT.format(photos=photos, tables=tables, name=TABLE.name), {TABLE.name: picture})


def _table(setup: Setup, task: Task) -> str:
    names = task.classes.names
    rows = [
        [model, str(shots), *per_class(names, _figures(setup, model, task, shots))]
        for model, shots in product(_models(setup), setup.shots)
    ]
    return f"{task.name}:\n\n{table(['network', 'annotations', *names, 'mean'], rows)}"


TABLE = Table("table3", "Table 3: class by class", FACES, jobs, page)
