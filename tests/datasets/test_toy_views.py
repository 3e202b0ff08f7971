"""Toy faces of other sizes, at other places, turned."""

import numpy as np
import pytest

from gseg_cli.datasets.toy_faces.dataset import CLASSES, render
from gseg_cli.datasets.toy_faces.views import View, render_view

EYES, BACKGROUND = CLASSES.names.index("eyes"), 0
SEED = 1_000_000


def middle_of_eyes(labels: np.ndarray) -> np.ndarray:
    return np.argwhere(labels == EYES).mean(axis=0)


def test_an_unchanged_view_is_the_face_itself() -> None:
    (image, labels), (same_image, same_labels) = render(SEED, 64), render_view(SEED, 64, View())
    assert (labels == same_labels).mean() > 0.98
    face = labels != BACKGROUND  # the backdrop's noise is stretched over the wider picture
    assert np.abs(image[face].astype(int) - same_image[face]).mean() < 6


def test_a_view_changes_size_place_and_direction_as_it_says() -> None:
    _, labels = render_view(SEED, 128, View())
    count = (labels == EYES).sum()
    for scale in (0.5, 2.0):
        changed = render_view(SEED, 128, View(scale=scale))[1]
        assert (changed == EYES).sum() == pytest.approx(count * scale**2, rel=0.1)
    shifted = render_view(SEED, 128, View(shift=0.2))[1]
    assert middle_of_eyes(shifted) - middle_of_eyes(labels) == pytest.approx([0, 0.2 * 128], abs=0.5)
    turned = render_view(SEED, 128, View(rotation_deg=30))[1]
    row, column = middle_of_eyes(labels) - 63.5
    cos, sin = np.cos(np.radians(30)), np.sin(np.radians(30))  # clockwise, rows grow downwards
    assert middle_of_eyes(turned) - 63.5 == pytest.approx([cos * row + sin * column, cos * column - sin * row], abs=0.7)


def test_a_view_beyond_the_wider_picture_is_refused() -> None:
    View(scale=0.5), View(shift=0.5), View(rotation_deg=45)
    for beyond in ({"scale": 0.49}, {"scale": 0.5, "shift": 0.1}, {"scale": 0.6, "rotation_deg": 45}):
        with pytest.raises(ValueError, match="beyond"):
            View(**beyond)
