"""A table beside masks decides what their values and colours mean, not the project's own order."""

import numpy as np
import pytest
from PIL import Image

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import write_json
from gseg_runtime.label_map import write_label_png
from tests.annotate.exports import CLASSES, DATA, box, labelme, labels_of, load, png, write

MASK = box(64, 8, 8, 16, 16, 2) + box(64, 20, 20, 30, 30, 1)
WANTED = box(64, 8, 8, 16, 16, 1) + box(64, 20, 20, 30, 30, 3)  # 1 is eyes, 2 is skin
COLORS = np.array([[0, 0, 0], [10, 200, 30], [250, 0, 99]], np.uint8)
BY_VALUE = {
    "_classes.csv": "Pixel Value, Class\n0, background\n1, eyes\n2, skin\n",
    "classification.txt": "0 background\n1 eyes\n2 skin\n",
    "class_names.txt": "_background_\neyes\nskin\n",
    "codes.txt": "_background_\neyes\nskin\n",
    "label_classes.json": '[{"class name": "background", "id": 0}, {"class name": "eyes", "id": 1}, '
    '{"class name": "skin", "id": 2}]',
}
BY_COLOR = {
    "label_colors.txt": "0 0 0\tbackground\n10 200 30\teyes\n250 0 99\tskin\n",
    "classification.txt": "background:0,0,0\neyes:10,200,30\nskin:250,0,99\n",
    "label_classes.json": '{"background": [0, 0, 0], "eyes": [10, 200, 30], "skin": "#fa0063"}',
}


@pytest.mark.parametrize("name", BY_VALUE)
def test_a_table_names_values(ten_samples, tmp_path, name):
    write(tmp_path / name, BY_VALUE[name])
    write(tmp_path / "masks/000003.png", png(MASK))
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), WANTED)


OWN = ClassMap.of_names(["background", "eyes", "skin"])


@pytest.mark.parametrize("name", ["dataset.json", "annotations.json", "masks/gseg-report.json", "toy-faces.json"])
@pytest.mark.parametrize("part", ["", "masks", "masks/000003.png"])
def test_label_maps_of_gseg_mean_the_classes_that_it_says_they_have(ten_samples, tmp_path, name, part):
    kind = {"masks/gseg-report.json": "segment"}.get(name, name.removesuffix(".json"))
    write_json(tmp_path / name, {"format": 1, "kind": kind, "classes": OWN.to_json()})
    write_label_png(tmp_path / "masks/000003.png", MASK.astype(np.uint8), OWN)
    assert np.array_equal(labels_of(tmp_path / part, ten_samples, CLASSES), WANTED)


def test_a_file_of_another_program_with_a_name_of_gseg_s_is_no_table(ten_samples, tmp_path):
    write(tmp_path / "dataset.json", '{"classes": [{"name": "background"}, {"name": "eyes"}, {"name": "skin"}]}')
    write(tmp_path / "masks/000003.png", png(MASK))
    for source in (tmp_path, tmp_path / "masks"):
        assert np.array_equal(labels_of(source, ten_samples, CLASSES), MASK)


@pytest.mark.parametrize("name", BY_COLOR)
def test_a_table_names_colours(ten_samples, tmp_path, name):
    write(tmp_path / name, BY_COLOR[name])
    write(tmp_path / "masks/000003.png", png(COLORS[MASK]))
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), WANTED)


def test_indexed_masks_of_camvid_are_read_by_the_table_and_not_by_its_pictures(ten_samples, tmp_path):
    image = Image.fromarray(MASK)
    image.putpalette(COLORS.ravel().tolist())
    (tmp_path / "defaultannot").mkdir()
    image.save(tmp_path / "defaultannot/000003.png")
    write(tmp_path / "default/000003.png", (ten_samples.dir / "000003.png").read_bytes())
    write(tmp_path / "label_colors.txt", BY_COLOR["label_colors.txt"])
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), WANTED)


@pytest.mark.parametrize("masks", ["labels/000003_P.png", "masks/000003.png", "train/annotations/000003.png"])
def test_pictures_beside_masks_of_the_same_name_are_passed_over(ten_samples, tmp_path, masks):
    write(tmp_path / masks, png(box(64, 8, 8, 40, 40)))
    folder = "train/images" if masks.startswith("train") else "images"
    write(tmp_path / folder / "000003.png", (ten_samples.dir / "000003.png").read_bytes())
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], box(64, 8, 8, 40, 40))
    assert "skipped 1 file without a label map" in found.warnings[0]


def test_label_maps_in_a_folder_called_images_are_read_where_nothing_else_is_like_them(ten_samples, tmp_path):
    write(tmp_path / "images/000003.png", png(box(64, 8, 8, 40, 40)))
    write(tmp_path / "000004.png", png(box(64, 8, 8, 40, 40)))
    assert load(tmp_path, ten_samples, CLASSES)[1].all().seeds == (3, 4)


def test_camvid_by_datumaro_is_read(ten_samples):
    labels = labels_of(DATA / "camvid.zip", ten_samples, CLASSES)
    assert np.array_equal(labels, box(64, 8, 8, 16, 16, 1) + box(64, 40, 40, 50, 50, 3))


def test_masks_of_roboflow_stand_beside_their_picture_and_table(ten_samples, tmp_path):
    stem = "train/000003_png.rf.0123456789abcdef0123456789abcdef"
    write(tmp_path / f"{stem}_mask.png", png(MASK))
    write(tmp_path / f"{stem}.jpg", b"")
    write(tmp_path / "train/_classes.csv", BY_VALUE["_classes.csv"])
    write(tmp_path / "valid/_classes.csv", "Pixel Value, Class\n0, background\n1, hair\n")
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), WANTED)


PARTS_OF_DATA_SETS = {
    "masks": ("codes.txt", "masks/000003.png"),
    "masks/000003.png": ("codes.txt", "masks/000003.png"),
    "train/000003.png": ("train/_classes.csv", "train/000003.png"),
    "SegmentationClass": ("class_names.txt", "SegmentationClass/000003.png"),
    "SegmentationClass/faces/000003.png": ("class_names.txt", "SegmentationClass/faces/000003.png"),
    "train/masks": ("codes.txt", "train/masks/000003.png"),
}


@pytest.mark.parametrize("part", PARTS_OF_DATA_SETS)
def test_part_of_a_data_set_is_read_by_the_table_above_it_and_that_is_said(ten_samples, tmp_path, part):
    table, mask = PARTS_OF_DATA_SETS[part]
    table = write(tmp_path / table, BY_VALUE[table.rpartition("/")[2]])
    write(tmp_path / mask, png(np.stack([MASK] * 3, axis=-1) if "Segmentation" in mask else MASK))
    _, found = load(tmp_path / part, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], WANTED)
    assert found.warnings[0] == f"{table}: the masks are read by this table"
    assert not any("this table" in warning for warning in load(tmp_path, ten_samples, CLASSES)[1].warnings)


def test_a_table_two_folders_above_masks_belongs_to_something_else(ten_samples, tmp_path):
    write(tmp_path / "codes.txt", BY_VALUE["codes.txt"])
    write(tmp_path / "faces/drawn/000003.png", png(MASK))
    _, found = load(tmp_path / "faces/drawn", ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], MASK) and found.warnings == ()


def test_a_table_beside_shapes_is_not_looked_at(ten_samples, tmp_path):
    write(tmp_path / "label_classes.json", "[[[")
    drawn = write(tmp_path / "000003.json", labelme(("skin", "rectangle", [[0, 0], [8, 8]])))
    assert load(drawn, ten_samples, CLASSES)[1].failures == ()


def test_void_is_ignored_and_a_value_that_the_table_lacks_is_an_error(ten_samples, tmp_path):
    write(tmp_path / "_classes.csv", BY_VALUE["_classes.csv"])
    write(tmp_path / "000003.png", png(np.where(MASK == 2, 255, MASK).astype(np.uint8)))
    assert (labels_of(tmp_path, ten_samples, CLASSES) == 255).sum() == 64
    write(tmp_path / "000003.png", png(MASK + 5))
    (failure,) = load(tmp_path, ten_samples, CLASSES)[1].failures
    assert "value 5 is not in" in failure.message and "_classes.csv" in failure.message


@pytest.mark.parametrize(
    "text", ["0, skin\n0, hair\n", "a 1 2 3\nb 1 2 3\n", "\n", "a 1 2\n", "a 900\n", b"\xff\xfe", "[[[", "a" * 2000]
)
def test_a_broken_table_is_an_error_of_one_line(ten_samples, tmp_path, text):
    write(tmp_path / "classification.txt", text)
    write(tmp_path / "label_classes.json", text)
    write(tmp_path / "000003.png", png(MASK))
    try:
        failures = load(tmp_path, ten_samples, CLASSES)[1].failures
    except GsegError as error:
        failures = (error,)
    assert failures and all("\n" not in failure.message and len(failure.message) < 500 for failure in failures)


def test_what_labelme_ignores_in_masks_is_ignored(ten_samples, tmp_path):
    values = box(64, 8, 8, 16, 16, 1)
    values[30:40, 30:60] = 255
    image = Image.fromarray(values)
    palette = np.zeros((256, 3), np.uint8)
    palette[1], palette[255] = (128, 0, 0), (224, 224, 192)
    image.putpalette(palette.ravel().tolist())
    (tmp_path / "SegmentationClass").mkdir()
    image.save(tmp_path / "SegmentationClass/000003.png")
    write(tmp_path / "class_names.txt", "_background_\nskin\neyes\n")
    labels = labels_of(tmp_path, ten_samples, CLASSES)
    assert ((labels == 255).sum(), (labels == 1).sum()) == (300, 64)


def test_indices_in_three_equal_channels_are_numbers_in_labelmes_class_names(ten_samples, tmp_path):
    write(tmp_path / "class_names.txt", "_background_\neyes\nskin\n")
    write(tmp_path / "SegmentationClass/000003.png", png(np.stack([MASK] * 3, axis=-1)))
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], WANTED) and "read by index" in found.warnings[0]


def test_values_that_no_table_names_are_mapped_by_number(ten_samples, tmp_path):
    mask = MASK.copy()
    mask[40:44, 40:44], mask[50:54, 50:54] = 200, 255
    write(tmp_path / "000003.png", png(mask))
    wanted = box(64, 8, 8, 16, 16, 3) + box(64, 20, 20, 30, 30, 2)
    wanted[50:54, 50:54] = 255
    mapping = {"2": "eyes", "1": "hair", "*": "-"}
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES, mapping), wanted)


def test_once_values_are_mapped_by_number_the_others_are_no_classes_by_index(ten_samples, tmp_path):
    write(tmp_path / "000003.png", png(MASK))
    _, found = load(tmp_path, ten_samples, CLASSES, {"2": "eyes"})
    (failure,) = found.failures
    assert "unknown class '1'" in failure.message


def test_background_and_ignore_can_be_mapped_by_number_too(ten_samples, tmp_path):
    mask = MASK.copy()
    mask[50:54, 50:54] = 255
    write(tmp_path / "000003.png", png(mask))
    labels = labels_of(tmp_path, ten_samples, CLASSES, {"0": "ignore", "255": "hair", "1": "skin", "2": "eyes"})
    assert (labels[0, 0], labels[50, 50], labels[8, 8]) == (255, 2, 3)


def test_numbers_that_are_mapped_need_masks_of_values(ten_samples, tmp_path):
    write(tmp_path / "000003.png", png(COLORS[MASK]))
    _, found = load(tmp_path, ten_samples, CLASSES, {"2": "eyes"})
    assert "a picture in colours, but --map names values" in found.failures[0].message


def test_a_table_beside_masks_goes_before_numbers(ten_samples, tmp_path):
    write(tmp_path / "codes.txt", BY_VALUE["codes.txt"])
    write(tmp_path / "000003.png", png(MASK))
    _, found = load(tmp_path, ten_samples, CLASSES, {"2": "hair"})
    assert np.array_equal(found.all().labels[0], WANTED)
    assert any("no shape is called 2" in warning for warning in found.warnings)
