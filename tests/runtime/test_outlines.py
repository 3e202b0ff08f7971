"""Connected parts and their outlines, against OpenCV's and against the pixels themselves."""

import cv2
import numpy as np
import pytest

from gseg_cli.annotate.shapes import Polygon, cover
from gseg_runtime.connected import connected_parts
from gseg_runtime.enlarged import Enlarged, Plane
from gseg_runtime.outlines import Outline, area_in, outlines

# (small, large): enlarged by whole and by odd factors, reduced, the same, and single rows and columns.
SIZES = [((24, 32), (96, 128)), ((24, 32), (61, 90)), ((24, 32), (7, 300)), ((9, 5), (9, 5)), ((1, 1), (4, 3))]
SIZES += [((1, 20), (10, 200)), ((20, 1), (20, 1))]


def noise(shape: tuple[int, int], num_labels: int = 3, blur: float = 0, seed: int = 0) -> Plane:
    """Labels in blobs of about `blur` pixels."""
    scores = np.random.default_rng(seed).random((num_labels, *shape))
    if blur:
        scores = np.stack([cv2.GaussianBlur(score, (0, 0), blur) for score in scores])
    return scores.argmax(axis=0).astype(np.uint8)


def painted(found: list[Outline], height: int, width: int) -> tuple[Plane, Plane]:
    """The labels that outlines cover, and how many of them cover each pixel."""
    labels, times = np.full((height, width), 99, np.uint8), np.zeros((height, width), np.uint8)
    for outline in found:
        mask = cover(Polygon(outline.rings), height, width)
        labels[mask] = outline.label
        times += mask
    return labels, times


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 53)])
def test_connected_parts_are_opencvs(shape: tuple[int, int], diagonal: bool) -> None:
    for seed in range(5):
        labels = noise(shape, num_labels=2 + seed % 3, blur=0.5 * (seed % 2), seed=seed)
        found = connected_parts(labels, diagonal=diagonal)
        parts, label_of = found.numbers, found.labels
        np.testing.assert_array_equal(label_of[parts], labels)
        numbers = [0]
        for label in np.unique(labels):
            _, theirs = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=8 if diagonal else 4)
            ours = parts[labels == label]
            pairs = set(zip(ours.tolist(), theirs[labels == label].tolist(), strict=True))
            assert len(pairs) == len({our for our, _ in pairs}) == len({their for _, their in pairs})
            numbers.append(len(pairs))
        assert sum(numbers) == len(label_of)
        painted = np.full(shape, -1)
        for row, left, right, part in zip(*found.runs, strict=True):
            painted[row, left:right] = part
        np.testing.assert_array_equal(painted, parts)


def test_a_winding_part_is_one() -> None:
    labels = np.zeros((41, 41), np.uint8)
    for inset in range(0, 20, 2):  # a spiral
        labels[inset, inset : 41 - inset] = labels[inset : 41 - inset, 40 - inset] = 1
        labels[40 - inset, inset : 41 - inset] = labels[inset + 2 : 41 - inset, inset] = 1
        labels[inset + 2, inset + 1] = 1
    count, _ = cv2.connectedComponents(labels, connectivity=4)
    assert count == 2
    parts = connected_parts(labels, diagonal=False)
    assert (parts.labels == 1).sum() == 1 and parts.numbers.max() + 1 == len(parts.labels)


@pytest.mark.parametrize(("small", "large"), SIZES)
def test_without_tolerance_outlines_are_the_pixels(small: tuple[int, int], large: tuple[int, int]) -> None:
    for blur in (0, 1.5):
        plane = Enlarged(noise(small, blur=blur), *large)
        labels, times = painted(outlines(plane, 0), *large)
        np.testing.assert_array_equal(labels, plane.full())
        assert (times == 1).all()


def test_holes_are_opencvs() -> None:
    labels = noise((60, 80), 2, blur=1)
    found = [outline for outline in outlines(Enlarged(labels, 60, 80), 0) if outline.label]
    connected = connected_parts(labels, diagonal=False)
    parts, label_of = connected.numbers, connected.labels
    assert len(found) == (label_of == 1).sum() > 5
    num_holes = 0
    for number in np.flatnonzero(label_of == 1):
        outside = np.pad((parts != number).astype(np.uint8), 1, constant_values=1)
        count, _ = cv2.connectedComponents(outside, connectivity=8)  # zeros count as one, and so does what is around
        num_holes += count - 2
    assert sum(len(outline.rings) - 1 for outline in found) == num_holes > 10
    assert all(area_in(outline.rings[0]) > 0 for outline in found)
    assert all(area_in(ring) < 0 for outline in found for ring in outline.rings[1:])


def test_neighbours_share_their_outlines_however_simple_these_are() -> None:
    plane = Enlarged(noise((96, 128), 4, blur=4), 480, 640)
    exact, simple = outlines(plane, 0), outlines(plane)
    labels, times = painted(simple, 480, 640)
    assert (times != 1).mean() < 1e-3  # but where an outline crosses itself
    assert (labels == plane.full()).mean() > 0.97
    num_points = [sum(len(ring) for outline in found for ring in outline.rings) for found in (exact, simple)]
    assert num_points[1] < num_points[0] / 2


def test_simple_outlines_stay_within_two_steps_of_the_pixels() -> None:
    plane = Enlarged(noise((64, 64), 3, blur=3), 640, 640)
    labels, _ = painted(outlines(plane), 640, 640)
    full = plane.full()
    is_inner = cv2.erode(full, np.ones((41, 41))) == cv2.dilate(full, np.ones((41, 41)))
    assert is_inner.mean() > 0.2 and (labels == full)[is_inner].all()


def test_no_part_is_lost_to_simplicity() -> None:
    labels = np.zeros((40, 40), np.uint8)
    labels[20:, :] = 1
    labels[5, 5] = labels[10, 3:30] = 2  # a single pixel, a line
    labels[20, 10:14] = 3  # thin, and between two others
    found = outlines(Enlarged(labels, 400, 400))
    assert sorted(outline.label for outline in found) == [0, 1, 2, 2, 3]
    seen, _ = painted(found, 400, 400)
    for label, size in ((2, 28), (3, 4)):
        assert (seen == label).sum() == pytest.approx(size * 100, rel=0.5)


def test_a_straight_edge_has_two_ends_and_a_slope_is_one_line() -> None:
    labels = np.zeros((32, 32), np.uint8)
    labels[:, 16:] = 1
    assert [len(outline.rings[0]) for outline in outlines(Enlarged(labels, 99, 99))] == [4, 4]
    slope = np.tri(32, dtype=np.uint8)
    assert max(len(outline.rings[0]) for outline in outlines(Enlarged(slope, 320, 320))) <= 6


def test_what_lies_inside_is_told_from_what_touches_the_edge() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 1
    labels[8:12, 8:12] = 0
    found = outlines(Enlarged(labels, 20, 20), 0)
    assert [(outline.label, outline.is_inside, len(outline.rings)) for outline in found] == [
        (0, False, 2),
        (1, True, 2),
        (0, True, 1),
    ]
    assert [outline.filled_area for outline in found] == [400, 100, 16]
