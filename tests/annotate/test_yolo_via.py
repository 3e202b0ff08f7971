"""YOLO's text files and VIA's JSON."""

import numpy as np
import pytest

from tests.annotate.exports import CLASSES, box, labels_of, load, via, write
from tests.annotate.test_tools import area

LINES = "1 0.125 0.125 0.875 0.125 0.875 0.875 0.125 0.875\n0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
WANTED = np.maximum(box(64, 8, 8, 56, 56, 1) * 2, 0)
WANTED[16:48, 16:48] = 1
TABLES = {
    "data.yaml": "path: .\ntrain: ../train/images\nnames:\n  0: skin\n  1: hair\n",
    "data.yml": "nc: 2\nnames: ['skin', 'hair']\n",
    "coco8-seg.yaml": "# Ultralytics\nnames: [skin,\n  hair]  # two\n",
    "classes.txt": "skin\nhair\n",
    "obj.names": "skin\nhair\n",
}
LAYOUTS = (
    "labels/000003.txt",
    "labels/train/000003.txt",  # Ultralytics
    "train/labels/000003_png.rf.0123456789abcdef0123456789abcdef.txt",  # Roboflow
    "000003.txt",
)


@pytest.mark.parametrize("table", TABLES)
def test_yolo_names_its_classes_in_a_table(ten_samples, tmp_path, table):
    write(tmp_path / table, TABLES[table])
    write(tmp_path / "labels/000003.txt", LINES)
    kind, found = load(tmp_path, ten_samples, CLASSES)
    assert kind == "YOLO" and np.array_equal(found.all().labels[0], WANTED)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_yolo_is_found_in_every_layout(ten_samples, tmp_path, layout):
    write(tmp_path / "data.yaml", TABLES["data.yaml"])
    write(tmp_path / "README.roboflow.txt", "1 2 3 4 5\n")
    write(tmp_path / layout, LINES)
    write(tmp_path / layout.replace("labels", "images").replace(".txt", ".png"), b"no label map")
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), WANTED)


def test_yolo_of_darknet_has_lists_of_pictures_beside_its_labels(ten_samples, tmp_path):
    """As CVAT and Datumaro write it."""
    write(tmp_path / "obj.names", TABLES["obj.names"])
    write(tmp_path / "train.txt", "data/obj_train_data/000003.png\n")
    write(tmp_path / "obj_train_data/000003.txt", LINES)
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), WANTED)


def test_yolos_boxes_are_given_by_their_middle_and_empty_files_are_left_out(ten_samples, tmp_path):
    write(tmp_path / "data.yaml", TABLES["data.yaml"])
    write(tmp_path / "labels/000002.txt", "")
    write(tmp_path / "labels/000003.txt", "0 0.5 0.25 0.5 0.25\n")
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], box(64, 16, 8, 48, 24)) and found.all().seeds == (3,)
    assert "1 picture without any shape is left out" in found.warnings[0]


POLYGON = {"name": "polygon", "all_points_x": [8, 16, 16, 8], "all_points_y": [8, 8, 24, 24]}


def test_via_is_read_as_a_project_as_its_annotations_and_in_version_1(ten_samples, tmp_path):
    document = via(POLYGON)
    (picture,) = document.values()
    first = {"0": picture["regions"][0]}
    for content in (
        document,
        {"_via_img_metadata": document, "_via_settings": {}},
        {"a": {**picture, "regions": first}},
    ):
        kind, found = load(write(tmp_path / "a.json", content), ten_samples, CLASSES)
        assert kind == "VIA" and np.array_equal(found.all().labels[0], box(64, 8, 8, 16, 24))


@pytest.mark.parametrize(
    ("shape", "pixels"),
    [
        ({"name": "rect", "x": 8, "y": 8, "width": 10, "height": 20}, 200),
        ({"name": "circle", "cx": 32, "cy": 32, "r": 10}, np.pi * 100),
        ({"name": "ellipse", "cx": 32, "cy": 32, "rx": 10, "ry": 20, "theta": 0}, np.pi * 200),
        ({"name": "polyline", "all_points_x": [10, 50], "all_points_y": [32, 32]}, 400 + np.pi * 25),
        ({"name": "point", "cx": 32, "cy": 32}, np.pi * 25),
    ],
)
def test_via_shapes_of_every_kind(ten_samples, tmp_path, shape, pixels):
    labels = labels_of(write(tmp_path / "a.json", via(shape)), ten_samples, CLASSES)
    assert area(labels) == pytest.approx(pixels, rel=0.05)


def test_via_ellipses_are_turned_clockwise_by_radians(ten_samples, tmp_path):
    turned = {"name": "ellipse", "cx": 32, "cy": 32, "rx": 20, "ry": 5, "theta": np.pi / 4}
    labels = labels_of(write(tmp_path / "a.json", via(turned)), ten_samples, CLASSES)
    assert labels[42, 42] == 1 and labels[22, 42] == 0


@pytest.mark.parametrize("label", [{"label": "hair"}, {"part": "hair"}, {"part": {"hair": True, "skin": False}},
                                   {"label": "hair", "occluded": "no"}])  # fmt: skip
def test_via_labels_stand_in_the_attribute_that_says_label_or_the_only_one(ten_samples, tmp_path, label):
    labels = labels_of(write(tmp_path / "a.json", via(POLYGON, label=label)), ten_samples, CLASSES)
    assert area(labels, 2) == 128


@pytest.mark.parametrize("attributes", [{}, {"name": ""}])
def test_via_regions_are_called_region_where_nobody_gave_any_a_label(ten_samples, tmp_path, attributes):
    """As people leave them who draw a single class."""
    path = write(tmp_path / "a.json", via(POLYGON, label=attributes))
    assert area(labels_of(path, ten_samples, CLASSES, {"region": "skin"})) == 128
    (failure,) = load(path, ten_samples, CLASSES)[1].failures
    assert "unknown class 'region'" in failure.message and "--map" in failure.hint


def test_a_via_region_without_a_label_among_others_that_have_one_was_forgotten(ten_samples, tmp_path):
    content = via(POLYGON, POLYGON)
    (picture,) = content.values()
    picture["regions"][1] = {**picture["regions"][1], "region_attributes": {}}
    (failure,) = load(write(tmp_path / "a.json", content), ten_samples, CLASSES)[1].failures
    assert "expected an attribute with the label, got none" in failure.message
