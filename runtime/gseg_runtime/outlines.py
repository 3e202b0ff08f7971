"""Outlines of the parts in a label map, with few points and without gaps or overlaps between neighbours.

An outline runs between pixels. It is cut where three parts meet, and each piece is simplified once for both of its
sides, so neighbours keep sharing it. The pieces are those of the small map: its steps are no detail of the photo, and
lines through the middles of steps come nearer to what was meant.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from gseg_runtime.connected import Numbers, Places, connected_parts
from gseg_runtime.enlarged import Enlarged, Interpolated

TOLERANCE = 0.6  # pixels of the small map; a line through the middles of steps is up to half a pixel beside them
_LARGE_SIDE = 1024  # pixels; of a larger map more of them are no detail either
# Where edges were interpolated their small steps are none of the network's: so many pixels at least, and of its grid.
# With these, portraits of 1024 px have a third of the points, and masks drawn of them 0.002 less IoU with the mask.
_SMOOTH_TOLERANCE, _SMOOTH_SHARE = 1.0, 0.2
_OUTSIDE = -1  # the number of the part around the picture
# Steps go right, down, left and up, with their part to the right. Which of the four pixels around the corner that a
# step begins at is of the part, and which one of its neighbour: (row, column) from the lower right one.
_OWN = ((0, 0), (0, -1), (-1, -1), (-1, 0))
_OTHER = ((-1, 0), (0, 0), (0, -1), (-1, -1))

Points = npt.NDArray[np.float64]  # [N, 2], x and y


@dataclass(frozen=True, eq=False)
class Outline:
    """A connected part of a class. rings: closed, corners in pixels of the photo; the first runs around the part, the
    others around its holes. is_inside: it does not touch the picture's edge."""

    label: int
    rings: tuple[Points, ...]
    is_inside: bool

    @property
    def filled_area(self) -> float:
        """Pixels within the first ring."""
        return area_in(self.rings[0])


@dataclass(frozen=True)
class _Ring:
    """part: its number; corners: of steps, numbered row by row; others: numbers of the parts on the other side."""

    part: int
    corners: list[int]
    others: list[int]


def outlines(plane: Enlarged, tolerance: float | None = None) -> list[Outline]:
    """Those of all parts, the background's too; parts that touch only at a corner are two.

    tolerance: how far a line may lie beside the middles of steps, in pixels of the small map; 0 keeps every step as it
    is, None is what suits its size. A part that would lose half of itself keeps its steps.
    """
    shown = plane.shown
    if tolerance is None:
        tolerance = _usual_tolerance(plane)
    parts = connected_parts(shown, diagonal=False)
    around = np.pad(parts.numbers, 1, constant_values=_OUTSIDE)
    edges = _edges(around)
    rings, nodes = list(_rings(around, edges)), _nodes(edges, around.shape[1] - 1)
    pieces = _Pieces(around.shape[1] - 1, tolerance)
    found = _assemble(rings, nodes, pieces)
    if tolerance:
        _, lefts, rights, of_runs = parts.runs
        sizes = np.bincount(of_runs, rights - lefts)
        pieces.exact = {part for part, its_rings in found.items() if _size(its_rings) < sizes[part] / 2}
        found = _assemble(rings, nodes, pieces) if pieces.exact else found
    to_photo = partial(_to_photo, plane)
    at_edge = {ring.part for ring in rings if _OUTSIDE in ring.others}
    return [
        Outline(int(parts.labels[part]), tuple(map(to_photo, its_rings)), part not in at_edge)
        for part, its_rings in sorted(found.items())
    ]


def _usual_tolerance(plane: Enlarged) -> float:
    tolerance = TOLERANCE * max(1, max(plane.shown.shape) / _LARGE_SIDE)
    if isinstance(plane, Interpolated) and plane.grain > 1:
        return max(tolerance, _SMOOTH_TOLERANCE, _SMOOTH_SHARE * plane.grain)
    return tolerance


def area_in(ring: Points) -> float:
    """What lies in a ring; negative when it runs the other way, as around a hole."""
    x, y = ring.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def _size(rings: list[Points]) -> float:
    return sum(map(area_in, rings))


def _edges(around: Numbers) -> tuple[Places, Places]:
    """Between pixels of two parts, the corners that edges to the right begin at, and those to below; ascending."""
    stride = around.shape[1] - 1
    level = np.flatnonzero(around[1:, 1:-1] != around[:-1, 1:-1])
    upright = np.flatnonzero(around[1:-1, 1:] != around[1:-1, :-1])
    return level + level // (stride - 1), upright  # a row has a corner for each upright edge, one more than level ones


def _nodes(edges: tuple[Places, Places], stride: int) -> set[int]:
    """Corners at which more than two edges meet; `stride` corners are in a row."""
    level, upright = edges
    ends = np.concatenate([level, level + 1, upright, upright + stride])
    corners, counts = np.unique(ends, return_counts=True)
    return set(corners[counts > 2].tolist())


def _rings(around: Numbers, edges: tuple[Places, Places]) -> Iterator[_Ring]:
    """All rings, in no order; each keeps its part at its right hand. around: the parts' numbers within _OUTSIDE."""
    stride = around.shape[1] - 1
    num_corners = stride * (around.shape[0] - 1)
    steps = _steps(edges, stride, num_corners)
    way, start = np.divmod(steps, num_corners)
    owners, others = (
        around[start // stride + 1 + np.array(place)[way, 0], start % stride + 1 + np.array(place)[way, 1]]
        for place in (_OWN, _OTHER)
    )
    is_owned = owners != _OUTSIDE
    steps, corners, owners, others = (found[is_owned] for found in (steps, start, owners, others))
    yield from _joined(corners.tolist(), owners.tolist(), others.tolist(), _next(steps, stride, num_corners).tolist())


def _joined(corners: list[int], owners: list[int], others: list[int], after: list[int]) -> Iterator[_Ring]:
    """after: of each step the number of the next."""
    is_left = [True] * len(after)
    for first in range(len(after)):
        step, ring = first, []
        while is_left[step]:
            is_left[step] = False
            ring.append(step)
            step = after[step]
        if ring:
            yield _Ring(owners[first], [corners[step] for step in ring], [others[step] for step in ring])


def _steps(edges: tuple[Places, Places], stride: int, num_corners: int) -> Places:
    """Each edge both ways; numbered way by way by the corners where they begin, ascending."""
    level, upright = edges
    right, down, left, up = level, upright, level + 1, upright + stride
    return np.concatenate([way * num_corners + start for way, start in enumerate((right, down, left, up))])


def _next(steps: Places, stride: int, num_corners: int) -> Places:
    """The place among `steps` of the one after each; `stride` corners are in a row.

    The sharpest turn to the right stays with the pixel, so that diagonal neighbours stay apart.
    """
    way, start = np.divmod(steps, num_corners)
    end = start + np.array([1, stride, -1, -stride])[way]
    wanted = np.stack([(way + turn) % 4 * num_corners + end for turn in (1, 0, 3)])
    places = np.searchsorted(steps, wanted)
    right, ahead, left = places
    is_right, is_ahead, _ = steps.take(places, mode="clip") == wanted
    return np.where(is_right, right, np.where(is_ahead, ahead, left))


class _Pieces:
    """Pieces of outlines between nodes, in small pixels. exact: parts that keep their steps."""

    def __init__(self, stride: int, tolerance: float) -> None:
        self._stride, self._tolerance = stride, tolerance
        self._simple: dict[tuple[int, ...], Points] = {}
        self.exact: set[int] = set()

    def points(self, corners: list[int], part: int, other: int, is_closed: bool) -> Points:
        """[N, 2] from the first corner to the last, and the same the other way round for the other side.

        is_closed: no node is on it, and any corner may be the first.
        """
        if not self._tolerance or other == _OUTSIDE or self.exact & {part, other}:
            return self._steps(corners)
        backward = corners[::-1]
        if backward < corners:
            return self._simplified(tuple(backward), is_closed)[::-1]
        return self._simplified(tuple(corners), is_closed)

    def _steps(self, corners: Sequence[int]) -> Points:
        y, x = np.divmod(np.array(corners), self._stride)
        return np.stack([x, y], axis=1).astype(np.float64)

    def _simplified(self, corners: tuple[int, ...], is_closed: bool) -> Points:
        if corners not in self._simple:
            steps = self._steps(corners)
            middles = (steps[1:] + steps[:-1]) / 2
            points = [middles, middles[:1]] if is_closed else [steps[:1], middles, steps[-1:]]
            self._simple[corners] = simplified(np.concatenate(points), self._tolerance)
        return self._simple[corners]


def _assemble(rings: list[_Ring], nodes: set[int], pieces: _Pieces) -> dict[int, list[Points]]:
    """The rings of each part, the one around it first."""
    found: dict[int, list[Points]] = {}
    for ring in rings:
        places = [place for place, corner in enumerate(ring.corners) if corner in nodes]
        first = places[0] if places else ring.corners.index(min(ring.corners))
        corners = ring.corners[first:] + ring.corners[: first + 1]
        others = ring.others[first:] + ring.others[:first]
        cuts = [place - first for place in places or [first]] + [len(others)]
        points = [
            pieces.points(corners[start : end + 1], ring.part, others[start], is_closed=not places)[:-1]
            for start, end in pairwise(cuts)
        ]
        found.setdefault(ring.part, []).append(_without_straight(np.concatenate(points)))
    whole = {part: [ring for ring in its_rings if len(ring) > 2] for part, its_rings in found.items()}
    return {part: sorted(its_rings, key=area_in, reverse=True) for part, its_rings in whole.items()}


def _without_straight(ring: Points) -> Points:
    """Only points at which it turns."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return ring[turns != 0]


def simplified(points: Points, tolerance: float) -> Points:
    """By Ramer, Douglas and Peucker (1972, 1973): the fewest of the points that all others are near to."""
    is_kept = np.zeros(len(points), bool)
    is_kept[[0, -1]] = True
    spans = [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(points[first + 1 : last], points[first], points[last])
        farthest = first + 1 + int(distances.argmax())
        if distances.max() > tolerance:
            is_kept[farthest] = True
            spans += [(first, farthest), (farthest, last)]
    return points[is_kept]


def _distances(points: Points, start: Points, end: Points) -> Points:
    """From the line between `start` and `end`, [N]."""
    along = end - start
    share = ((points - start) @ along / max(float(along @ along), 1e-12)).clip(0, 1)
    return np.hypot(*(points - start - share[:, None] * along).T)


def _to_photo(plane: Enlarged, ring: Points) -> Points:
    edges = np.append(plane.column_starts, plane.width), np.append(plane.row_starts, plane.height)
    return np.stack([np.interp(ring[:, axis], np.arange(len(edges[axis])), edges[axis]) for axis in (0, 1)], axis=1)
