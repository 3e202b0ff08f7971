"""Exports of the same ten samples in every format give the same label maps, and each tool's own rules are kept."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests.annotate.exports import CLASSES, DATA, load

# Filled by shapely, as polygons; the others hold the label maps themselves and must agree exactly.
POLYGONS = {
    "labelme.zip": "labelme",
    "coco_instances.zip": "COCO",
    "cvat_polygons.zip": "CVAT",
    "label_studio_polygons.json": "Label Studio",
    "qupath.zip": "QuPath",
    "datumaro_polygons.zip": "Datumaro",
    "darwin.zip": "Darwin",
    "isat.zip": "ISAT",
}
MASKS = {
    "labelme_masks.zip": "labelme",
    "coco_rle.zip": "COCO",
    "coco_compressed.json": "COCO",
    "coco_panoptic.zip": "COCO panoptic",
    "cvat_masks.zip": "CVAT",
    "voc.zip": "segmentation masks",
    "open_raster.zip": "OpenRaster",
    "label_studio_brush.json": "Label Studio",
    "supervisely.zip": "Supervisely",
    "datumaro_masks.zip": "Datumaro",
    "darwin_masks.zip": "Darwin",
    "photoshop.zip": "Photoshop",
    "celeba.zip": "masks of parts",
    "indexed.zip": "label maps",
    "grey.zip": "label maps",
    "color.zip": "label maps",
}


@pytest.mark.parametrize("name", [*POLYGONS, *MASKS])
def test_every_format_gives_the_same_ten_label_maps(ten_samples, truth, name):
    if name == "photoshop.zip":
        pytest.importorskip("psd_tools")
    kind, found = load(DATA / name, ten_samples, CLASSES)
    assert kind == {**POLYGONS, **MASKS}[name]
    assert found.failures == () and found.warnings == ()
    annotations = found.all()
    assert annotations.seeds == tuple(range(10)) and np.array_equal(annotations.ws, ten_samples.ws)
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
def test_an_unpacked_zip_gives_the_same(ten_samples, truth, name, tmp_path):
    if name == "photoshop.zip":
        pytest.importorskip("psd_tools")
    with zipfile.ZipFile(DATA / name) as archive:
        archive.extractall(tmp_path)
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert (found.all().labels != truth).mean() < 0.001


@pytest.mark.parametrize("name", ["darwin", "isat"])
def test_polygons_cover_what_the_tool_itself_fills_but_for_its_rounding(ten_samples, name):
    """rasters.zip is what darwin-py and ISAT fill: they round corners to pixels, and draw the outline, too."""
    _, found = load(DATA / f"{name}.zip", ten_samples, CLASSES)
    with zipfile.ZipFile(DATA / "rasters.zip") as archive:
        files = [file for file in sorted(archive.namelist()) if file.startswith(name)]
        filled = np.stack([np.array(Image.open(io.BytesIO(archive.read(file)))) for file in files])
    labels = found.all().labels
    assert len(files) == 10 and (labels != filled).mean() < 0.05
    for index in range(1, len(CLASSES)):
        for inner, outer in ((labels == index, filled == index), (filled == index, labels == index)):
            assert (eroded(inner) & ~outer).mean() < 0.0005


def eroded(masks):
    """[N, H, W] without a pixel all around."""
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    size = masks.shape[1]
    shifts = [padded[:, y : y + size, x : x + size] for y in range(3) for x in range(3)]
    return np.logical_and.reduce(shifts)
