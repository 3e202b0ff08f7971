"""Charts of shares between 0 and 1: curves with their spread, and level lines across."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gseg_cli.charts import GREY, WIDTH, End, as_pixels, name_ends

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 3.6  # inches
Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """Points (x, y), and the spread above and below each."""

    name: str
    points: Sequence[Point]
    spread: Sequence[float]
    color: str


@dataclass(frozen=True)
class Level:
    """A line across at y, with a band of its spread."""

    name: str
    y: float
    spread: float
    color: str
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A ring, a dotted line from it down to the axis, and text at one side of its foot."""

    at: Point
    text: str
    color: str
    side: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Panel:
    """ticks: x and what stands there; log: of the x axis."""

    title: str
    x_name: str
    y_name: str
    ticks: Sequence[tuple[float, str]]
    curves: Sequence[Curve] = ()
    levels: Sequence[Level] = ()
    marks: Sequence[Mark] = ()
    log: bool = False


@as_pixels
def draw_chart(panels: Sequence[Panel]) -> "Figure":
    """The panels side by side, with one y axis. All have the same curves and levels by name.

    Each is named at its end where there is one panel, and once above several.
    """
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, HEIGHT))
    row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for panel, axes in zip(panels, row, strict=True):
        _draw(panel, axes)
    row[0].text(0, 1.03, panels[0].y_name, color=GREY, transform=row[0].transAxes)
    if len(panels) == 1:
        ends = [End(curve.points[-1][1], curve.name, curve.color) for curve in panels[0].curves]
        name_ends(figure, [(row[0], ends + [End(level.y, level.name, level.color) for level in panels[0].levels])])
    else:
        figure.legend(*row[0].get_legend_handles_labels(), loc="outside upper left", ncols=9, borderaxespad=0.8)
    return figure


def _draw(panel: Panel, axes: "Axes") -> None:
    if panel.log:
        axes.set_xscale("log")
    axes.set_xticks([x for x, _ in panel.ticks], [name for _, name in panel.ticks])
    axes.minorticks_off()
    axes.set_xlabel(panel.x_name)
    axes.set_title(panel.title, pad=24)
    for level in panel.levels:
        _level(level, axes)
    for curve in panel.curves:
        x, y = zip(*curve.points, strict=True)
        axes.errorbar(x, y, curve.spread, color=curve.color, marker="o", elinewidth=1, label=curve.name)
    for mark in panel.marks:
        _mark(mark, axes)


def _level(level: Level, axes: "Axes") -> None:
    axes.axhspan(level.y - level.spread, level.y + level.spread, color=level.color, alpha=0.12, linewidth=0)
    axes.axhline(level.y, color=level.color, linestyle="--" if level.dashed else "-", label=level.name)


def _mark(mark: Mark, axes: "Axes") -> None:
    x, y = mark.at
    axes.plot(x, y, "o", color=mark.color, markerfacecolor="none", markersize=9)
    foot, down = axes.get_xaxis_transform(), {"arrowstyle": "-", "linestyle": ":", "color": mark.color, "shrinkB": 5}
    axes.annotate("", (x, y), (x, 0), textcoords=foot, arrowprops={**down, "shrinkA": 0})
    sign, at_right = (1, "left") if mark.side == "right" else (-1, "right")
    axes.annotate(
        mark.text, (x, 0), (sign * 6, 6), foot, "offset points", color=mark.color, ha=at_right, multialignment=at_right
    )
