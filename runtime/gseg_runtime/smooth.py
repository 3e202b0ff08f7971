"""Label maps with smooth edges: the network's logits are enlarged, and not the labels that they gave.

Between four neighbouring points of the network's grid the logits are interpolated linearly. Where the four have one
label, every pixel between them has it too; so only the cells at edges are decided pixel by pixel, and there only
among the labels of the four. That is a tenth of the work of enlarging the logits of all classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from gseg_runtime.label_map import LabelMap

Logits = npt.NDArray[np.float32]  # [C, h, w]
Indices = npt.NDArray[np.intp]
Shares = npt.NDArray[np.float32]
_CHUNK = 1 << 18  # pixels that are decided at once: more of them only take more memory


class SmoothMap:
    """A label map of height x width pixels, filled from the top as bands of a grid of `grid_height` rows come in.

    labels: uint8 [height, width], whole once all bands are there.
    """

    def __init__(self, grid_height: int, height: int, width: int) -> None:
        self.labels: LabelMap = np.empty((height, width), np.uint8)
        self._rows = axis_of(grid_height, height)
        self._top = 0  # the row of the grid that the next cells to decide begin with
        self._kept: Logits | None = None  # that row, if it came with the band before

    def add(self, band: Logits) -> None:
        """The next rows of the grid, float32 [C, rows, w]."""
        if self._kept is not None:
            band = np.concatenate([self._kept, band], axis=1)
        end = self._top + band.shape[1]
        if end < self._rows.num_cells:
            end -= 1  # the cells behind the last row reach into the next band
        columns = axis_of(band.shape[2], self.labels.shape[1])
        Cells(band, self._rows.part(self._top, end), columns).decide(self.labels)
        self._top, self._kept = end, band[:, -1:].copy()


@dataclass(frozen=True)
class Axis:
    """How pixels lie among the points of a grid, along one side. A cell reaches from a point to the next one.

    cell: of each pixel; share: float32, how far on in its cell a pixel is, 0..1; starts: the first pixel of each cell,
    and last the end of the last one. first: the number of the first cell.
    """

    cell: Indices
    share: npt.NDArray[np.float32]
    starts: Indices
    first: int = 0

    @property
    def num_cells(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> Indices:
        """The number of pixels of each cell."""
        return np.diff(self.starts)

    @property
    def usual_length(self) -> int:
        """The most pixels that a cell inside has."""
        return int(self.lengths[1:-2].max(initial=1))

    @property
    def span(self) -> slice:
        """All pixels of these cells."""
        return slice(int(self.starts[0]), int(self.starts[-1]))

    def part(self, first: int, end: int) -> "Axis":
        """The same with the cells from `first` to before `end` alone."""
        return Axis(self.cell, self.share, self.starts[first : end + 1], first)

    def pixels(self, cells: Indices) -> Indices:
        """The pixels of some cells, [N, the most that any has]; where there are fewer, the last one again."""
        most = int(self.lengths[cells].max())
        return np.minimum(self.starts[cells][:, None] + np.arange(most), self.starts[cells + 1][:, None] - 1)


@lru_cache(maxsize=16)  # photos of a folder are mostly of a few sizes
def axis_of(source: int, target: int) -> Axis:
    """`target` pixels over `source` points. Before the first and behind the last point nothing changes."""
    position = ((2 * np.arange(target) + 1) * (source / (2 * target)) - 0.5).clip(0, source - 1)
    cell = position.astype(np.intp)
    return Axis(cell, (position - cell).astype(np.float32), np.searchsorted(cell, np.arange(source + 1)))


@dataclass(frozen=True)
class Cells:
    """Some rows of cells. band: the logits of their points; below the last row of the grid there are none."""

    band: Logits
    rows: Axis
    columns: Axis

    @cached_property
    def small(self) -> LabelMap:
        """The labels of the points."""
        return labels_of(self.band)

    def decide(self, labels: LabelMap) -> None:
        """Fill the pixels of these cells in the label map of the photo."""
        wide = self.small.take(self.columns.cell, axis=1)
        labels[self.rows.span] = wide.take(self.rows.cell[self.rows.span] - self.rows.first, axis=0)
        for rows, columns in self._mixed():
            y, x = self.rows.pixels(rows), self.columns.pixels(columns)  # [N, height of a cell], [N, width of a cell]
            labels[y[:, :, None], x[:, None]] = self.choose(rows, columns, y, x)

    def _mixed(self) -> Iterator[tuple[Indices, Indices]]:
        """Rows and columns of the cells to decide pixel by pixel, some at a time."""
        has_pixels = np.outer(self.rows.lengths > 0, self.columns.lengths > 0)  # not all do, where a grid is reduced
        rows, columns = np.nonzero(self.is_open() & has_pixels)
        # Cells at the rim reach half a cell further; with one of them, all beside it would be filled up to its size.
        heights, widths = self.rows.lengths[rows], self.columns.lengths[columns]
        is_large = (heights > self.rows.usual_length) | (widths > self.columns.usual_length)
        for part in (~is_large, is_large):
            yield from _chunks(rows[part], columns[part], heights[part], widths[part])

    def is_open(self) -> npt.NDArray[np.bool_]:
        """Which cells have corners of several labels."""
        corners = np.pad(self.small, ((0, 1), (0, 1)), mode="edge")[: self.rows.num_cells + 1]
        first = corners[:-1, :-1]
        return (first != corners[:-1, 1:]) | (first != corners[1:, :-1]) | (first != corners[1:, 1:])

    def at(self, rows: Indices, columns: Indices) -> tuple[Indices, Indices]:
        """These points; beyond the band, the nearest of it."""
        return rows.clip(0, self.band.shape[1] - 1), columns.clip(0, self.band.shape[2] - 1)

    def choose(self, rows: Indices, columns: Indices, y: Indices, x: Indices) -> LabelMap:
        """For the pixels of N cells that label of their corners which has the largest logit, [N, height, width].

        y: [N, height], x: [N, width], the pixels of the cells.
        """
        corners = [self.at(rows + i, columns + j) for i in (0, 1) for j in (0, 1)]
        labels = np.stack([self.small[corner] for corner in corners])
        down, along = self.rows.share[y][:, :, None], self.columns.share[x]
        first, second = labels[0], _another(labels)
        is_first = self._interpolated(first, corners, down, along, less=second) >= 0
        chosen = np.where(is_first, first[:, None, None], second[:, None, None])
        if (more := np.flatnonzero(((labels != first) & (labels != second)).any(axis=0))).size:  # few have three labels
            some = [(row[more], column[more]) for row, column in corners]
            chosen[more] = self._largest(labels[:, more], some, down[more], along[more])
        return chosen

    def _largest(
        self, labels: LabelMap, corners: list[tuple[Indices, Indices]], down: Shares, along: Shares
    ) -> LabelMap:
        """labels: [4, N], the candidates of each cell."""
        best = np.full((len(down), down.shape[1], along.shape[1]), -np.inf, np.float32)
        chosen = np.zeros(best.shape, np.uint8)
        for candidate in labels:
            logit = self._interpolated(candidate, corners, down, along)
            chosen = np.where(logit > best, candidate[:, None, None], chosen)
            best = np.maximum(best, logit)
        return chosen

    def _interpolated(
        self,
        label: LabelMap,
        corners: list[tuple[Indices, Indices]],
        down: Shares,
        along: Shares,
        less: LabelMap | None = None,
    ) -> Shares:
        """The logits of one label for each of N cells, or what they have more than those of `less`, at all pixels."""
        at = [
            self.band[label, *corner] if less is None else self.band[label, *corner] - self.band[less, *corner]
            for corner in corners
        ]
        upper_left, upper_right, lower_left, lower_right = (values[:, None] for values in at)
        upper = upper_left + (upper_right - upper_left) * along
        lower = lower_left + (lower_right - lower_left) * along
        values = (lower - upper)[:, None] * down
        values += upper[:, None]
        return values


def labels_of(logits: Logits) -> LabelMap:
    """The class with the largest of [C, h, w] logits, the first of equal ones; NumPy's argmax takes 2 to 10 times as
    long, the longer the more classes there are."""
    largest = logits.max(axis=0)
    labels = np.zeros(largest.shape, np.uint8)
    for label in range(len(logits) - 1, -1, -1):
        labels[logits[label] == largest] = label
    return labels


def _chunks(rows: Indices, columns: Indices, heights: Indices, widths: Indices) -> Iterator[tuple[Indices, Indices]]:
    """So many cells at a time that `_CHUNK` holds, by the largest of them."""
    if len(rows):
        step = max(1, _CHUNK // int(heights.max() * widths.max()))
        yield from ((rows[i : i + step], columns[i : i + step]) for i in range(0, len(rows), step))


def _another(labels: LabelMap) -> LabelMap:
    """Of [4, N] labels one that differs from the first, where there is one; [N]."""
    first, other = labels[0], labels[3]
    for candidate in labels[1:3]:
        other = np.where(candidate != first, candidate, other)
    return other
