"""What was drawn on enlarged samples is exactly what would have been drawn on the samples."""

import json
import zipfile

import numpy as np
import pytest

from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import tie
from gseg_cli.annotate.shapes import Bitmap, Ellipse, PixelPolygon, Polygon, Stroke
from tests.annotate.exports import CLASSES, DATA, box, labelme, labels_of, load, png, square, via, write

SCALES = (2, 3, 4, 8)


def painted(samples, shape, size, **options):
    reading = Reading([Drawing("a.json", ("000003.png",), (size, size), [Layer("skin", shape)])])
    found = tie(reading, samples, Names(CLASSES), **options)
    assert found.warnings == () or "--line-width" in found.warnings[0]
    return found.all().labels[0]


@pytest.mark.parametrize("times", SCALES)
def test_a_label_map_enlarged_pixel_by_pixel_comes_back_unchanged(ten_samples, truth, tmp_path, times):
    for seed, labels in enumerate(truth):
        write(tmp_path / f"{seed:06d}.png", png(labels.repeat(times, axis=0).repeat(times, axis=1)))
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels, truth) and found.warnings == ()


@pytest.mark.parametrize("times", SCALES)
def test_polygons_drawn_larger_cover_the_same_pixels_to_the_last_one(ten_samples, tmp_path, times):
    """Ten samples of hand-drawn outlines in labelme's JSON."""
    with zipfile.ZipFile(DATA / "labelme.zip") as archive:
        for name in archive.namelist():
            if name.endswith(".json"):
                write(tmp_path / "plain" / name, content := json.loads(archive.read(name)))
                write(tmp_path / "large" / name, enlarged(content, times))
    _, plain = load(tmp_path / "plain", ten_samples, CLASSES)
    _, large = load(tmp_path / "large", ten_samples, CLASSES)
    assert np.array_equal(large.all().labels, plain.all().labels) and large.warnings == ()


def enlarged(content, times):
    shapes = [{**shape, "points": (np.array(shape["points"]) * times).tolist()} for shape in content["shapes"]]
    size = {key: content[key] * times for key in ("imageWidth", "imageHeight")}
    return {**content, **size, "shapes": shapes, "imageData": None}


@pytest.mark.parametrize("times", SCALES)
def test_every_kind_of_shape_is_divided_by_the_scale(ten_samples, times):
    ring = np.array([[3.3, 4.1], [40.2, 9.5], [22.7, 51.9]])
    ellipse, turned = (
        Ellipse((30, 20), (12.4, 7.7), 30),
        Ellipse((30 * times, 20 * times), (12.4 * times, 7.7 * times), 30),
    )
    for plain, large in ((Polygon((ring,)), Polygon((ring * times,))), (ellipse, turned)):
        assert np.array_equal(painted(ten_samples, large, 64 * times), painted(ten_samples, plain, 64))
    line, width = np.array([[10.0, 12], [50, 40]]), 6
    wanted = painted(ten_samples, Stroke(line), 64, line_width=width)
    assert np.array_equal(painted(ten_samples, Stroke(line * times), 64 * times, line_width=width * times), wanted)


@pytest.mark.parametrize("times", SCALES)
def test_a_mask_is_cut_and_shifted_by_any_number_of_pixels(ten_samples, times):
    mask = np.random.default_rng(0).random((5 * times + 1, 7 * times + 2)) > 0.5
    for corner in ((0, 0), (1, times + 1), (-3, 2 * times), (60 * times, 61 * times - 1)):
        whole = np.zeros((64 * times, 64 * times), bool)
        for row, column in np.argwhere(mask):
            x, y = corner[0] + column, corner[1] + row
            if 0 <= x < len(whole) and 0 <= y < len(whole):
                whole[y, x] = True
        wanted = whole[times // 2 :: times, times // 2 :: times]
        assert np.array_equal(painted(ten_samples, Bitmap(mask, corner), 64 * times) == 1, wanted)


def test_outlines_of_pixels_reach_the_last_row_on_enlarged_samples_too(ten_samples):
    last = 8 * 64 - 1
    ring = np.array([[8 * 10, 8 * 40], [last, 8 * 40], [last, last], [8 * 10, last]])
    assert np.array_equal(painted(ten_samples, PixelPolygon((ring,)), 512), box(64, 10, 40, 64, 64))


def test_the_scale_is_given_by_hand_where_the_file_does_not_tell(ten_samples, tmp_path):
    square = {"name": "rect", "x": 80, "y": 160, "width": 320, "height": 160}
    path = write(tmp_path / "via.json", via(square))
    assert np.array_equal(labels_of(path, ten_samples, CLASSES, scale=8), box(64, 10, 20, 50, 40))
    (failure,) = load(write(tmp_path / "b.json", via(POLYGON)), ten_samples, CLASSES)[1].failures
    assert "reaches to 400" in failure.message and "--scale" in failure.hint


@pytest.mark.parametrize(
    ("shape", "reach"),
    [
        ({"name": "ellipse", "cx": 300, "cy": 32, "rx": 10, "ry": 8}, 300),
        ({"name": "ellipse", "cx": 32, "cy": 32, "rx": 10, "ry": 80}, 80),
        ({"name": "circle", "cx": 100, "cy": 100, "r": 90}, 100),
        ({"name": "point", "cx": 30, "cy": 300}, 300),
        ({"name": "polyline", "all_points_x": [10, 200], "all_points_y": [10, 20]}, 200),
    ],
)
def test_no_shape_far_outside_passes_where_the_file_does_not_tell_the_size(ten_samples, tmp_path, shape, reach):
    path = write(tmp_path / "a.json", via(shape))
    (failure,) = load(path, ten_samples, CLASSES)[1].failures
    assert f"reaches to {reach}, but the picture has 64 pixels" in failure.message
    assert load(path, ten_samples, CLASSES, scale=8)[1].failures == ()


def test_shapes_that_cover_nothing_are_told_where_the_file_tells_the_size(ten_samples, tmp_path):
    """Outside, and smaller than a pixel; the last one is left out on purpose."""
    shapes = [("hair", "polygon", square(70, 70, 90, 90)), ("skin", "polygon", square(8, 8, 9, 9)),
              ("eyes", "polygon", square(8.6, 8.6, 9.4, 9.4)), ("note", "polygon", square(90, 90, 99, 99))]  # fmt: skip
    write(tmp_path / "000003.json", labelme(*shapes))
    _, found = load(tmp_path, ten_samples, CLASSES, mapping={"note": "-"})
    (warning,) = [text for text in found.warnings if "cover no pixel" in text]
    assert "000003.json: 2 shapes cover no pixel (hair, eyes)" in warning


def test_a_mask_outside_of_a_picture_of_unknown_size_is_an_error(ten_samples):
    reading = Reading(
        [Drawing("a.json", ("000003.png",), None, [Layer("skin", Bitmap(np.ones((9, 9), bool), (60, 0)))])]
    )
    (failure,) = tie(reading, ten_samples, Names(CLASSES)).failures
    assert "reaches to 69, but the picture has 64 pixels" in failure.message


def test_a_circle_may_be_drawn_over_the_edge(ten_samples, tmp_path):
    path = write(tmp_path / "a.json", via({"name": "circle", "cx": 60, "cy": 32, "r": 20}))
    assert load(path, ten_samples, CLASSES)[1].failures == ()


POLYGON = {"name": "polygon", "all_points_x": [80, 400, 400], "all_points_y": [80, 80, 400]}


def test_the_scale_given_by_hand_does_not_touch_what_tells_its_size(ten_samples, tmp_path):
    path = write(tmp_path / "a.json", labelme(("skin", "rectangle", [[10, 20], [50, 40]])))
    assert np.array_equal(labels_of(path, ten_samples, CLASSES, scale=8), box(64, 10, 20, 50, 40))
