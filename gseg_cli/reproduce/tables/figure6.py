"""Figure 6: how many labelled photos does a supervised network need to be as good?"""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import mean
from typing import Any

from gseg_cli.charts import BLUE, COLORS
from gseg_cli.counted import counted
from gseg_cli.reproduce.chart import Curve, Level, Mark, Panel, Point, draw_chart
from gseg_cli.reproduce.jobs import TEACHER, Job, inversion, student, supervised, teacher
from gseg_cli.reproduce.markdown import figure, spread_of, table
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.tables.table import FACES, Page, Table

METRICS = {"miou": "mean IoU", "weighted_iou": "weighted IoU"}
TEXT = """\
Supervised: the student's own UNet with the same steps, augmentation and optimiser, trained on true labels of so many
photos. Few-shot by inversion and auto-shot: from annotated samples of the GAN. All on the same {photos} test photos.

{supervised}

*Labels needed*: where the supervised network's mean over the draws comes to the same, interpolated between the numbers
above on a logarithmic scale.

{levels}

The paper reports that more than 100 labels are needed to beat one annotation, and about 500 to equal ten.

![Mean IoU over the number of labels]({name}.png)
"""


def jobs(setup: Setup) -> list[Job]:
    every = [job for shots in _shots(setup) for job in (*_few(setup, shots), *_auto(setup, shots))]
    return [inversion(setup, setup.test), *every, *(job for n in setup.labels for job in _supervised(setup, n))]


def _shots(setup: Setup) -> list[int]:
    """The fewest and the most."""
    return sorted({setup.shots[0], setup.shots[-1]})


def _few(setup: Setup, shots: int) -> list[Job]:
    return [teacher(setup, TEACHER, setup.subject.tasks[0], shots, draw) for draw in setup.size.numbers]


def _auto(setup: Setup, shots: int) -> list[Job]:
    return [student(setup, shots, draw) for draw in setup.size.numbers]


def _supervised(setup: Setup, count: int) -> list[Job]:
    return [supervised(setup, count, draw) for draw in setup.size.numbers]


def _values(jobs: Sequence[Job], metric: str) -> list[float]:
    return [job.figures["test"][metric] for job in jobs]


def _ways(setup: Setup) -> list[tuple[str, int, list[Job]]]:
    """What is drawn across: auto-shot and few-shot, from many annotations and from few."""
    return [
        (name, shots, jobs(setup, shots))
        for shots in reversed(_shots(setup))
        for name, jobs in (("auto-shot", _auto), ("by inversion", _few))
    ]


def page(setup: Setup) -> Page:
    curves = {metric: _points(setup, metric) for metric in METRICS}
    rows = [[str(n), *(figure(_values(_supervised(setup, n), metric)) for metric in METRICS)] for n in setup.labels]
    levels = []
    for name, shots, jobs in _ways(setup):
        cells: list[Any] = [name, str(shots)]
        for metric in METRICS:
            values = _values(jobs, metric)
            cells += [figure(values), _needed(curves[metric], mean(values))]
        levels.append(cells)
    text = TEXT.format(
        photos=_supervised(setup, setup.labels[0])[0].figures["test"]["photos"],
        supervised=table(["labels", *METRICS.values()], rows, text_columns=0),
        levels=table(["", "annotations", "mean IoU", "labels needed", "weighted IoU", "labels needed"], levels),
        name=TABLE.name,
    )
    return Page(text, {TABLE.name: draw_chart([_panel(setup, curves["miou"])])})


def _points(setup: Setup, metric: str) -> list[Point]:
    return [(n, mean(_values(_supervised(setup, n), metric))) for n in setup.labels]


def crossing(points: Sequence[Point], y: float) -> float | None:
    """The x at which the points, joined on a logarithmic x axis, first come up to y; None if they never do.

    The first x where they begin at y or above.
    """
    if points[0][1] >= y:
        return points[0][0]
    for (x0, y0), (x1, y1) in pairwise(points):
        if y0 < y <= y1:
            return math.exp(math.log(x0) + (math.log(x1) - math.log(x0)) * (y - y0) / (y1 - y0))
    return None


def _needed(points: Sequence[Point], y: float) -> str:
    x = crossing(points, y)
    if x is None:
        return f"more than {points[-1][0]:,.0f}"
    return f"at most {x:.0f}" if points[0][1] >= y else f"about {float(f'{x:.2g}'):,.0f}"


def _panel(setup: Setup, points: Sequence[Point]) -> Panel:
    spread = [spread_of(_values(_supervised(setup, n), "miou")) for n in setup.labels]
    levels, crossings = [], []
    for i, (name, shots, jobs) in enumerate(_ways(setup)):
        values = _values(jobs, "miou")
        color = COLORS[1 + i // 2]
        title = f"{name}, {counted(shots, 'annotation')}"
        levels.append(Level(title, mean(values), spread_of(values), color, dashed=name != "auto-shot"))
        x = crossing(points, mean(values))
        if name == "auto-shot" and x is not None and points[0][1] < mean(values):
            text = f"{counted(shots, 'annotation')}:\n{_needed(points, mean(values))} labels"
            crossings.append(Mark((x, mean(values)), text, color))
    # The texts stand at both sides of the lines that they belong to, which may be near each other.
    marks = [replace(m, side="left") if m.at[0] < max(c.at[0] for c in crossings) else m for m in crossings]
    ticks = [(n, f"{n:,}") for n in setup.labels]
    curve = Curve("supervised", points, spread, BLUE)
    title = "How many labelled photos is an annotation worth?"
    return Panel(
        title, "labelled photos of the supervised network", "mean IoU", ticks, [curve], levels, marks, log=True
    )


TABLE = Table("figure6", "Figure 6: annotations against labels", FACES, jobs, page)
