"""Programs that count pixels, and not the places between them, keep their last row and column."""

import base64
import json

import numpy as np
import pytest

from gseg_cli.annotate.paint import MAX_EFFORT
from gseg_cli.annotate.shapes import PixelPolygon, cover, effort
from tests.annotate.exports import CLASSES, DATA, box, labelme, labels_of, square, write

SHAPES = json.loads((DATA / "pixel_shapes.json").read_text(encoding="utf-8"))  # see data/make_pixel_shapes.py


@pytest.fixture
def labels_in(ten_samples, tmp_path):
    return lambda name, content, **options: labels_of(write(tmp_path / name, content), ten_samples, CLASSES, **options)


def mask_of(text):
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8)).reshape(64, 64)


@pytest.mark.parametrize(("kind", "points", "mask"), [row for row in SHAPES["labelme"] if row[0] != "circle"])
def test_labelme_5_is_filled_as_it_fills_itself(labels_in, kind, points, mask):
    labels = labels_in("000003.json", labelme(("skin", kind, points), version="5.11.0"))
    assert np.array_equal(labels, mask_of(mask))


@pytest.mark.parametrize(("kind", "points", "mask"), [row for row in SHAPES["labelme"] if row[0] == "circle"])
def test_circles_of_labelme_5_differ_from_its_own_on_the_edge_alone(labels_in, kind, points, mask):
    labels = labels_in("000003.json", labelme(("skin", kind, points), version="5.11.0"))
    assert_on_the_edge(labels, mask_of(mask), 0.01)


@pytest.mark.parametrize(("kind", "rings", "mask"), SHAPES["supervisely"])
def test_supervisely_is_filled_as_by_its_sdk_but_for_slanted_edges(labels_in, kind, rings, mask):
    row = {"classTitle": "skin", "geometryType": kind, "points": {"exterior": rings[0], "interior": rings[1:]}}
    labels = labels_in("000003.png.json", {"size": {"width": 64, "height": 64}, "objects": [row]})
    assert_on_the_edge(labels, mask_of(mask), 0 if kind == "rectangle" else 0.02)


def assert_on_the_edge(labels, truth, share):
    assert (labels != truth).mean() <= share
    padded = np.pad(truth, 1)
    for row, column in np.argwhere(labels != truth):
        assert len(np.unique(padded[row : row + 3, column : column + 3])) == 2


@pytest.mark.parametrize("version", ["5.5.0", "3.16.7", "0.3.3", None])
def test_the_last_row_and_column_can_be_reached(labels_in, version):
    """AnyLabeling and X-AnyLabeling have versions of their own; the oldest files tell none."""
    document = labelme(("skin", "polygon", square(0, 40, 63, 63)), version=version)
    assert np.array_equal(labels_in("000003.json", document), box(64, 0, 40, 64, 64))


def test_labelme_6_counts_the_places_between_pixels(labels_in):
    document = labelme(("skin", "polygon", square(0, 40, 64, 64)), version="6.0.0")
    assert np.array_equal(labels_in("000003.json", document), box(64, 0, 40, 64, 64))


def test_points_and_lines_lie_on_the_middle_of_their_pixel(labels_in):
    def covered(version):
        shapes = [("skin", "point", [[20, 20]]), ("skin", "line", [[30, 50], [50, 50]])]
        return labels_in("000003.json", labelme(*shapes, version=version), line_width=5)

    assert covered("5.5.0")[20 - 2 : 20 + 3, 20].all() and not covered("5.5.0")[[17, 23], 20].any()
    assert covered("5.5.0")[48:53, 40].all() and covered("6.0.0")[:, 40].sum() <= 5


def test_an_outline_of_hours_is_known_before_it_is_drawn():
    ring = np.array([(-100_000, 0), (100_000, 63)] * 50_000)
    assert effort(PixelPolygon((ring,)), 64, 64) > MAX_EFFORT


def test_what_reaches_over_the_picture_is_cut():
    ring = np.array([(-9, -9), (70, -9), (70, 30), (-9, 30)])
    assert np.array_equal(cover(PixelPolygon((ring,)), 64, 64), box(64, 0, 0, 64, 31))
    assert not cover(PixelPolygon((ring + 100,)), 64, 64).any()
