"""The outline that a careful person clicks around a part: a polygon of few corners that keeps inside it.

Corners are (row, column) in pixels of the picture; 0.5 is the middle of the first. benchmarks/simulated_annotator.py
paints with it.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Mask = npt.NDArray[np.bool_]  # [H, W]
Corners = npt.NDArray[np.float64]  # [P, 2]

CORNERS = 12
OUTSIDE = 3  # how much worse a pixel beside the part is than one of it that is left out
SHIFTS = [(0.5, 0), (1, 0), (2, 0), (0, 0.5), (0, 1), (0, 2)]
# By the side of a pixel on which the mask ends: from where to where its edge goes, the mask on the right.
_EDGES = {(-1, 0): ((0, 0), (0, 1)), (0, 1): ((0, 1), (1, 1)), (1, 0): ((1, 1), (1, 0)), (0, -1): ((1, 0), (0, 0))}


def outlined(part: Mask) -> Mask:
    """What the polygon around connected pixels covers, holes included."""
    drawn = np.zeros_like(part)
    box = ndimage.find_objects(part.astype(int))[0]
    around = tuple(slice(max(0, side.start - 2), side.stop + 2) for side in box)
    whole = ndimage.binary_fill_holes(part[around])
    drawn[around] = covered(_fitted(_simplified(_boundary(whole)), whole), *whole.shape)
    return drawn


def _fitted(corners: Corners, whole: Mask) -> Corners:
    """Corner by corner moved, as long as that covers the part better."""
    cost = np.where(whole, 1, OUTSIDE)
    best, is_better = _cost(corners, whole, cost), True
    while is_better:
        is_better = False
        for i in range(len(corners)):
            for shift in [*SHIFTS, *(-np.array(SHIFTS))]:
                moved = corners.copy()
                moved[i] += shift
                if (new := _cost(moved, whole, cost)) < best:
                    corners, best, is_better = moved, new, True
    return corners


def covered(corners: Corners, height: int, width: int) -> Mask:
    """The pixels whose middle lies inside, by the even-odd rule, as on the page."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    for (y0, x0), (y1, x1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        if y0 != y1:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) / (y1 - y0) * (x1 - x0))
    return inside


def _cost(corners: Corners, whole: Mask, cost: npt.NDArray[np.int64]) -> int:
    return int(cost[covered(corners, *whole.shape) != whole].sum())


def _boundary(whole: Mask) -> list[tuple[int, int]]:
    """The longest way around it along the edges of its pixels."""
    following: dict[tuple[int, int], list[tuple[int, int]]] = {}
    padded = np.pad(whole, 1)
    for y, x in np.argwhere(whole).tolist():
        for (dy, dx), (start, end) in _EDGES.items():
            if not padded[y + 1 + dy, x + 1 + dx]:
                following.setdefault((y + start[0], x + start[1]), []).append((y + end[0], x + end[1]))
    ways = []
    while following:
        way = [next(iter(following))]
        while way[-1] in following:
            ends = following[way[-1]]
            way.append(ends.pop())
            if not ends:
                del following[way[-2]]
        ways.append(way[:-1])
    return max(ways, key=len)


def _simplified(way: list[tuple[int, int]]) -> Corners:
    """Without the corners that matter least to the area, as Visvalingam and Whyatt (1993) do."""
    corners = np.array(way, float)
    while len(corners) > CORNERS:
        before, after = np.roll(corners, 1, axis=0) - corners, np.roll(corners, -1, axis=0) - corners
        area = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
        corners = np.delete(corners, area.argmin(), axis=0)
    return corners
