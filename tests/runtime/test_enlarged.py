"""Everything that is told of a large map without making it is what the large map says."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from gseg_runtime import png
from gseg_runtime.coco_rle import coco_annotations, coco_runs
from gseg_runtime.enlarged import Enlarged
from gseg_runtime.png import encode_png

# (small, large): enlarged by whole and by odd factors, reduced, the same, and single rows and columns.
SIZES = [((24, 32), (96, 128)), ((24, 32), (61, 90)), ((24, 32), (7, 300)), ((9, 5), (9, 5)), ((1, 1), (4, 3))]


def planes() -> list[Enlarged]:
    """Noise, which has the most runs, and stripes, which have the longest."""
    rng = np.random.default_rng(0)
    noise = [Enlarged(rng.choice(np.array([0, 1, 2, 255], np.uint8), small), *large) for small, large in SIZES]
    stripes = [Enlarged(np.full(small, 3, np.uint8) * (np.arange(small[1]) % 5 > 2), *large) for small, large in SIZES]
    return noise + [Enlarged(plane.small.astype(np.uint8), plane.height, plane.width) for plane in stripes]


def test_areas_are_those_of_the_large_map() -> None:
    for plane in planes():
        assert plane.areas(256) == np.bincount(plane.full().ravel(), minlength=256).tolist()
        assert plane.areas(2) == plane.areas(256)[:2]


@pytest.mark.parametrize("with_zlib_ng", [False, True])
def test_pngs_hold_the_large_map(with_zlib_ng: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png, "fast_zlib", pytest.importorskip("zlib_ng.zlib_ng") if with_zlib_ng else zlib)
    for plane in planes():
        for palette, mode in ((bytes(768), "P"), (None, "L")):
            with Image.open(io.BytesIO(encode_png(plane, palette))) as image:
                assert image.mode == mode
                np.testing.assert_array_equal(np.asarray(image), plane.full())


def test_runs_are_the_ones_that_pycocotools_makes() -> None:
    for plane in planes():
        full = plane.full()
        runs = coco_runs(plane)
        assert sorted(runs) == np.unique(full).tolist()
        for label, counts in runs.items():
            theirs = coco.encode(np.asfortranarray(full == label).astype(np.uint8))
            assert counts == theirs["counts"].decode()


def test_runs_longer_than_three_groups_of_bits_are_compressed_as_pycocotools_does() -> None:
    plane = Enlarged(np.array([[0, 1], [0, 0]], np.uint8), 5000, 4001)
    theirs = coco.encode(np.asfortranarray(plane.full()))
    assert coco_runs(plane)[1] == theirs["counts"].decode()


def test_annotations_leave_out_background_and_ignored_pixels() -> None:
    for plane in planes():
        annotations = coco_annotations(plane)
        labels = set(np.unique(plane.full()).tolist()) - {0, 255}
        assert {annotation["category_id"] for annotation in annotations} == labels
        for annotation in annotations:
            segmentation = annotation["segmentation"]
            assert annotation["area"] == coco.area(segmentation)
            assert annotation["bbox"] == coco.toBbox(segmentation).tolist()
