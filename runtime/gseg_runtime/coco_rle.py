"""Run lengths of label maps as COCO compresses them, from the network's small map and without pycocotools.

The format (cocodataset/cocoapi, common/maskApi.c): lengths of alternating runs of 0 and 1 down the columns, 0 first;
from the fourth on the difference to the length two before; each in groups of five bits, low ones first, the sixth bit
set when more follow, plus 48 to make it a printable character.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_runtime.connected import Numbers, Parts, connected_parts
from gseg_runtime.enlarged import Enlarged

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Changes:
    """Where the label changes, column by column. at: pixels from the top left; before, after: the two labels there."""

    at: Counts
    before: npt.NDArray[Any]
    after: npt.NDArray[Any]


def coco_annotations(plane: Enlarged) -> list[dict[str, Any]]:
    """One COCO annotation without ids per class that is there, the background (0) and ignored pixels (255) left out."""
    areas, size = plane.areas(256), [plane.height, plane.width]
    return [
        {
            "category_id": label,
            "segmentation": {"size": size, "counts": counts},
            "area": areas[label],
            "bbox": bounding_box(plane, label),
            "iscrowd": 0,
        }
        for label, counts in coco_runs(plane).items()
        if label not in (0, 255)
    ]


def coco_runs(plane: Enlarged) -> dict[int, str]:
    """For each label in the map its mask in COCO's compressed run lengths, of the map's full size."""
    rows = plane.rows
    changes, first = _changes(rows, plane), int(rows[0, 0])
    labels = {first, *np.unique(changes.after).tolist()}
    return {label: compress(_counts(changes, label, first, plane)) for label in sorted(labels)}


def coco_instances(plane: Enlarged) -> list[dict[str, Any]]:
    """As `coco_annotations`, but one for each connected part of a class; parts may touch at a corner."""
    parts = connected_parts(plane.shown, diagonal=True)
    areas, boxes = _extents(plane, parts)
    runs = _runs_of_parts(_widened(parts.numbers, plane), plane)
    return [
        {
            "category_id": int(parts.labels[part]),
            "segmentation": {"size": [plane.height, plane.width], "counts": runs[part]},
            "area": areas[part],
            "bbox": boxes[part],
            "iscrowd": 0,
        }
        for part in np.argsort(parts.labels, kind="stable").tolist()
        if parts.labels[part] not in (0, 255)
    ]


def _widened(numbers: Numbers, plane: Enlarged) -> Numbers:
    """All columns."""
    if numbers.shape[1] == plane.width:
        return numbers
    return numbers.repeat(np.diff(plane.column_starts, append=plane.width), axis=1)


def _runs_of_parts(rows: Numbers, plane: Enlarged) -> list[str]:
    """The runs of each number in `rows`, which stand in place of the plane's; sorted once, as there may be many."""
    changes = _changes(rows, plane)
    numbers, at = np.concatenate([changes.before, changes.after]), np.concatenate([changes.at, changes.at])
    order, count = np.lexsort([at, numbers]), int(rows.max()) + 1
    pieces = np.split(at[order], np.searchsorted(numbers[order], np.arange(1, count)))
    starts = ([0, 0] if number == rows[0, 0] else [0] for number in range(count))
    ends = [plane.height * plane.width]
    return [
        compress(np.diff(np.concatenate([start, piece, ends]))) for start, piece in zip(starts, pieces, strict=True)
    ]


def _extents(plane: Enlarged, parts: Parts) -> tuple[list[int], list[list[int]]]:
    """The area and the `bounding_box` of each part."""
    rows, columns = np.append(plane.row_starts, plane.height), np.append(plane.column_starts, plane.width)
    row, left, right, part = parts.runs
    pixels = (rows[row + 1] - rows[row]) * (columns[right] - columns[left])
    low = np.full((len(parts.labels), 2), max(plane.height, plane.width))
    high = np.zeros((len(parts.labels), 2), np.intp)
    np.minimum.at(low, part, np.stack([columns[left], rows[row]], axis=1))
    np.maximum.at(high, part, np.stack([columns[right], rows[row + 1]], axis=1))
    areas = np.bincount(part, pixels).astype(np.int64)  # float64 counts whole pixels exactly up to 2^53
    return areas.tolist(), np.hstack([low, high - low]).tolist()


def bounding_box(plane: Enlarged, label: int) -> list[int]:
    """x, y, width, height of the pixels that have `label`; some must."""
    is_there = plane.rows == label
    rows, columns = np.flatnonzero(is_there.any(axis=1)), np.flatnonzero(is_there.any(axis=0))
    ends = np.append(plane.row_starts[1:], plane.height)
    top, bottom = int(plane.row_starts[rows[0]]), int(ends[rows[-1]])
    left, right = int(columns[0]), int(columns[-1]) + 1
    return [left, top, right - left, bottom - top]


def compress(counts: Counts) -> str:
    """COCO's text of run lengths."""
    values = counts.copy()
    values[3:] -= counts[1:-2]
    num_groups = np.ones(len(values), np.int64)
    limit = 16  # one group holds -16 .. 15
    while (is_wider := (values < -limit) | (values >= limit)).any():
        num_groups += is_wider
        limit *= 32
    group = np.arange(num_groups.max())
    bits = values[:, None] >> (5 * group) & 31
    bits |= np.where(group < num_groups[:, None] - 1, 32, 0)
    return (bits[group < num_groups[:, None]] + 48).astype(np.uint8).tobytes().decode("ascii")


def _changes(rows: npt.NDArray[Any], plane: Enlarged) -> _Changes:
    """Of the plane's rows, or of others in their place. Looks at each small row once; where a label reaches down over
    repeated rows, nothing changes."""
    is_change = np.zeros(rows.shape, bool)
    np.not_equal(rows[1:], rows[:-1], out=is_change[1:])
    np.not_equal(rows[0, 1:], rows[-1, :-1], out=is_change[0, 1:])  # a column goes on at the top of the next one
    row, column = np.divmod(np.flatnonzero(is_change), rows.shape[1])
    column, row = np.divmod(np.sort(column * len(rows) + row), len(rows))  # to turn the map is far slower
    before = rows[row - 1, column - (row == 0)]
    return _Changes(column * plane.height + plane.row_starts[row], before, rows[row, column])


def _counts(changes: _Changes, label: int, first: int, plane: Enlarged) -> Counts:
    at = changes.at[(changes.before == label) | (changes.after == label)]
    start = [0, 0] if first == label else [0]  # a run of no zeros, where the map begins with the label
    return np.diff(np.concatenate([start, at, [plane.height * plane.width]])).astype(np.int64)
