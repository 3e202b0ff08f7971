"""Intersection over union and its kin, from one confusion matrix over all images.

The matrix is int64 [C, C + 1]: row = true class, column = predicted class, and the last column holds pixels that were
predicted as no class (255). Matrices of several images are added up.
"""

import numpy as np
import numpy.typing as npt

from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import LabelMap

Matrix = npt.NDArray[np.int64]  # [C, C + 1]


def confusion_matrix(predicted: LabelMap, truth: LabelMap, num_classes: int) -> Matrix:
    """Count pixels by true and predicted class. Both uint8 of the same shape; where the truth is 255 nothing counts.

    A prediction of 255 is wrong whatever the truth. GsegError for other sizes or indices without a class.
    """
    if predicted.shape != truth.shape:
        raise GsegError(
            f"expected a prediction of {truth.shape[1]} x {truth.shape[0]} pixels, "
            f"got {predicted.shape[1]} x {predicted.shape[0]}",
            "a label map covers its whole photo, turned as a viewer shows it; only its size may be another",
        )
    # One count over all 65,536 pairs: as fast as any, and shows indices out of range besides.
    pairs = truth.astype(np.int64) * 256 + predicted
    counts = np.bincount(pairs.ravel(), minlength=256 * 256).reshape(256, 256)[:IGNORE]
    if counts[num_classes:].any() or counts[:, num_classes:IGNORE].any():
        raise GsegError(f"class index {_largest(counts)}, but there are {num_classes} classes")
    return np.concatenate([counts[:num_classes, :num_classes], counts[:num_classes, IGNORE:]], axis=1)


def iou_per_class(matrix: Matrix) -> npt.NDArray[np.float64]:
    """Intersection over union, float64 [C]; nan for a class that the truth does not hold."""
    correct = _correct(matrix)
    true = matrix.sum(axis=1)
    union = true + matrix.sum(axis=0)[:-1] - correct
    return np.where(true > 0, correct / np.maximum(union, 1), np.nan)


def mean_iou(matrix: Matrix) -> float:
    """Mean over all classes present in the truth, background included; nan when there is none."""
    iou = iou_per_class(matrix)
    is_present = ~np.isnan(iou)
    return float(iou[is_present].mean()) if is_present.any() else float("nan")


def weighted_iou(matrix: Matrix) -> float:
    """Mean weighted by the number of true pixels of each class; nan when there are none."""
    true = matrix.sum(axis=1)
    return float(np.nansum(iou_per_class(matrix) * true) / true.sum()) if true.any() else float("nan")


def pixel_accuracy(matrix: Matrix) -> float:
    """Share of pixels given their true class; nan when there are none."""
    return float(_correct(matrix).sum() / matrix.sum()) if matrix.any() else float("nan")


def _correct(matrix: Matrix) -> Matrix:
    return np.diagonal(matrix)  # of a [C, C + 1] matrix: the C entries where prediction and truth agree


def _largest(counts: npt.NDArray[np.int64]) -> int:
    rows, columns = np.nonzero(counts[:, :IGNORE])
    return int(max(rows.max(initial=0), columns.max(initial=0)))
