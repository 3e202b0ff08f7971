"""The confusion matrix for people and programs: a picture, a CSV table or JSON."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gseg_cli.charts import FRAME, GREY, GRID, TEXT, as_pixels, require_matplotlib
from gseg_cli.evaluate.comparison import Comparison
from gseg_cli.folder_description import write_description
from gseg_cli.picture_files import write_picture
from gseg_runtime.class_map import Color
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Indices = npt.NDArray[np.intp]
SUFFIXES = (".png", ".csv", ".json")
NO_CLASS = "no class"  # the column of pixels that were predicted as 255
WHITE: Color = (255, 255, 255)
SHADES = ("white", "#0b3d78")
MAX_CELL, MIN_CELL, SIDE = 0.36, 0.07, 8.0  # inches: of a cell, and of many together
LEGIBLE = 0.24  # inches, of a cell with a figure in it
FONT, SWATCH = 24, 18  # in points, of a cell of one inch


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    ModuleNotFoundError where a picture is asked for, and Matplotlib is not installed.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}", "the ending chooses the format")
    if path.exists() and not overwrite:
        raise GsegError(f"{path}: is there already", "--overwrite replaces it, or choose another name")
    if path.suffix.lower() == ".png":
        require_matplotlib()


def write_confusion(path: Path, comparison: Comparison) -> None:
    """Write pixel counts (.csv, .json; a row per true class, a column per predicted one) or a picture (.png)."""
    if path.suffix.lower() == ".png":
        write_picture(path, draw_confusion(comparison))
    elif path.suffix.lower() == ".csv":
        write_text(path, _csv(comparison))
    else:
        facts = {
            "classes": comparison.classes.to_json(),
            "columns": _columns(comparison),
            "images": comparison.num_images,
        }
        write_description(path, "confusion", {**facts, "pixels": comparison.matrix.tolist()})


@as_pixels
def draw_confusion(comparison: Comparison) -> "Figure":
    """A heat map: each row says which classes the pixels of one true class were given, in percent.

    Classes that the truth does not hold have no row, those that neither holds no column.
    """
    from matplotlib.figure import Figure

    rows = np.flatnonzero(comparison.matrix.sum(axis=1))
    columns = np.flatnonzero(comparison.matrix.sum(axis=0) + np.append(comparison.matrix.sum(axis=1), 0))
    counts = comparison.matrix[np.ix_(rows, columns)]
    cell = min(MAX_CELL, max(MIN_CELL, SIDE / max(1, len(columns))))
    figure = Figure((cell * max(1, len(columns)), cell * max(1, len(rows))))
    figure.set_layout_engine("none")  # names stand outside, and the picture grows by them
    axes = figure.add_axes((0, 0, 1, 1))
    if len(rows):
        _draw_shares(counts / counts.sum(axis=1, keepdims=True), cell, axes)
    _name_sides(comparison, rows, columns, cell, axes)
    return figure


def _draw_shares(shares: npt.NDArray[np.floating], cell: float, axes: "Axes") -> None:
    """shares: of each row's pixels, float64 [rows, columns]; cell: its side in inches."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("shades", SHADES)
    axes.pcolormesh(shares, vmin=0, vmax=1, cmap=shades, edgecolors=GRID, linewidth=0.3)
    axes.invert_yaxis()
    for (row, column), share in np.ndenumerate(shares):
        if share and cell >= LEGIBLE:
            is_shown = share >= 0.005
            text, color = (f"{100 * share:.0f}", "white" if share > 0.5 else TEXT) if is_shown else ("<1", FRAME)
            at = column + 0.5, row + 0.5
            axes.text(*at, text, color=color, ha="center", va="center_baseline", fontsize=FONT * cell)


def _name_sides(comparison: Comparison, rows: Indices, columns: Indices, cell: float, axes: "Axes") -> None:
    """The name and the colour of each class that has a row, or a column: its tick is a square."""
    names, colors, side = _columns(comparison), [*comparison.classes.colors, WHITE], SWATCH * cell
    axes.spines[:].set(visible=False, position=("outward", side))  # and the ticks with them
    axes.grid(False)
    axes.set_ylabel("truth", color=GREY)
    axes.set_xlabel("prediction, % of the row", color=GREY, loc="right")
    axes.xaxis.set_label_position("top")
    axes.xaxis.tick_top()
    axes.yaxis.set_ticks(np.arange(len(rows)) + 0.5, [names[i] for i in rows])
    axes.xaxis.set_ticks(np.arange(len(columns)) + 0.5, [names[i] for i in columns], rotation=90)
    axes.tick_params(pad=side, labelsize=FONT * cell, labelcolor=TEXT)
    for axis, indices in ((axes.yaxis, rows), (axes.xaxis, columns)):
        for tick, index in zip(axis.get_major_ticks(), indices, strict=True):
            for line in (tick.tick1line, tick.tick2line):
                line.set(marker="s", markersize=side, markerfacecolor=np.divide(colors[index], 255))
                line.set(markeredgecolor=GREY, markeredgewidth=0.5)


def _columns(comparison: Comparison) -> list[str]:
    return [*comparison.classes.names, NO_CLASS]


def _csv(comparison: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["truth", *_columns(comparison)])
    for name, counts in zip(comparison.classes.names, comparison.matrix.tolist(), strict=True):
        writer.writerow([name, *counts])
    return text.getvalue()
