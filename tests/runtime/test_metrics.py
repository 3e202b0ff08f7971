import math

import numpy as np
import pytest

from gseg_runtime.errors import GsegError
from gseg_runtime.metrics import confusion_matrix, iou_per_class, mean_iou, pixel_accuracy, weighted_iou

TRUTH = np.array([[0, 0, 0, 1], [1, 1, 255, 255]], np.uint8)
PREDICTED = np.array([[0, 0, 1, 1], [1, 255, 2, 0]], np.uint8)
# By hand: six pixels count. 0: 2 right of 3, union 3. 1: 2 right of 3, 1 more predicted, union 4. 2: not in the truth.


def test_against_a_count_by_hand() -> None:
    matrix = confusion_matrix(PREDICTED, TRUTH, 3)
    assert matrix.tolist() == [[2, 1, 0, 0], [0, 2, 0, 1], [0, 0, 0, 0]]
    np.testing.assert_allclose(iou_per_class(matrix), [2 / 3, 2 / 4, math.nan])
    assert mean_iou(matrix) == pytest.approx((2 / 3 + 2 / 4) / 2)
    assert weighted_iou(matrix) == pytest.approx((3 * 2 / 3 + 3 * 2 / 4) / 6)
    assert pixel_accuracy(matrix) == pytest.approx(4 / 6)


def test_a_class_predicted_where_it_is_not_costs_the_others_only() -> None:
    matrix = confusion_matrix(np.array([[0, 2]], np.uint8), np.array([[0, 0]], np.uint8), 3)
    np.testing.assert_array_equal(iou_per_class(matrix), [0.5, math.nan, math.nan])
    assert mean_iou(matrix) == 0.5


def test_without_a_true_pixel_there_is_no_figure() -> None:
    matrix = confusion_matrix(PREDICTED, np.full_like(TRUTH, 255), 3)
    assert math.isnan(mean_iou(matrix)) and math.isnan(weighted_iou(matrix)) and math.isnan(pixel_accuracy(matrix))


def test_wrong_sizes_and_indices_are_refused() -> None:
    with pytest.raises(GsegError, match="of 4 x 2 pixels, got 3 x 2"):
        confusion_matrix(PREDICTED[:, :3], TRUTH, 3)
    with pytest.raises(GsegError, match="class index 1, but there are 1 classes"):
        confusion_matrix(PREDICTED, TRUTH, 1)
