"""The confusion matrix for people and programs: a picture, a CSV table or JSON."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from gseg_cli.evaluate.comparison import Comparison
from gseg_cli.folder_description import write_description
from gseg_runtime.class_map import Color
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import atomic_path, write_text

SUFFIXES = (".png", ".csv", ".json")
LEGEND = "rows: truth\ncolumns: prediction\n% of the row"
NO_CLASS = "no class"  # the column of pixels that were predicted as 255
LIGHT, DARK, TEXT, FAINT = (255, 255, 255), (11, 61, 120), (34, 34, 34), (170, 170, 170)


def check_target(path: Path, *, overwrite: bool) -> None:
    """Refuse a file that could not be written, before any work is done for it."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: expected a name that ends in {', '.join(SUFFIXES)}", "the ending chooses the format")
    if path.exists() and not overwrite:
        raise GsegError(f"{path}: is there already", "--overwrite replaces it, or choose another name")


def write_confusion(path: Path, comparison: Comparison) -> None:
    """Write pixel counts (.csv, .json; a row per true class, a column per predicted one) or a picture (.png)."""
    if path.suffix.lower() == ".png":
        with atomic_path(path) as temporary:
            draw_confusion(comparison).save(temporary)
    elif path.suffix.lower() == ".csv":
        write_text(path, _csv(comparison))
    else:
        facts = {
            "classes": comparison.classes.to_json(),
            "columns": _columns(comparison),
            "images": comparison.num_images,
        }
        write_description(path, "confusion", {**facts, "pixels": comparison.matrix.tolist()})


def draw_confusion(comparison: Comparison) -> Image.Image:
    """A heat map, RGB: each row says which classes the pixels of one true class were given, in percent.

    Classes that the truth does not hold have no row, those that neither holds no column.
    """
    rows = np.flatnonzero(comparison.matrix.sum(axis=1))
    columns = np.flatnonzero(comparison.matrix.sum(axis=0) + np.append(comparison.matrix.sum(axis=1), 0))
    counts = comparison.matrix[np.ix_(rows, columns)]
    colors = [*comparison.classes.colors, LIGHT]
    names = _columns(comparison)
    sheet = _Sheet([(names[i], colors[i]) for i in rows], [(names[i], colors[i]) for i in columns])
    return sheet.draw(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


class _Sheet:
    """Where things stand in the picture, all in proportion to the side of one cell."""

    def __init__(self, rows: Sequence[tuple[str, Color]], columns: Sequence[tuple[str, Color]]) -> None:
        self.rows, self.columns = rows, columns
        self.cell = min(72, max(14, 1600 // max(1, len(columns))))
        self.font = ImageFont.load_default(max(10, self.cell // 3))
        self.pad = self.cell // 3
        texts = [*LEGEND.splitlines(), *(name for name, _ in (*rows, *columns))]
        self.label = round(max(map(self.font.getlength, texts))) + 3 * self.pad  # a swatch of one pad, and gaps
        self.left, self.top = self.label + self.pad, self.label + self.pad

    def draw(self, shares: npt.NDArray[np.float64]) -> Image.Image:
        """shares: of each row's pixels, float64 [rows, columns]."""
        width = self.left + len(self.columns) * self.cell + self.pad
        height = self.top + len(self.rows) * self.cell + self.pad
        image = Image.new("RGB", (width, height), "white")
        draw = ImageDraw.Draw(image)
        draw.text((self.pad, self.pad), LEGEND, TEXT, font=self.font)
        for index, (name, color) in enumerate(self.rows):
            image.paste(self._label(name, color), (self.pad, self.top + index * self.cell))
        for index, (name, color) in enumerate(self.columns):
            label = self._label(name, color).transpose(Image.Transpose.ROTATE_270)
            image.paste(label, (self.left + index * self.cell, self.top - self.label))
        for row, column in np.ndindex(*shares.shape):
            self._draw_cell(draw, row, column, float(shares[row, column]))
        return image

    def _label(self, name: str, color: Color) -> Image.Image:
        """The name and the colour of a class on one strip, right-aligned."""
        strip = Image.new("RGB", (self.label, self.cell), "white")
        draw = ImageDraw.Draw(strip)
        right, middle, half = self.label - self.pad // 2, self.cell // 2, self.pad // 2
        draw.rectangle((right - 2 * half, middle - half, right, middle + half), color, outline=TEXT)
        draw.text((right - 3 * half, middle), name, TEXT, font=self.font, anchor="rm")
        return strip

    def _draw_cell(self, draw: ImageDraw.ImageDraw, row: int, column: int, share: float) -> None:
        x, y = self.left + column * self.cell, self.top + row * self.cell
        shade = tuple(round(light + share * (dark - light)) for light, dark in zip(LIGHT, DARK, strict=True))
        draw.rectangle((x, y, x + self.cell, y + self.cell), shade, outline=(222, 222, 222))
        if share and self.cell >= 36:
            is_shown = share >= 0.005
            text, color = (f"{100 * share:.0f}", "white" if share > 0.5 else TEXT) if is_shown else ("<1", FAINT)
            draw.text((x + self.cell / 2, y + self.cell / 2), text, color, font=self.font, anchor="mm")


def _columns(comparison: Comparison) -> list[str]:
    return [*comparison.classes.names, NO_CLASS]


def _csv(comparison: Comparison) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["truth", *_columns(comparison)])
    for name, counts in zip(comparison.classes.names, comparison.matrix.tolist(), strict=True):
        writer.writerow([name, *counts])
    return text.getvalue()
