"""Outlines of the regions of a label map, with few corners, to be corrected by hand in a labelling program.

They run through the middles of the pixels' sides, which is at least 0.35 from every pixel's centre. Corners are left
out only as far as that, so that the outlines, filled again, give the very same label map. What two regions share is
simplified once: they neither overlap nor leave a gap.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gseg_cli.annotate.shapes import Points, Polygon, cover
from gseg_runtime.label_map import LabelMap
from gseg_runtime.outlines import simplified

TOLERANCE = 0.35  # pixels
_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))  # right, down, left, up
_ON_THE_RIGHT = ((0, 0), (-1, 0), (-1, -1), (0, -1))  # the pixel there, from a corner one leaves in these directions
Corner = tuple[int, int]
Place = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Outline:
    """label: class index; ring: [N, 2], x and y in pixels, closed."""

    label: int
    ring: Points


def outlines(labels: LabelMap) -> list[Outline]:
    """In paint order: what lies within another region comes after it. Background around all of them is left out."""
    walk = _Walk(labels)
    covered = np.zeros(labels.shape, bool)
    kept: list[Outline] = []
    for corners in sorted(walk.rings(), key=_area, reverse=True):
        column, row = min(corners, key=lambda corner: corner[::-1])  # the upper left pixel of the region
        label = int(labels[row, column])
        if label == 0 and not covered[row, column]:
            continue
        ring = np.array(walk.simplified(corners))
        covered |= cover(Polygon((ring,)), *labels.shape)
        kept.append(Outline(label, ring))
    return kept


class _Walk:
    """Walks along the sides of pixels, with the region on the right."""

    def __init__(self, labels: LabelMap) -> None:
        self.height, self.width = labels.shape
        padded = np.pad(labels.astype(int), 1, constant_values=-1)
        self._cells: list[list[int]] = padded.tolist()
        across = padded[:-1] != padded[1:]  # sides that lie level, [H + 1, W + 2]
        along = padded[:, :-1] != padded[:, 1:]  # upright ones
        num_sides = across[:, :-1].astype(int) + across[:, 1:] + along[:-1] + along[1:]  # that meet at each corner
        num_sides[:: self.height, :: self.width] = 3  # the picture's own corners stay, too
        self._is_fixed: list[list[bool]] = (num_sides > 2).tolist()
        self._tops = [(x, y) for y, x in np.argwhere(across[:-1, 1:-1]).tolist()]

    def rings(self) -> list[list[Corner]]:
        """The corners of pixels around each region, clockwise; pixels that touch at a corner are not connected."""
        seen: set[Corner] = set()  # upper sides, by their left corners
        found = [self._ring(top, seen) for top in self._tops if top not in seen]
        return [ring for ring in found if _area(ring) > 0]  # the others are holes

    def simplified(self, corners: list[Corner]) -> list[Place]:
        """The ring through the middles of the sides, and through corners where three regions meet."""
        fixed = [index for index, (x, y) in enumerate(corners) if self._is_fixed[y][x]]
        if not fixed:
            middles = _middles([*corners, corners[0]])
            far = int(np.argmax([abs(x - middles[0][0]) + abs(y - middles[0][1]) for x, y in middles]))
            return _simplify(middles[: far + 1])[:-1] + _simplify([*middles[far:], middles[0]])[:-1]
        turned = [*corners[fixed[0] :], *corners[: fixed[0]], corners[fixed[0]]]
        ends = [index - fixed[0] for index in fixed] + [len(corners)]
        ring: list[Place] = []
        for start, end in pairwise(ends):
            ring += _shared(turned[start : end + 1])[:-1]
        return ring

    def _ring(self, start: Corner, seen: set[Corner]) -> list[Corner]:
        (x, y), direction = start, 0
        label = self._right_of(x, y, 0)
        ring: list[Corner] = []
        while not (ring and (x, y, direction) == (*start, 0)):
            ring.append((x, y))
            if direction == 0:
                seen.add((x, y))
            x, y = x + _STEPS[direction][0], y + _STEPS[direction][1]
            if self._right_of(x, y, direction) != label:
                direction = (direction + 1) % 4
            elif self._right_of(x, y, (direction + 3) % 4) == label:  # the pixel on the left, too
                direction = (direction + 3) % 4
        return ring

    def _right_of(self, x: int, y: int, direction: int) -> int:
        dx, dy = _ON_THE_RIGHT[direction]
        return self._cells[y + dy + 1][x + dx + 1]


def _area(ring: list[Corner]) -> float:
    """Above zero when the ring runs clockwise, as one sees it."""
    x, y = np.array(ring).T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2


def _middles(corners: list[Corner]) -> list[Place]:
    return [((x0 + x1) / 2, (y0 + y1) / 2) for (x0, y0), (x1, y1) in pairwise(corners)]


def _shared(corners: list[Corner]) -> list[Place]:
    """A line between two corners that stay, the same in whatever direction one walks."""
    is_turned = corners[::-1] < corners
    line = corners[::-1] if is_turned else corners
    simple = _simplify([line[0], *_middles(line), line[-1]])
    return simple[::-1] if is_turned else simple


def _simplify(line: list[Place]) -> list[Place]:
    return [(x, y) for x, y in simplified(np.array(line, float), TOLERANCE).tolist()]
