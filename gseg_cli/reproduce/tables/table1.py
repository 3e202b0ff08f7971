"""Table 1: CNN or MLP, for three classes and for ten, from one, five and ten annotations."""

from collections.abc import Sequence
from itertools import product
from typing import Any

from gseg_cli.charts import COLORS
from gseg_cli.choices import TeacherModel
from gseg_cli.counted import counted
from gseg_cli.reproduce.chart import Curve, Panel, draw_chart
from gseg_cli.reproduce.jobs import Job, inversion, teacher
from gseg_cli.reproduce.markdown import figure, spread_of, table
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.subject import Task
from gseg_cli.reproduce.tables.table import FACES, Page, Table

WEIGHTED = "weighted_iou"  # as the paper reports it
TEXT = """\
Teachers on {photos} test photos, each inverted into the GAN.

{tasks}

Weighted IoU, each class in proportion to its share of the true pixels, background included:

{weighted}

Mean IoU of the same, in which small classes count as much as large ones:

{mean}
"""
SAMPLES = """
Weighted IoU of the same teachers on {count} generated samples that no training saw, against the reference annotator:

{table}
"""
NOTE = """
Steps of each network: {steps}. `cnn-l` is the network of the published code, which trains it for 1,000 epochs.

![Weighted IoU over the number of annotations]({name}.png)
"""


def jobs(setup: Setup) -> list[Job]:
    every = product(setup.size.models, setup.subject.tasks, setup.shots, setup.size.numbers)
    return [inversion(setup, setup.test), *(teacher(setup, *config) for config in every)]


def page(setup: Setup) -> Page:
    first = _figures(setup, setup.size.models[0], setup.subject.tasks[0], setup.shots[0])[0]
    weighted, mean_iou = (_table(setup, "test", metric) for metric in (WEIGHTED, "miou"))
    tasks = _about(setup.subject.tasks)
    text = TEXT.format(photos=first["test"]["photos"], tasks=tasks, weighted=weighted, mean=mean_iou)
    if first["samples"]:
        text += SAMPLES.format(count=first["samples"]["photos"], table=_table(setup, "samples", WEIGHTED))
    steps = ", ".join(f"{model} {setup.size.fewshot(model, 0).steps}" for model in setup.size.models)
    text += NOTE.format(steps=steps, name=TABLE.name)
    return Page(text, {TABLE.name: draw_chart([_panel(setup, task) for task in setup.subject.tasks])})


def _figures(setup: Setup, model: TeacherModel, task: Task, shots: int) -> list[dict[str, Any]]:
    """Of every draw."""
    return [teacher(setup, model, task, shots, draw).figures for draw in setup.size.numbers]


def _values(
    setup: Setup, model: TeacherModel, task: Task, shots: int, where: str, metric: str = WEIGHTED
) -> list[float]:
    return [figures[where][metric] for figures in _figures(setup, model, task, shots)]


def _table(setup: Setup, where: str, metric: str) -> str:
    rows = []
    for task, model in product(setup.subject.tasks, setup.size.models):
        rows.append([task.name, model, *(figure(_values(setup, model, task, n, where, metric)) for n in setup.shots)])
    head = ["classes", "network", *(counted(n, "annotation") for n in setup.shots)]
    return table(head, rows, text_columns=2)


def _about(tasks: Sequence[Task]) -> str:
    return "\n".join(f"- {task.name}: {', '.join(task.classes.names)}" for task in tasks)


def _panel(setup: Setup, task: Task) -> Panel:
    curves = []
    for model, color in zip(setup.size.models, COLORS, strict=False):
        per_shots = [_values(setup, model, task, n, "test") for n in setup.shots]
        points = [(n, sum(v) / len(v)) for n, v in zip(setup.shots, per_shots, strict=True)]
        curves.append(Curve(model, points, [spread_of(v) for v in per_shots], color))
    ticks = [(n, str(n)) for n in setup.shots]
    return Panel(task.name, "annotations", "weighted IoU, test photos", ticks, curves, log=True)


TABLE = Table("table1", "Table 1: CNN or MLP", FACES, jobs, page)
