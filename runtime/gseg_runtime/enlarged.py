"""A map at the photo's size of which only the network's small one is kept.

Nearest neighbour repeats rows and columns by known counts. What is asked of the large map (its PNG, its runs, the area
of each class) follows from the small one at a fraction of the cost.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[np.uint8]  # [H, W]


@dataclass(frozen=True)
class Enlarged:
    """small: uint8 [h, w], enlarged (or reduced) to height x width pixels by nearest neighbour."""

    small: Plane
    height: int
    width: int

    def full(self) -> Plane:
        """The map itself, uint8 [height, width]."""
        if self._is_full:
            return self.small.copy()
        rows = nearest_indices(self.small.shape[0], self.height)
        return self._wide[rows]  # columns come first: the gather of whole rows is the cheap one

    @property
    def _is_full(self) -> bool:
        """Whether the small map is the large one already."""
        return self.small.shape == (self.height, self.width)

    @cached_property
    def _wide(self) -> Plane:
        """All columns, but each small row once: uint8 [h, width]."""
        return self.small[:, nearest_indices(self.small.shape[1], self.width)]

    @cached_property
    def row_starts(self) -> npt.NDArray[np.intp]:
        """The first large row of each small row that is shown at all, ascending from 0."""
        return np.flatnonzero(np.diff(nearest_indices(self.small.shape[0], self.height), prepend=-1))

    @property
    def rows(self) -> Plane:
        """The rows that begin at `row_starts`, uint8 [len(row_starts), width]; each reaches down to the next."""
        if self._is_full:
            return self.small
        shown = nearest_indices(self.small.shape[0], self.height)[self.row_starts]
        return self._wide[shown]

    @cached_property
    def column_starts(self) -> npt.NDArray[np.intp]:
        """As `row_starts`, for columns."""
        return np.flatnonzero(np.diff(nearest_indices(self.small.shape[1], self.width), prepend=-1))

    @property
    def shown(self) -> Plane:
        """What is shown of the small map at all, each row and column once: uint8 [len(row_starts), len(column_starts)].

        Its pixels are the rectangles of the large map between these starts.
        """
        return self.small if self._is_full else self.rows[:, self.column_starts]

    def areas(self, num_values: int) -> list[int]:
        """How many pixels of the large map have each of the values 0 .. num_values - 1."""
        if self._is_full:
            return Image.fromarray(self.small).histogram()[:num_values]  # the one that counts bytes as bytes
        rows = np.bincount(nearest_indices(self.small.shape[0], self.height), minlength=self.small.shape[0])
        columns = np.bincount(nearest_indices(self.small.shape[1], self.width), minlength=self.small.shape[1])
        # float64 counts whole pixels exactly up to 2^53.
        counts = np.bincount(self.small.ravel(), np.outer(rows, columns).ravel(), minlength=num_values)
        return [int(count) for count in counts[:num_values]]


@dataclass(frozen=True)
class Interpolated(Enlarged):
    """A map that was made between the points that the network sees. grain: pixels from one of these to the next."""

    grain: float


@lru_cache(maxsize=16)  # asked several times for each photo, and photos of a folder are mostly of a few sizes
def nearest_indices(source: int, target: int) -> npt.NDArray[np.intp]:
    """For each of `target` pixels the one of `source` pixels under its centre, in whole numbers: no rounding error."""
    indices = (2 * np.arange(target) + 1) * source // (2 * target)
    indices.flags.writeable = False
    return indices
