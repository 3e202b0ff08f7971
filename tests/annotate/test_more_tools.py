"""Datumaro, V7 Darwin, ISAT, SA-1B and makesense.ai: every shape they have, and the order it is painted in."""

import json

import numpy as np
import pytest

from gseg_cli.annotate.drawing import PHOTOS
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.recognise import read_source
from gseg_runtime.errors import GsegError
from tests.annotate.exports import CLASSES, box, darwin, datumaro, labels_of, load, sa1b, write
from tests.annotate.test_tools import area


def ring(x0, y0, x1, y1):
    return [{"x": x, "y": y} for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1))]


def darwin_shape(**shape):
    return darwin({}) | {"annotations": [{"id": "1", "name": "skin", **shape}]}


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        ({"type": "bbox", "bbox": [8, 8, 10, 20]}, 200),
        ({"type": "bbox", "bbox": [20, 20, 20, 20], "attributes": {"rotation": 45}}, 400),
        ({"type": "ellipse", "points": [22, 12, 42, 52]}, np.pi * 200),
        ({"type": "polyline", "points": [10, 32, 50, 32]}, 400 + np.pi * 25),
        ({"type": "points", "points": [10, 10, 50, 50], "visibility": [2, 2]}, np.pi * 50),
        ({"type": "mask", "rle": {"size": [64, 64], "counts": [0, 640, 4096 - 640]}}, 640),
    ],
)
def test_datumaro_shapes_of_every_kind(ten_samples, tmp_path, shape, pixels):
    labels = labels_of(write(tmp_path / "a.json", datumaro(shape)), ten_samples, CLASSES)
    assert area(labels) == pytest.approx(pixels, rel=0.05)


def test_masks_of_datumaro_may_be_as_large_as_a_camera_s_photos(tmp_path):
    whole = {"type": "mask", "rle": {"size": [6000, 6000], "counts": [0, 6000 * 6000]}}
    content = datumaro(whole, size=6000)
    names = Names(CLASSES)
    for path in (write(tmp_path / "a.json", content), write(tmp_path / "b.json", without_size(content))):
        assert read_source(path, names, PHOTOS)[1].failures == []
        assert len(read_source(path, names)[1].failures) == 1  # samples are smaller


def without_size(content):
    item = {key: value for key, value in content["items"][0].items() if key != "image"}
    return {**content, "items": [item]}


def test_datumaro_labels_of_whole_pictures_have_no_shape_and_cuboids_are_left_out_with_a_word(ten_samples, tmp_path):
    square = {"type": "bbox", "bbox": [0, 0, 8, 8]}
    path = write(tmp_path / "a.json", datumaro({"type": "label"}, {"type": "caption", "caption": "a face"}, square))
    assert area(labels_of(path, ten_samples, CLASSES)) == 64
    path = write(tmp_path / "b.json", datumaro({"type": "cuboid_2d", "vertices": []}, square))
    _, found = load(path, ten_samples, CLASSES)
    assert area(found.all().labels[0]) == 64 and "cuboid_2d cannot be filled; skipped" in found.warnings[0]
    (failure,) = load(write(tmp_path / "c.json", datumaro({"type": "star"})), ten_samples, CLASSES)[1].failures
    assert "not a shape that can be filled: star" in failure.message


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        ({"bounding_box": {"x": 8, "y": 8, "w": 10, "h": 20}}, 200),
        ({"ellipse": {"center": {"x": 32, "y": 32}, "radius": {"x": 10, "y": 20}, "angle": 0.5}}, np.pi * 200),
        ({"line": {"path": [{"x": 10, "y": 32}, {"x": 50, "y": 32}]}}, 400 + np.pi * 25),
        ({"keypoint": {"x": 32, "y": 32}}, np.pi * 25),
        ({"polygon": {"paths": [ring(8, 8, 40, 40), ring(16, 16, 24, 24)]}, "bounding_box": {}}, 32 * 32 - 64),
        ({"polygon": {"path": ring(8, 8, 40, 40), "additional_paths": [ring(50, 50, 58, 58)]}}, 32 * 32 + 64),
        ({"complex_polygon": {"path": [ring(8, 8, 40, 40), ring(16, 16, 24, 24)]}}, 32 * 32 - 64),
    ],
)
def test_darwin_shapes_of_every_kind(ten_samples, tmp_path, shape, pixels):
    labels = labels_of(write(tmp_path / "a.json", darwin_shape(**shape)), ten_samples, CLASSES)
    assert area(labels) == pytest.approx(pixels, rel=0.05)


def test_darwin_of_version_1_names_its_picture_elsewhere(ten_samples, tmp_path):
    image = {"width": 64, "height": 64, "filename": "3.png", "original_filename": "000003.png", "url": "https://v7"}
    rows = [{"name": "skin", "polygon": {"path": ring(8, 8, 24, 24)}, "bounding_box": {"x": 8, "y": 8, "w": 1, "h": 1}}]
    path = write(tmp_path / "a.json", {"dataset": "faces", "image": image, "annotations": rows})
    assert np.array_equal(labels_of(path, ten_samples, CLASSES), box(64, 8, 8, 24, 24))


def test_what_has_no_place_in_darwin_is_left_out_and_what_cannot_be_filled_is_said(ten_samples, tmp_path):
    content = darwin_shape(polygon={"paths": [ring(8, 8, 24, 24)]}, instance_id={"value": 1})
    content["annotations"] += [{"name": "good", "tag": {}}, {"name": "body", "skeleton": {"nodes": []}}]
    _, found = load(write(tmp_path / "a.json", content), ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], box(64, 8, 8, 24, 24))
    assert "skeleton cannot be filled; skipped" in found.warnings[0]


def test_isat_paints_layer_by_layer_and_its_background_cuts(ten_samples, tmp_path):
    squares = [("__background__", 3.0, 20, 30), ("hair", 2.0, 16, 40), ("skin", 1.0, 8, 50)]
    rows = [{"category": name, "group": 1, "layer": layer, "segmentation": [[a, a], [b, a], [b, b], [a, b]]}
            for name, layer, a, b in squares]  # fmt: skip
    info = {"description": "ISAT", "folder": "C:\\faces", "name": "000003.png", "width": 64, "height": 64, "depth": 3}
    labels = labels_of(write(tmp_path / "a.json", {"info": info, "objects": rows}), ten_samples, CLASSES)
    wanted = box(64, 8, 8, 50, 50)
    wanted[16:40, 16:40], wanted[20:30, 20:30] = 2, 0
    assert np.array_equal(labels, wanted)


WHOLE, PART, OTHER = ([0, 4096], 41), ([0, 640, 4096 - 640], 42), ([4000, 96], 43)


def test_masks_of_sa_1b_are_named_by_map_and_small_ones_lie_over_large_ones(ten_samples, tmp_path):
    path = write(tmp_path / "sa_3.json", sa1b(PART, OTHER, WHOLE))
    labels = labels_of(path, ten_samples, CLASSES, {"41": "skin", "42": "hair", "43": "-"})
    assert np.array_equal(labels, box(64, 0, 0, 64, 64) + box(64, 0, 0, 10, 64))


def test_the_bare_list_of_sam_s_script_is_called_like_its_picture_and_counts_its_masks(ten_samples, tmp_path):
    rows = [{key: value for key, value in row.items() if key != "id"} for row in sa1b(PART, WHOLE)["annotations"]]
    path = write(tmp_path / "000003.json", rows)
    labels = labels_of(path, ten_samples, CLASSES, {"0": "hair", "1": "skin"})
    assert np.array_equal(labels, box(64, 0, 0, 64, 64) + box(64, 0, 0, 10, 64))


def test_a_star_in_map_stands_for_every_other_name_that_is_no_class(ten_samples, tmp_path):
    path = write(tmp_path / "sa_3.json", sa1b(WHOLE, PART, OTHER))
    kind, found = load(path, ten_samples, CLASSES, {"42": "hair", "*": "-"})
    assert kind == "SA-1B" and np.array_equal(found.all().labels[0], 2 * box(64, 0, 0, 10, 64))
    assert found.warnings == ()
    labels = labels_of(path, ten_samples, CLASSES, {"42": "hair", "*": "ignore"})
    assert labels[0, 63] == 255 and labels[0, 0] == 2
    shapes = [{"type": "bbox", "bbox": [0, 0, 8, 8]}]
    known = labels_of(write(tmp_path / "a.json", datumaro(*shapes)), ten_samples, CLASSES, {"*": "-"})
    assert area(known) == 64


MAKESENSE_VGG = {
    "000003.png": {
        "fileref": "", "size": 7133, "filename": "000003.png", "base64_img_data": "", "file_attributes": {},
        "regions": {
            "0": {"shape_attributes": {"name": "polygon", "all_points_x": [8.5, 40.25, 40.25, 8.5, 8.5],
                                       "all_points_y": [8, 8, 40, 40, 8]}, "region_attributes": {"label": "skin"}},
            "2": {"shape_attributes": {"name": "polygon", "all_points_x": [16, 24, 24, 16, 16],
                                       "all_points_y": [16, 16, 24, 24, 16]}, "region_attributes": {"label": "hair"}},
        },
    },
}  # fmt: skip
MAKESENSE_COCO = {
    "info": {"description": "my-project-name"},
    "images": [{"id": 1, "width": 64, "height": 64, "file_name": "000003.png"}],
    "annotations": [
        {"id": 0, "iscrowd": 0, "image_id": 1, "category_id": 1, "bbox": [8.5, 8, 31.75, 32],
         "segmentation": [[8.5, 8, 40.25, 8, 40.25, 40, 8.5, 40]], "area": 1016},
        {"id": 1, "iscrowd": 0, "image_id": 1, "category_id": 2, "segmentation": [[16, 16, 24, 16, 24, 24, 16, 24]],
         "bbox": [16, 16, 8, 8], "area": 64},
    ],
    "categories": [{"id": 1, "name": "skin"}, {"id": 2, "name": "hair"}],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "content"), [("VIA", MAKESENSE_VGG), ("COCO", MAKESENSE_COCO)])
def test_makesense_writes_polygons_as_vgg_and_as_coco(ten_samples, tmp_path, kind, content):
    """As its exporters write them: VGG's rings are closed, and regions of deleted labels leave a gap in the numbers."""
    wanted = box(64, 8, 8, 40, 40)
    wanted[16:24, 16:24] = 2
    found_kind, found = load(write(tmp_path / "labels_my-project-name.json", content), ten_samples, CLASSES)
    assert found_kind == kind and np.array_equal(found.all().labels[0], wanted)


REGION = {"id": "r", "type": "polygonlabels", "from_name": "a", "to_name": "b", "original_width": 64,
          "original_height": 64, "value": {"points": [[0, 0], [50, 0], [50, 50], [0, 50]],
                                           "polygonlabels": ["skin"]}}  # fmt: skip
TASK = {"id": 17, "data": {"image": "s3://faces/000003.png"}, "meta": {}, "is_labeled": True}


@pytest.mark.parametrize(
    "content",
    [
        {**TASK, "annotations": [{"id": 5, "result": [REGION]}], "predictions": []},
        {"id": 5, "result": [REGION], "completed_by": {"id": 1}, "was_cancelled": False, "task": TASK},
    ],
)
@pytest.mark.parametrize("name", ["5", "17.json"])
def test_label_studio_writes_a_file_of_each_task_or_annotation_to_a_folder_or_cloud(
    ten_samples, tmp_path, content, name
):
    write(tmp_path / "in" / name, content)
    kind, found = load(tmp_path / "in", ten_samples, CLASSES)
    assert kind == "Label Studio" and np.array_equal(found.all().labels[0], box(64, 0, 0, 32, 32))


def test_of_files_of_each_task_those_without_annotations_are_left_out(ten_samples, tmp_path):
    write(tmp_path / "17", {**TASK, "annotations": [{"id": 5, "result": [REGION]}]})
    other = {**TASK, "id": 18, "data": {"image": "s3://faces/000004.png"}}
    write(tmp_path / "18", {**other, "annotations": [], "predictions": [{"result": [REGION]}]})
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert found.all().seeds == (3,) and "nothing was submitted" in found.warnings[0]


def test_two_annotations_of_one_task_in_two_files_are_an_error(ten_samples, tmp_path):
    for number in ("5", "6"):
        write(tmp_path / number, {"id": int(number), "result": [REGION], "task": TASK})
    (failure,) = load(tmp_path, ten_samples, CLASSES)[1].failures
    assert "expected one label map for sample 000003.png, got 2" in failure.message


def test_a_file_of_json_that_is_nothing_known_is_named(ten_samples, tmp_path):
    path = write(tmp_path / "7", json.dumps({"id": 7, "result": [REGION]}))
    with pytest.raises(GsegError, match="no annotations of a known format"):
        load(path, ten_samples, CLASSES)
