"""Outlines to correct by hand: filled again they are the label map, and they have few corners."""

import numpy as np
import pytest

from gseg_cli.annotate.outlines import outlines
from gseg_cli.annotate.shapes import Polygon, cover


def filled(found, shape):
    labels = np.zeros(shape, np.uint8)
    for outline in found:
        labels[cover(Polygon((outline.rings[0],)), *shape)] = outline.label
    return labels


def smooth(seed, side=40, classes=5):
    """Blobs of every class, some within others."""
    field = np.random.default_rng(seed).normal(size=(side, side, classes))
    for _ in range(10):
        field = sum(np.roll(field, step, axis) for step in (-1, 0, 1) for axis in (0, 1)) / 6
    return field.argmax(axis=2).astype(np.uint8)


@pytest.mark.parametrize("seed", range(20))
def test_outlines_of_blobs_fill_to_the_same_label_map(seed):
    labels = smooth(seed)
    assert np.array_equal(filled(outlines(labels), labels.shape), labels)


@pytest.mark.parametrize("seed", range(60))
def test_outlines_of_noise_fill_to_the_same_label_map(seed):
    """Single pixels, pixels that touch at a corner only, pictures of one row."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, random.integers(2, 6), random.integers(1, 14, 2)).astype(np.uint8)
    assert np.array_equal(filled(outlines(labels), labels.shape), labels)


def test_hand_drawn_label_maps_keep_every_pixel_with_fewer_corners_than_half_their_edges(truth):
    for labels in truth:
        found = outlines(labels)
        assert np.array_equal(filled(found, labels.shape), labels)
        edges = (labels[1:] != labels[:-1]).sum() + (labels[:, 1:] != labels[:, :-1]).sum()
        assert sum(len(outline.rings[0]) for outline in found) < edges / 2


def test_straight_and_slanted_edges_need_their_ends_only():
    labels = np.zeros((20, 20), np.uint8)
    labels[5:15, 5:15] = 1
    assert len(outlines(labels)[0].rings[0]) == 8  # the corners of a pixel are cut off
    labels = np.tril(np.ones((20, 20), np.uint8))
    assert len(outlines(labels)[0].rings[0]) == 6


def test_neighbours_share_the_line_between_them():
    rows, columns = np.indices((30, 30))
    labels = np.where(columns > 10 + 5 * np.sin(rows / 4), 1, 2).astype(np.uint8)
    first, second = ({tuple(corner) for corner in outline.rings[0].tolist()} for outline in outlines(labels))
    assert len(first & second) == 8


def test_background_around_everything_is_left_out_and_background_within_is_not():
    labels = np.zeros((20, 20), np.uint8)
    assert outlines(labels) == []
    labels[4:16, 4:16], labels[8:12, 8:12] = 3, 0
    assert [outline.label for outline in outlines(labels)] == [3, 0]
