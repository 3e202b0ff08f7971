"""The boundary F-score: against a count by hand, and against an implementation with nothing in common."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from gseg_cli.evaluate.boundary import boundary_counts, boundary_f

Labels = npt.NDArray[np.uint8]
NUM_CLASSES = 5
CROSS = ndimage.generate_binary_structure(2, 1)


def random_labels(seed: int, shape: tuple[int, int], *, ignore: bool) -> Labels:
    """Blobs of all classes, and some pixels of 255."""
    rng = np.random.default_rng(seed)
    height, width = shape
    coarse = rng.integers(0, NUM_CLASSES, (height // 4 + 1, width // 4 + 1)).astype(np.uint8)
    labels = coarse.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    labels[rng.random(shape) < 0.02] = 2
    if ignore:
        labels[rng.random(shape) < 0.03] = 255
    return labels


def by_distance_transform(predicted: Labels, truth: Labels, tolerance: float) -> npt.NDArray[np.int64]:
    """Class by class, with erosion for the boundary and exact Euclidean distances for the partners."""
    radius = math.ceil(tolerance * math.hypot(*truth.shape))
    ignored = truth == 255

    def outline(labels: Labels, index: int) -> npt.NDArray[np.bool_]:
        mine = labels == index
        # Beyond the frame, and where the truth is ignored, everything is of the class: there is no boundary there.
        return mine & ~ignored & ~ndimage.binary_erosion(mine | ignored, CROSS, border_value=1)

    def near(points: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_]) -> int:
        return int((ndimage.distance_transform_edt(~others) <= radius)[points].sum()) if others.any() else 0

    columns = []
    for index in range(NUM_CLASSES):
        ours, theirs = outline(predicted, index), outline(truth, index)
        columns.append([ours.sum(), near(ours, theirs), theirs.sum(), near(theirs, ours)])
    return np.array(columns).T


@pytest.mark.parametrize("tolerance", [0, 0.0075, 0.03, 0.2])
@pytest.mark.parametrize("shape", [(61, 47), (20, 90), (1, 30)])
def test_counts_agree_with_erosion_and_distance_transform(shape: tuple[int, int], tolerance: float) -> None:
    for seed in range(5):
        truth = random_labels(seed, shape, ignore=True)
        predicted = random_labels(seed + 100, shape, ignore=seed % 2 == 1)
        np.testing.assert_array_equal(
            boundary_counts(predicted, truth, NUM_CLASSES, tolerance=tolerance),
            by_distance_transform(predicted, truth, tolerance),
        )


def test_against_a_count_by_hand() -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[:, 4:] = 1
    predicted = np.zeros((8, 8), np.uint8)
    predicted[:, 5:] = 1  # one pixel to the right
    # Two columns of eight pixels each, the left one of class 0; the diagonal is 11.3, so 0.05 of it is one pixel.
    exact, within_one = (boundary_counts(predicted, truth, 3, tolerance=tolerance) for tolerance in (0, 0.05))
    assert exact.tolist() == [[8, 8, 0], [0, 0, 0], [8, 8, 0], [0, 0, 0]]
    np.testing.assert_array_equal(boundary_f(exact), [0, 0, math.nan])
    np.testing.assert_array_equal(boundary_f(within_one), [1, 1, math.nan])


def test_the_f_score_is_the_harmonic_mean_over_all_images() -> None:
    counts = np.array([[10, 0, 7], [5, 0, 7], [40, 6, 0], [10, 0, 0]])
    # 5 of 10 and 10 of 40; nothing found of what is there; nothing there.
    np.testing.assert_allclose(boundary_f(counts), [2 * 0.5 * 0.25 / 0.75, 0, math.nan])


def test_the_rim_of_what_is_ignored_is_no_boundary() -> None:
    truth = np.zeros((6, 9), np.uint8)
    truth[:, 3:6] = 255
    truth[:, 6:] = 1
    assert not boundary_counts(np.zeros_like(truth), truth, 2).any()
