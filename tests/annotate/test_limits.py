"""Each limit guards one thing, and the largest real thing of every format is within it."""

import itertools
import json
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from gseg_cli.annotate.drawing import PHOTOS
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.photo_folder import PhotoFolder
from gseg_cli.annotate.photos import read_labelled_photos
from gseg_cli.annotate.recognise import read_source
from tests.annotate.exports import CLASSES, box, coco, cvat, label_studio, labelme, labels_of, png, square, write
from tests.annotate.test_hostile import huge_png


@pytest.fixture
def labels_in(ten_samples, tmp_path):
    return lambda name, content, **options: labels_of(write(tmp_path / name, content), ten_samples, CLASSES, **options)


def outline(num_points, size=64):
    """A circle of so many points, as magic wands and contour tracers leave them."""
    angle = np.linspace(0, 2 * np.pi, num_points, endpoint=False)
    return np.round(np.stack([np.cos(angle), np.sin(angle)], axis=1) * size * 0.4 + size / 2, 2).tolist()


CIRCLE = np.pi * 25.6**2


def test_outlines_of_thousands_of_points_are_read(labels_in):
    points = outline(5000)
    text = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
    percent = {"points": (np.array(points) / 0.64).tolist(), "polygonlabels": ["skin"]}
    for name, content in {
        "cvat.xml": cvat(f'<polygon label="skin" points="{text}" z_order="0"/>'),
        "coco.json": coco({"segmentation": [np.ravel(points).tolist()]}),
        "labelme.json": labelme(("skin", "polygon", points)),
        "studio.json": label_studio(percent),
    }.items():
        assert (labels_in(name, content) == 1).sum() == pytest.approx(CIRCLE, rel=0.01), name


def test_a_mask_that_changes_at_every_pixel_is_read(labels_in):
    """Dithered by a brush with a texture: the longest run-length encoding there is."""
    checked = np.indices((64, 64)).sum(axis=0) % 2
    runs = [len(list(group)) for _, group in itertools.groupby(checked.ravel().tolist())]
    mask = f'<mask label="skin" rle="{", ".join(map(str, runs))}" left="0" top="0" width="64" height="64"/>'
    assert len(mask) > 10_000 and np.array_equal(labels_in("a.xml", cvat(mask)), checked)
    down = [len(list(group)) for _, group in itertools.groupby(checked.T.ravel().tolist())]
    assert np.array_equal(labels_in("a.json", coco({"segmentation": {"size": [64, 64], "counts": down}})), checked)


def test_ids_may_be_as_large_as_tools_make_them(labels_in, ten_samples, tmp_path):
    """Panoptic ids are colours of 24 bits, and data sets number their pictures in the billions."""
    panoptic = coco()
    panoptic["images"][0]["id"] = 2**40
    segments = [{"id": 0xFFFFFF, "category_id": 1}, {"id": 8345041, "category_id": 2}]
    panoptic["annotations"] = [{"image_id": 2**40, "file_name": "000003.png", "segments_info": segments}]
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[8:16, 8:16] = 255
    pixels[20:24, 20:24] = (8345041 % 256, 8345041 // 256 % 256, 8345041 // 65536)
    write(tmp_path / "p/panoptic.json", panoptic)
    write(tmp_path / "p/panoptic/000003.png", png(pixels))
    labels = labels_of(tmp_path / "p", ten_samples, CLASSES)
    assert ((labels == 1).sum(), (labels == 2).sum()) == (64, 16)
    ordered = '<box label="skin" xtl="0" ytl="0" xbr="8" ybr="8" z_order="2000000"/>'
    assert (labels_in("a.xml", cvat(ordered)) == 1).sum() == 64


def test_addresses_of_pictures_may_be_longer_than_names(labels_in):
    signed = "https://bucket.s3.amazonaws.com/000003.png?X-Amz-Security-Token=" + "x" * 2000
    assert (labels_in("a.json", coco({"bbox": [0, 0, 8, 8]}, name=signed)) == 1).sum() == 64
    assert (labels_in("b.json", labelme(("skin", "rectangle", [[0, 0], [8, 8]]), path=signed)) == 1).any()


@pytest.fixture
def photos(tmp_path):
    """A photo of 24 megapixels."""
    (tmp_path / "photos").mkdir()
    Image.new("L", (6000, 4000), 99).save(tmp_path / "photos/anna.jpg")
    return PhotoFolder.of(tmp_path / "photos")


def on_photo(source, photos):
    _, reading = read_source(source, Names(CLASSES), PHOTOS)
    labelled, work = read_labelled_photos(
        reading, photos, Names(CLASSES), 64, fit="letterbox", unlabelled=0, line_width=10
    )
    assert work.failures == []
    return labelled[0].labels


def test_photos_of_cameras_are_read_in_every_format(photos, tmp_path):
    def sized(document):
        return json.loads(json.dumps(document).replace("64", "6000").replace('"height": 6000', '"height": 4000'))

    quarter = [[0, 0], [3000, 0], [3000, 2000], [0, 2000]]
    image = '<image id="0" name="anna.jpg" width="6000" height="4000"><box label="skin" xtl="0" ytl="0" '
    values = np.zeros((4000, 6000), np.uint8)
    values[:2000, :3000] = 1
    cases = {
        "labelme.json": labelme(("skin", "polygon", quarter), path="anna.jpg", imageWidth=6000, imageHeight=4000),
        "coco.json": sized(coco({"segmentation": [np.ravel(quarter).tolist()]}, name="anna.jpg")),
        "cvat.xml": f'<annotations>{image} xbr="3000" ybr="2000" z_order="0"/></image></annotations>',
        "masks/SegmentationClass/anna.png": png(values),
        "parts/anna.png": png(values),
    }  # fmt: skip
    for name, content in cases.items():
        write(tmp_path / name, content)
    (tmp_path / "masks/class_names.txt").write_text("_background_\nskin\n")
    for name in ("labelme.json", "coco.json", "cvat.xml", "masks", "parts"):
        assert (on_photo(tmp_path / name, photos) == 1).sum() == pytest.approx(32 * 21, abs=32), name


@pytest.mark.parametrize("version", ["5.11.0", "6.3.1"])
def test_hundreds_of_small_shapes_on_a_photo_are_read(photos, tmp_path, version):
    shapes = [("skin", "polygon", square(20 * i, 0, 20 * i + 19, 3000)) for i in range(300)]
    document = labelme(*shapes, path="anna.jpg", imageWidth=6000, imageHeight=4000, version=version)
    assert (on_photo(write(tmp_path / "a.json", document), photos) == 1).sum() > 1000


def test_a_sample_as_large_as_a_photo_and_a_photo_beyond_cameras_are_refused(tmp_path):
    for bounds, size, expected in (
        (None, (6000, 4000), "at most 4096x4096"),
        (PHOTOS, (9000, 9000), "64 megapixels"),
    ):
        write(tmp_path / "000003.png", huge_png(*size))
        _, reading = read_source(tmp_path, Names(CLASSES), *([bounds] if bounds else []))
        assert expected in reading.failures[0].message


def test_masks_of_many_large_photos_do_not_all_lie_in_memory_until_they_are_painted(tmp_path):
    """Forty of 360 kB, in two classes."""
    for seed in range(40):
        write(tmp_path / f"{seed:06d}.png", png(box(600, 10, 10, 590, 590, 2)))
    tracemalloc.start()
    _, reading = read_source(tmp_path, Names(CLASSES), PHOTOS)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(reading.drawings) == 40
    assert kept < 2 * 600**2 and peak < 20 * 600**2, (kept / 600**2, peak / 600**2)


def test_masks_are_kept_as_small_as_what_they_cover(ten_samples, tmp_path):
    """So that many classes on large photos fit into the limit on all masks together."""
    write(tmp_path / "000003.png", png(box(64, 8, 8, 16, 16, 2)))
    _, reading = read_source(tmp_path, Names(CLASSES))
    shapes = [layer.shape for layer in reading.drawings[0].layers]
    assert [shape.mask.shape for shape in shapes] == [(64, 64), (8, 8)] and shapes[1].corner == (8, 8)
