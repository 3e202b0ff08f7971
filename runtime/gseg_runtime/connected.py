"""Connected parts of a label map."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from gseg_runtime.enlarged import Plane

Numbers = npt.NDArray[np.int32]  # enough for every pixel to be a part; maps may have a hundred megapixels
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Parts:
    """numbers: of the part that each pixel belongs to, [H, W]; labels: of each part, uint8 [number of parts]; starts:
    where runs of equal pixels in a row begin, row by row."""

    numbers: Numbers
    labels: Plane
    starts: Places

    @cached_property
    def runs(self) -> tuple[Places, Places, Places, Numbers]:
        """Row, first column, column behind the last one, and part of each run of equal pixels."""
        rows, lefts = np.divmod(self.starts, self.numbers.shape[1])
        lengths = np.diff(self.starts, append=self.numbers.size)
        return rows, lefts, lefts + lengths, self.numbers.ravel()[self.starts]


def connected_parts(labels: Plane, *, diagonal: bool) -> Parts:
    """Pixels of one label are one part when they touch at a side or, with `diagonal`, at a corner.

    Parts are numbered in the order of their first pixels.
    """
    is_start = _starts(labels)
    starts = np.flatnonzero(is_start)  # of runs: there are far fewer of them than of pixels
    steps = (-1, 0, 1) if diagonal else (0,)
    links = np.concatenate([_touching(labels, starts, is_start, step) for step in steps], axis=1)
    first, numbers = np.unique(_roots(len(starts), links), return_inverse=True)
    of_pixels = numbers.astype(np.int32).repeat(np.diff(starts, append=labels.size))
    return Parts(of_pixels.reshape(labels.shape), labels.ravel()[starts[first]], starts)


def _starts(labels: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """[H, W]: where a run of equal pixels in a row begins."""
    is_start = np.ones(labels.shape, bool)
    is_start[:, 1:] = labels[:, 1:] != labels[:, :-1]
    return is_start


def _touching(labels: Plane, starts: Places, is_start: npt.NDArray[np.bool_], step: int) -> Numbers:
    """[2, N]: runs of a row and those of the row below that they touch `step` columns further right.

    Each pair where it begins, and at the edge of the map, where nothing tells whether it did before.
    """
    width = labels.shape[1]
    here = slice(max(0, -step), width - max(0, step))
    there = slice(max(0, step), width + min(0, step))
    is_link = is_start[:-1, here] | is_start[1:, there]
    is_link[:, :1] = True
    is_link &= labels[:-1, here] == labels[1:, there]
    row, column = np.divmod(np.flatnonzero(is_link), is_link.shape[1])
    at = row * width + column
    pixels = np.stack([at + here.start, at + width + there.start])
    return (np.searchsorted(starts, pixels, "right") - 1).astype(np.int32)


def _roots(count: int, links: Numbers) -> Numbers:
    """For each of `count` things the first one that links lead to, [count]."""
    roots = np.arange(count, dtype=np.int32)
    while (of_links := roots[links]) is not None and (of_links[0] != of_links[1]).any():
        np.minimum.at(roots, of_links.max(axis=0), of_links.min(axis=0))
        while ((further := roots[roots]) != roots).any():
            roots = further
    return roots
