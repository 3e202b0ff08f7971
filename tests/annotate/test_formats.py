"""Exports of the same ten samples in every format give the same label maps, and each tool's own rules are kept."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import tie
from gseg_cli.annotate.recognise import read_source
from gseg_cli.gan.sample_set import SampleSet
from gseg_runtime.class_map import ClassMap

DATA = Path(__file__).parent / "data"
CLASSES = ClassMap(
    ("background", "skin", "hair", "eyes", "mouth"),
    ((0, 0, 0), (230, 190, 160), (90, 50, 30), (40, 90, 220), (200, 30, 60)),
)
# Filled by shapely, as polygons; the others hold the label maps themselves and must agree exactly.
POLYGONS = {
    "labelme.zip": "labelme",
    "coco_instances.zip": "COCO",
    "cvat_polygons.zip": "CVAT",
    "label_studio_polygons.json": "Label Studio",
}
MASKS = {
    "labelme_masks.zip": "labelme",
    "coco_rle.zip": "COCO",
    "coco_compressed.json": "COCO",
    "coco_panoptic.zip": "COCO panoptic",
    "cvat_masks.zip": "CVAT",
    "voc.zip": "segmentation masks",
    "label_studio_brush.json": "Label Studio",
    "celeba.zip": "masks of parts",
    "indexed.zip": "label maps",
    "grey.zip": "label maps",
    "color.zip": "label maps",
}


@pytest.fixture(scope="session")
def samples():
    return SampleSet.load(DATA / "samples")


@pytest.fixture(scope="session")
def truth():
    """[10, 64, 64]"""
    with zipfile.ZipFile(DATA / "truth.zip") as archive:
        return np.stack([np.array(Image.open(io.BytesIO(archive.read(name)))) for name in archive.namelist()])


def read(source, samples, **options):
    names = Names(CLASSES)
    kind, reading = read_source(source, names)
    return kind, tie(reading, samples, names, **options)


@pytest.mark.parametrize("name", [*POLYGONS, *MASKS])
def test_every_format_gives_the_same_ten_label_maps(samples, truth, name):
    kind, found = read(DATA / name, samples)
    assert kind == {**POLYGONS, **MASKS}[name]
    assert found.failures == () and found.warnings == ()
    annotations = found.all()
    assert annotations.seeds == tuple(range(10)) and np.array_equal(annotations.ws, samples.ws)
    if name in MASKS:
        assert np.array_equal(annotations.labels, truth)
    else:
        assert_same_within_one_pixel(annotations.labels, truth)


def assert_same_within_one_pixel(labels, truth):
    """Where both differ, each has a neighbouring pixel of the other's class; and that is rare."""
    differs = labels != truth
    assert differs.mean() < 0.001
    for index, row, column in np.argwhere(differs):
        around = np.s_[index, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        assert labels[index, row, column] in truth[around] and truth[index, row, column] in labels[around]


@pytest.mark.parametrize("name", [name for name in [*POLYGONS, *MASKS] if name.endswith(".zip")])
def test_an_unpacked_zip_gives_the_same(samples, truth, name, tmp_path):
    with zipfile.ZipFile(DATA / name) as archive:
        archive.extractall(tmp_path)
    _, found = read(tmp_path, samples)
    assert (found.all().labels != truth).mean() < 0.001
