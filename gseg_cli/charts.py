"""What all charts of gseg have in common: their size and look, names at the ends of lines, and the way to pixels.

Matplotlib draws them. It is imported inside functions, for only what draws needs it, and without pyplot, which keeps
figures in global state and may look for a screen.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from typing import TYPE_CHECKING, Any, ParamSpec

import numpy as np
from PIL import Image

from gseg_runtime.label_map import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

WIDTH, DPI = 8.4, 200  # inches, and pixels an inch: sharp at the 840 points that a page is wide
BLUE, RED, ORANGE, GREEN, PURPLE = "#2d6fb5", "#c8443c", "#d98a2b", "#5a9e48", "#9b6fc3"
COLORS = (BLUE, RED, ORANGE, GREEN, PURPLE)
TEXT, GREY, FRAME, GRID = "#30343b", "#666666", "#999999", "#e4e4e4"
LINE_HEIGHT, TO_NAME = 12.5, 14.0  # of a name, and from the axes to it, in points
STYLE: Mapping[Any, Any] = {
    "figure.dpi": DPI,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.1,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.w_pad": 0.1,
    "font.family": "DejaVu Sans",  # Matplotlib brings it, so that charts look the same everywhere
    "font.size": 9,
    "text.color": TEXT,
    "text.parse_math": False,  # a class may be called $ or _
    "axes.labelcolor": TEXT,
    "axes.labelpad": 6,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.edgecolor": FRAME,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.xmargin": 0.04,
    "axes.ymargin": 0.06,
    "grid.color": GRID,
    "xtick.color": FRAME,
    "ytick.color": FRAME,
    "xtick.labelcolor": GREY,
    "ytick.labelcolor": GREY,
    "ytick.major.size": 0,
    "xtick.minor.size": 0,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.borderpad": 0,
    "legend.borderaxespad": 0,
}
Arguments = ParamSpec("Arguments")


@dataclass(frozen=True)
class End:
    """The name of a line, and the height at which the line meets the right side of the axes."""

    y: float
    name: str
    color: str


def require_matplotlib() -> None:
    """ModuleNotFoundError where it is not installed: to be called before long work that ends in a chart."""
    import matplotlib  # noqa: F401


def as_pixels(draw: "Callable[Arguments, Figure]") -> Callable[Arguments, Pixels]:
    """The function that draws in the style of gseg and returns the picture: uint8 [H, W, 3]."""

    @wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Pixels:
        with _styled():
            return _pixels(draw(*args, **kwargs))

    return drawn


@contextmanager
def _styled() -> Iterator[None]:
    """Whatever the user's matplotlibrc says."""
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing")  # of a class named in another script
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def _pixels(figure: "Figure") -> Pixels:
    file = BytesIO()
    figure.savefig(file, format="png")
    return np.asarray(Image.open(file).convert("RGB"))


def name_ends(figure: "Figure", ends: "Sequence[tuple[Axes, Sequence[End]]]") -> None:
    """Write names at the right of the axes, pushed apart where they would lie over each other.

    To be called last: it settles where the axes are.
    """
    named = [(axes, sorted(here, key=lambda end: end.y)) for axes, here in ends]
    texts = [[_name(axes, end) for end in here] for axes, here in named]
    figure.draw_without_rendering()  # makes room for the names, and so says how high the axes are
    for (axes, here), names in zip(named, texts, strict=True):
        heights = [float(axes.transData.transform((0, end.y))[1]) * 72 / figure.dpi for end in here]
        for name, y, at in zip(names, heights, spread_out(heights, LINE_HEIGHT), strict=True):
            name.xyann = (TO_NAME, at - y)
            if name.arrow_patch is not None:
                name.arrow_patch.set_visible(abs(at - y) > 2)


def _name(axes: "Axes", end: End) -> "Annotation":
    """At its place, with a line to it."""
    return axes.annotate(
        end.name, (1, end.y), (TO_NAME, 0), axes.get_yaxis_transform(), "offset points", color=end.color, va="center",
        arrowprops={"arrowstyle": "-", "color": end.color, "linewidth": 0.7, "relpos": (0, 0.5), "shrinkA": 1},
        annotation_clip=False,
    )  # fmt: skip


def spread_out(positions: Sequence[float], distance: float) -> list[float]:
    """Sorted positions at least so far from each other, each group around the middle of what it was moved from."""
    groups: list[list[float]] = []
    for position in positions:
        groups.append([position])
        while len(groups) > 1 and _first(groups[-1], distance) - _last(groups[-2], distance) < distance:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, distance) + i * distance for group in groups for i in range(len(group))]


def _first(group: Sequence[float], distance: float) -> float:
    return sum(group) / len(group) - distance * (len(group) - 1) / 2


def _last(group: Sequence[float], distance: float) -> float:
    return _first(group, distance) + distance * (len(group) - 1)
