"""Boundary F-score per class: how well the outlines agree, which IoU hardly shows where parts are large.

Precision is the share of predicted boundary pixels that have a true one of the same class nearby, recall the reverse,
and F their harmonic mean (Csurka, Larlus and Perronnin, "What is a good evaluation measure for semantic
segmentation?", BMVC 2013, with their tolerance of 0.75 % of the image diagonal). The tolerance is rounded up to whole
pixels, as in the DAVIS benchmark (Perazzi et al., CVPR 2016), so that small images have one at all. Unlike there,
pixels are counted over all images before anything is divided, as for the mean IoU.
"""

import math

import numpy as np
import numpy.typing as npt

from gseg_runtime.class_map import IGNORE
from gseg_runtime.label_map import LabelMap

TOLERANCE = 0.0075  # share of the image diagonal
# [4, C], rows: predicted boundary pixels, those of them near a true one, true boundary pixels, those near a predicted.
Counts = npt.NDArray[np.int64]
_Points = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]  # class, row, column: [N] each


def boundary_counts(predicted: LabelMap, truth: LabelMap, num_classes: int, *, tolerance: float = TOLERANCE) -> Counts:
    """Count boundary pixels, and those with a partner within the tolerance: what `boundary_f` divides.

    A boundary pixel has a neighbour (left, right, above, below) of another class. The frame of the image is no
    boundary, nor is the rim of what the truth ignores (255). predicted, truth: uint8 of the same shape;
    tolerance: share of the image diagonal, rounded up to whole pixels; 0 asks for the very same pixels.
    Counts of several images are added up.
    """
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    is_ignored = truth == IGNORE
    ours = _boundary(predicted, is_ignored)
    theirs = _boundary(truth, is_ignored)
    rows = (ours[0], ours[0][_near(ours, theirs, radius)], theirs[0], theirs[0][_near(theirs, ours, radius)])
    return np.stack([np.bincount(row, minlength=num_classes) for row in rows])


def boundary_f(counts: Counts) -> npt.NDArray[np.float64]:
    """F-score per class, float64 [C] in 0..1; nan for a class without a boundary in the truth."""
    predicted, predicted_near, true, true_near = counts
    precision = predicted_near / np.maximum(predicted, 1)
    recall = true_near / np.maximum(true, 1)
    total = precision + recall
    return np.where(true > 0, 2 * precision * recall / np.where(total > 0, total, 1), np.nan)


def _boundary(labels: LabelMap, is_ignored: npt.NDArray[np.bool_]) -> _Points:
    """The boundary pixels of all classes; not those of 255, which is no class."""
    edges = np.zeros(labels.shape, bool)
    for here, there in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        differs = (labels[here] != labels[there]) & ~(is_ignored[here] | is_ignored[there])
        edges[here] |= differs
        edges[there] |= differs
    rows, columns = np.nonzero(edges & (labels != IGNORE))
    return labels[rows, columns].astype(np.int64), rows, columns


def _near(points: _Points, others: _Points, radius: int) -> npt.NDArray[np.bool_]:
    """For each point whether one of `others`, of its class, lies within `radius` pixels; bool [N].

    Only boundary pixels are looked at, all classes together: each has a number that grows by class, row and column, so
    the part of the disk in one row is a range of numbers, found by bisection. Rows and classes lie farther apart
    than a disk is wide.
    """
    is_near = np.zeros(len(points[0]), bool)
    if not len(points[0]) or not len(others[0]):
        return is_near
    row_step = int(max(points[2].max(), others[2].max())) + 1 + 2 * radius
    class_step = (int(max(points[1].max(), others[1].max())) + 1 + 2 * radius) * row_step
    numbers, targets = (labels * class_step + rows * row_step + columns for labels, rows, columns in (points, others))
    targets.sort()
    for down in sorted(range(-radius, radius + 1), key=abs):  # most find their partner at once and are done
        left = np.flatnonzero(~is_near)
        centre, reach = numbers[left] + down * row_step, math.isqrt(radius**2 - down**2)
        first = np.searchsorted(targets, centre - reach)
        is_near[left] = np.append(targets, np.iinfo(np.int64).max)[first] <= centre + reach
    return is_near
