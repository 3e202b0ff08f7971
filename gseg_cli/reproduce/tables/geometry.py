"""Photos unlike the GAN's in size, place or orientation: few-shot by inversion, and auto-shot."""

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from gseg_cli.charts import COLORS
from gseg_cli.reproduce.chart import Curve, Panel, Point, draw_chart
from gseg_cli.reproduce.jobs import TEACHER, Job, inversion, student, viewed_teacher
from gseg_cli.reproduce.markdown import figure, spread_of, table
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.tables.table import TOY, Page, Table

GEOMETRIES = {"auto-shot, aligned": "aligned", "auto-shot, paper": "paper"}
INVERTED = "by inversion"
TEXT = """\
Mean IoU from {shots} annotations on {photos} toy faces in each column, painted anew at another size, at another place
(a share of the picture's side, to the right) or turned as a whole. *Auto-shot, aligned*: a student with the default
augmentation, for photos framed as the GAN's. *Auto-shot, paper*: with the paper's, sizes from a half to twice and
shifts up to half the picture (`gseg distill --geometry paper`). Both turn by up to 10°.

{table}

Seconds per photo:

{seconds}

![Mean IoU over scale, shift and rotation]({name}.png)
"""
# The axes of the chart: what changes, its unit, and where a view that does not change it stands.
AXES = (
    ("scale", "scale of the face", 1.0),
    ("shift", "shift, share of the side", 0.0),
    ("rotation_deg", "degrees", 0.0),
)
Ways = dict[str, list[dict[str, Any]]]  # by name the figures of each draw


def jobs(setup: Setup) -> list[Job]:
    inversions = [inversion(setup, photos) for photos in setup.views.values()]
    return [*inversions, *_teachers(setup), *(job for name in GEOMETRIES for job in _students(setup, name))]


def _teachers(setup: Setup) -> list[Job]:
    return [viewed_teacher(setup, max(setup.shots), draw) for draw in setup.size.numbers]


def _students(setup: Setup, name: str) -> list[Job]:
    return [student(setup, max(setup.shots), draw, GEOMETRIES[name]) for draw in setup.size.numbers]


def page(setup: Setup) -> Page:
    ways: Ways = {INVERTED: [job.figures["views"] for job in _teachers(setup)]}
    ways |= {name: [job.figures["views"] for job in _students(setup, name)] for name in GEOMETRIES}
    views = list(setup.views)
    rows = [[name, *(figure([d[view]["miou"] for d in draws]) for view in views)] for name, draws in ways.items()]
    text = TEXT.format(
        shots=max(setup.shots), photos=ways[INVERTED][0][views[0]]["photos"], model=TEACHER, name=TABLE.name,
        table=table(["", *views], rows), seconds=_seconds(setup, ways),
    )  # fmt: skip
    return Page(text, {TABLE.name: draw_chart([_panel(setup, ways, *axis) for axis in AXES])})


def _seconds(setup: Setup, ways: Ways) -> str:
    """The least of all views: what is slower was disturbed by something else."""
    inversions = [inversion(setup, photos) for photos in setup.views.values()]
    timed = {INVERTED: ([job.figures for job in inversions], inversions)}
    timed |= {name: ([f for v in ways[name] for f in v.values()], _students(setup, name)) for name in GEOMETRIES}
    rows = []
    for name, (figures, jobs) in timed.items():
        hardware = " or ".join(sorted({job.cell["hardware"] for job in jobs}))
        rows.append([name, hardware, _least(figures, "s_per_photo"), _least(figures, "cpu_s_per_photo")])
    return table(["", "hardware", "s", "CPU s"], rows, text_columns=2)


def _least(figures: Sequence[Mapping[str, Any]], key: str) -> str:
    return f"{min(f[key] for f in figures):.2g}"


def _panel(setup: Setup, ways: Ways, axis: str, name: str, unchanged: float) -> Panel:
    """The views that change this one thing, and the one that changes nothing."""
    others = [(other, value) for other, _, value in AXES if other != axis]
    keys = {view: photos.key for view, photos in setup.views.items()}
    shown = sorted(
        (key[axis], view) for view, key in keys.items() if all(key[other] == value for other, value in others)
    )
    curves = []
    for (way, draws), color in zip(ways.items(), COLORS, strict=False):
        values = [[d[view]["miou"] for d in draws] for _, view in shown]
        points: list[Point] = [(x, mean(v)) for (x, _), v in zip(shown, values, strict=True)]
        curves.append(Curve(way, points, [spread_of(v) for v in values], color))
    ticks = [(x, f"{x:g}") for x, _ in shown]
    return Panel(axis.removesuffix("_deg"), name, "mean IoU", ticks, curves, log=unchanged > 0)


TABLE = Table("geometry", "Other sizes, places and orientations", (TOY,), jobs, page)
