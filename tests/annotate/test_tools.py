"""Shapes, paint order, overlaps and holes as each tool defines them. Built from the documented schemas."""

import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from gseg_runtime.errors import GsegError
from tests.annotate.exports import (
    CLASSES,
    DATA,
    b64,
    box,
    coco,
    cvat,
    label_studio,
    labelme,
    labels_of,
    load,
    png,
    square,
    write,
)


@pytest.fixture
def labels_in(ten_samples, tmp_path):
    def read(name, content, mapping=None, **options):
        return labels_of(write(tmp_path / name, content), ten_samples, CLASSES, mapping, **options)

    return read


def area(labels, value=1):
    return int((labels == value).sum())


def test_labelme_paints_in_the_order_of_the_file(labels_in):
    first, second = ("skin", "polygon", square(0, 0, 20, 20)), ("hair", "polygon", square(10, 0, 30, 20))
    assert area(labels_in("a.json", labelme(first, second))) == 200
    assert area(labels_in("a.json", labelme(second, first))) == 400


@pytest.mark.parametrize(
    ("kind", "points", "pixels"),
    [
        ("rectangle", [[30, 40], [10, 20]], 400),  # corners in any order
        ("rectangle", square(10, 20, 30, 40), 400),  # X-AnyLabeling
        ("circle", [[32, 32], [32, 42]], np.pi * 100),
        ("oriented_rectangle", [[32, 12], [52, 32], [32, 52], [12, 32]], 800),
        ("rotation", [[32, 12], [52, 32], [32, 52], [12, 32]], 800),
        ("line", [[10, 32], [50, 32]], 400 + np.pi * 25),
        ("linestrip", [[10, 10], [50, 10], [50, 50]], 800 + np.pi * 25 - 100 / 4 * (1 - np.pi / 4)),
        ("point", [[32, 32]], np.pi * 25),
    ],
)
def test_labelme_shapes_of_every_kind(labels_in, kind, points, pixels):
    assert area(labels_in("000003.json", labelme(("skin", kind, points)))) == pytest.approx(pixels, rel=0.05)


def test_labelme_masks_lie_at_their_corner(labels_in):
    shape = {"label": "hair", "shape_type": "mask", "points": [[5.0, 7.0], [6.0, 8.0]]}
    shape["mask"] = b64(png(np.array([[1, 0], [1, 1]], np.uint8)))
    labels = labels_in("000003.json", {**labelme(), "shapes": [shape]})
    assert np.argwhere(labels == 2).tolist() == [[7, 5], [8, 5], [8, 6]]


def test_labelme_masks_may_end_before_their_corner_at_the_edge_of_the_picture_and_nowhere_else(ten_samples, tmp_path):
    """labelme 5.5 takes the end of a mask for its last pixel and cuts with numpy, which stops at the edge."""
    shape = {"label": "hair", "shape_type": "mask", "points": [[60.0, 7.0], [64.0, 9.0]]}
    shape["mask"] = b64(png(np.ones((3, 4), np.uint8)))
    drawn = write(tmp_path / "000003.json", {**labelme(), "shapes": [shape]})
    assert np.array_equal(labels_of(drawn, ten_samples, CLASSES), box(64, 60, 7, 64, 10, 2))
    shape["points"] = [[50.0, 7.0], [54.0, 9.0]]
    (failure,) = load(write(drawn, {**labelme(), "shapes": [shape]}), ten_samples, CLASSES)[1].failures
    assert "a mask of 4x3 between corners of 5x3 pixels" in failure.message


HALF = png(box(32, 0, 0, 16, 16, 255))
HALF_MASKS = {
    "panoptic": {
        "panoptic.json": coco({"file_name": "000003.png", "segments_info": [{"id": 255, "category_id": 1}]}),
        "panoptic/000003.png": HALF,
    },
    "LabelMe XML": {
        "000003.xml": "<annotation><filename>000003.png</filename><imagesize><nrows>64</nrows><ncols>64</ncols>"
        "</imagesize><object><name>skin</name><segm><mask>a.png</mask></segm></object></annotation>",
        "Masks/a.png": HALF,
    },
    "Label Studio": {
        "a.json": label_studio({"imageDataURL": f"data:image/png;base64,{b64(HALF)}", "bitmasklabels": ["skin"]})
    },
}


@pytest.mark.parametrize("kind", HALF_MASKS)
def test_a_mask_smaller_than_its_picture_is_an_error_and_not_put_in_the_corner(ten_samples, tmp_path, kind):
    for name, content in HALF_MASKS[kind].items():
        write(tmp_path / name, content)
    (failure,) = load(tmp_path, ten_samples, CLASSES)[1].failures
    assert "a mask of 32x32 for a picture of 64x64" in failure.message


def test_labelme_files_of_old_versions_have_no_kinds_and_no_size(labels_in):
    """Versions before 3: every shape is a polygon."""
    shape = {"label": "skin", "line_color": None, "fill_color": None, "points": [[0, 0], [8, 0], [8, 8], [0, 8]]}
    old = {"shapes": [shape], "lineColor": [0, 255, 0, 128], "imagePath": "000003.png", "imageData": ""}
    assert np.array_equal(labels_in("x.json", old), box(64, 0, 0, 9, 9))


def test_labelme_names_for_ignored_and_background_are_known(labels_in):
    labels = labels_in(
        "000003.json",
        labelme(("__ignore__", "rectangle", [[0, 0], [4, 4]]), ("_background_", "rectangle", [[0, 0], [2, 2]])),
    )
    assert (area(labels, 255), area(labels, 0)) == (12, 64 * 64 - 12)


def test_coco_polygons_of_an_object_are_parts_and_not_holes(labels_in):
    flat = [np.ravel(square(0, 0, 20, 20)).tolist(), np.ravel(square(5, 5, 10, 10)).tolist()]
    assert area(labels_in("a.json", coco({"segmentation": flat}))) == 400


def test_coco_masks_run_down_the_columns(labels_in):
    runs = {"size": [64, 64], "counts": [64 * 2 + 3, 4, 64 * 64 - 64 * 2 - 7]}
    assert np.argwhere(labels_in("a.json", coco({"segmentation": runs, "iscrowd": 1}))).tolist() == [
        [3, 2], [4, 2], [5, 2], [6, 2],
    ]  # fmt: skip


def test_coco_boxes_are_drawn_where_there_is_nothing_else(labels_in):
    later = {"bbox": [10, 10, 10, 5], "segmentation": [], "category_id": 2}
    labels = labels_in("a.json", coco({"bbox": [0, 0, 20, 20]}, later))
    assert (area(labels, 1), area(labels, 2)) == (350, 50)


def test_coco_leaves_out_a_picture_with_a_broken_annotation_and_no_other(ten_samples, tmp_path):
    """Its label map would lack a shape."""
    document = coco({"segmentation": [[0, 0, 5, 5]]}, {"bbox": [0, 0, 20, 20]}, {"bbox": [0, 0, 9, 9], "image_id": 8})
    document["images"].append({"id": 8, "file_name": "000004.png", "width": 64, "height": 64})
    _, found = load(write(tmp_path / "a.json", document), ten_samples, CLASSES)
    (failure,) = found.failures
    assert "needs 3 points" in failure.message and found.annotations.seeds == (4,)


@pytest.mark.parametrize("rows", ["images", "categories", "annotations"])
def test_an_id_that_coco_gives_twice_is_an_error_that_names_it(ten_samples, tmp_path, rows):
    """Else all shapes would land on the last picture, or in the last class."""
    document = coco({"bbox": [0, 0, 20, 20]})
    document[rows].append({**document[rows][-1], "file_name": "000004.png", "name": "eyes"})
    (failure,) = load(write(tmp_path / "a.json", document), ten_samples, CLASSES)[1].failures
    number = document[rows][-1]["id"]
    assert f"{rows} {len(document[rows]) - 1}: id {number} is given twice" in failure.message


def test_coco_as_via_writes_it_is_read(labels_in, ten_samples, tmp_path):
    """Classes once per picture, ids of pictures as text, and the numbers of a polygon without a list around them."""
    document = coco({"image_id": "7", "segmentation": [8, 8, 24, 8, 24, 24, 8, 24], "bbox": [8, 8, 16, 16]})
    document["categories"] *= 2
    assert np.array_equal(labels_in("via_export_coco.json", document), box(64, 8, 8, 24, 24))
    document["annotations"][0]["image_id"] = "8"
    (failure,) = load(write(tmp_path / "b.json", document), ten_samples, CLASSES)[1].failures
    assert "image_id '8' is not in the file" in failure.message


def test_annotations_may_be_numbered_anew_on_every_picture(ten_samples, tmp_path):
    """As Datumaro does."""
    document = coco({"bbox": [0, 0, 20, 20]}, {"bbox": [0, 0, 20, 20], "image_id": 8, "id": 0})
    document["images"].append({"id": 8, "file_name": "000004.png", "width": 64, "height": 64})
    assert load(write(tmp_path / "a.json", document), ten_samples, CLASSES)[1].all().seeds == (3, 4)


def test_captions_beside_cocos_instances_are_passed_over(ten_samples, tmp_path):
    instances = coco({"bbox": [0, 0, 20, 20]})
    captions = {"images": instances["images"], "annotations": [{"id": 1, "image_id": 7, "caption": "a face"}]}
    write(tmp_path / "annotations/instances_default.json", instances)
    write(tmp_path / "annotations/captions_default.json", captions)
    assert area(labels_of(tmp_path, ten_samples, CLASSES)) == 400


def polygon_element(label, points, z=0):
    text = ";".join(f"{x},{y}" for x, y in points)
    return f'<polygon label="{label}" occluded="0" points="{text}" z_order="{z}"/>'


def test_cvat_paints_by_z_order_and_then_by_the_file(labels_in):
    skin, hair = square(0, 0, 20, 20), square(10, 0, 30, 20)
    labels = labels_in("a.xml", cvat(polygon_element("skin", skin, 1), polygon_element("hair", hair, 0)))
    assert (area(labels, 1), area(labels, 2)) == (400, 200)
    labels = labels_in("a.xml", cvat(polygon_element("skin", skin), polygon_element("hair", hair)))
    assert (area(labels, 1), area(labels, 2)) == (200, 400)


def test_cvat_shapes_of_every_kind(labels_in):
    mask = '<mask label="skin" rle="1, 2, 1, 2" left="10" top="20" width="3" height="2" z_order="0"/>'
    assert np.argwhere(labels_in("a.xml", cvat(mask))).tolist() == [[20, 11], [20, 12], [21, 11], [21, 12]]
    around = '<box label="skin" xtl="10" ytl="20" xbr="30" ybr="30" rotation="90"/>'
    assert np.array_equal(labels_in("a.xml", cvat(around)), box(64, 15, 15, 25, 35))
    ellipse = '<ellipse label="hair" cx="32" cy="32" rx="10" ry="20"/>'
    assert area(labels_in("a.xml", cvat(ellipse)), 2) == pytest.approx(np.pi * 200, rel=0.02)
    line = '<polyline label="hair" points="10,32;50,32"/>'
    assert area(labels_in("a.xml", cvat(line), line_width=2), 2) == pytest.approx(80, abs=4)


def assert_two_discs(labels, value=1):
    """Around (16, 30) and (48, 30), of 10 pixels."""
    assert area(labels, value) == pytest.approx(2 * np.pi * 25, rel=0.05)
    assert not labels[:, 22:42].any() and labels[30, 16] == labels[30, 48] == value


def test_points_of_one_element_are_discs_and_no_line(labels_in):
    points = '<points label="eyes" source="manual" points="16.00,30.00;48.00,30.00" z_order="0"></points>'
    assert_two_discs(labels_in("a.xml", cvat(points)), 3)
    assert_two_discs(labels_in("a.json", labelme(("eyes", "points", [[16, 30], [48, 30]]))), 3)


def test_the_mask_in_cvats_own_manual_is_a_disc(labels_in):
    rle = "3, 5, 7, 7, 5, 9, 3, 11, 2, 11, 2, 12, 1, 12, 1, 26, 1, 12, 1, 12, 2, 11, 3, 9, 5, 7, 7, 5, 3"
    mask = f'<mask label="skin" source="manual" rle="{rle}" left="7" top="8" width="13" height="15" z_order="0"/>'
    disc = labels_in("a.xml", cvat(mask))[8:23, 7:20]
    assert area(disc) == 149 and disc[7].all()
    starts_and_ends = np.abs(np.diff(np.pad(disc.astype(int), 1), axis=1)).sum(axis=1)
    assert starts_and_ends[1:-1].tolist() == [2] * 15  # one run in every row


def test_a_brush_may_hold_values_in_a_row_as_well_as_runs(labels_in):
    """A head, then a block of three values, and runs of one value; each value is a byte of an RGBA picture."""
    bits = f"{64 * 64 * 4:032b}" + f"{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    bits += "0" + "00" + f"{2:03b}" + f"{9:08b}" * 3 + "1" + "00" + f"{0:03b}" + f"{255:08b}"
    bits += "1" + "11" + f"{64 * 64 * 4 - 5:016b}" + f"{0:08b}"
    bits += "0" * (-len(bits) % 8)
    data = [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]
    value = {"format": "rle", "rle": data, "brushlabels": ["skin"]}
    assert np.argwhere(labels_in("a.json", label_studio(value))).tolist() == [[0, 0]]


def test_cvat_segmentation_masks_are_read_by_the_colours_in_labelmap(ten_samples, tmp_path):
    pixels = np.full((64, 64, 3), (10, 20, 30), np.uint8)
    pixels[8:16, 8:16] = (61, 245, 61)
    write(tmp_path / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:10,20,30::\nhair:61,245,61::\n")
    write(tmp_path / "SegmentationClass/faces/000003.png", png(pixels))  # CVAT keeps the folders of its server
    write(tmp_path / "SegmentationObject/faces/000003.png", png(pixels))
    kind, found = load(tmp_path, ten_samples, CLASSES)
    assert kind == "segmentation masks" and np.array_equal(found.all().labels[0], box(64, 8, 8, 16, 16, 2))
    _, found = load(tmp_path, ten_samples, CLASSES, unlabelled=255)
    assert (found.all().labels == 255).sum() == 64 * 64 - 64


def test_voc_masks_without_a_table_have_the_devkits_colours_and_border(ten_samples, tmp_path):
    values = box(64, 8, 8, 16, 16, 15)
    values[7, 8:16] = 255
    image = Image.fromarray(values)
    palette = np.zeros((256, 3), np.uint8)
    palette[15], palette[255] = (192, 128, 128), (224, 224, 192)
    image.putpalette(palette.ravel().tolist())
    (tmp_path / "SegmentationClass").mkdir()
    image.save(tmp_path / "SegmentationClass/000003.png")
    labels = labels_of(tmp_path, ten_samples, CLASSES, {"person": "skin"})
    assert (area(labels, 1), area(labels, 255)) == (64, 8)


def test_grey_voc_masks_ignore_255_too(ten_samples, tmp_path):
    values = box(64, 8, 8, 16, 16, 15)
    values[7, 8:16] = 255
    write(tmp_path / "SegmentationClass/000003.png", png(values))
    labels = labels_of(tmp_path, ten_samples, CLASSES, {"person": "skin"})
    assert (area(labels, 1), area(labels, 255)) == (64, 8)


def test_labelmes_voc_folders_name_their_classes_in_class_names(ten_samples, tmp_path):
    values = box(64, 8, 8, 16, 16, 2)
    image = Image.fromarray(values)
    palette = np.zeros((256, 3), np.uint8)
    palette[1], palette[2] = (128, 0, 0), (0, 128, 0)
    image.putpalette(palette.ravel().tolist())
    (tmp_path / "SegmentationClassPNG").mkdir()
    image.save(tmp_path / "SegmentationClassPNG/000003.png")
    write(tmp_path / "class_names.txt", "_background_\nskin\neyes\n")
    write(tmp_path / "JPEGImages/000003.jpg", b"")
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), box(64, 8, 8, 16, 16, 3))


def test_voc_boxes_are_drawn_where_there_are_no_masks(labels_in):
    inner = (
        "<object><name>hair</name><bndbox><xmin>8</xmin><ymin>8</ymin><xmax>16</xmax><ymax>16</ymax></bndbox></object>"
    )
    size = "<size><width>64</width><height>64</height><depth>3</depth></size>"
    xml = f"<annotation><folder>x</folder><filename>000003.png</filename>{size}{inner}</annotation>"
    assert np.array_equal(labels_in("000003.xml", xml), box(64, 8, 8, 16, 16, 2))


def test_the_polygons_that_roboflow_writes_beside_voc_boxes_are_drawn_instead(labels_in, ten_samples, tmp_path):
    box_of_all = "<bndbox><xmin>8</xmin><xmax>24</xmax><ymin>8</ymin><ymax>24</ymax></bndbox>"
    corners = "".join(f"<x{i}>{x}</x{i}><y{i}>{y}</y{i}>" for i, (x, y) in enumerate(square(8, 8, 16, 24), 1))
    objects = (f"<object><name>hair</name>{box_of_all}<polygon>{corners}</polygon></object>"
               f"<object><name>skin</name>{box_of_all.replace('8', '32').replace('24', '40')}</object>")  # fmt: skip
    size = "<size><width>64</width><height>64</height><depth>3</depth></size>"
    xml = f"<annotation><folder></folder><filename>000003.png</filename>{size}{objects}</annotation>"
    expected = box(64, 8, 8, 16, 24, 2) + box(64, 32, 32, 40, 40)
    assert np.array_equal(labels_in("000003_png.rf.0123456789abcdef.xml", xml), expected)
    broken = write(tmp_path / "b.xml", xml.replace("<x4>8</x4>", ""))
    (failure,) = load(broken, ten_samples, CLASSES)[1].failures
    assert "polygon: expected" in failure.message


def test_label_studio_regions_are_in_percent_of_the_picture(labels_in):
    polygon = {"points": [[12.5, 12.5], [25, 12.5], [25, 25], [12.5, 25]], "polygonlabels": ["skin"]}
    rectangle = {"x": 50, "y": 50, "width": 12.5, "height": 25, "rotation": 90, "rectanglelabels": ["hair"]}
    ellipse = {"x": 50, "y": 25, "radiusX": 12.5, "radiusY": 6.25, "rotation": 0, "ellipselabels": ["eyes"]}
    labels = labels_in("a.json", label_studio(polygon, rectangle, ellipse))
    assert (area(labels, 1), area(labels, 2)) == (64, 8 * 16)
    assert labels[33, 17] == 2 and area(labels, 3) == pytest.approx(np.pi * 32, rel=0.1)


def test_a_turned_rectangle_has_the_corners_that_label_studio_itself_gives_it(labels_in):
    """The corners are from convert_annotation_to_yolo_obb of label-studio-sdk 2.1.2."""
    turned = {"x": 30, "y": 20, "width": 40, "height": 15, "rotation": 25, "rectanglelabels": ["skin"]}
    corners = [[30, 20], [66.2523, 36.9047], [59.9130, 50.4993], [23.6607, 33.5946]]
    polygon = {"points": corners, "polygonlabels": ["skin"]}
    labels = labels_in("a.json", label_studio(turned))
    assert area(labels) > 200 and np.array_equal(labels, labels_in("a.json", label_studio(polygon)))


def test_label_studio_json_min_and_labels_in_a_tag_of_their_own(labels_in):
    polygon = {"points": [[0, 0], [50, 0], [50, 50], [0, 50]], "polygonlabels": ["skin"], "original_width": 64}
    assert (
        area(
            labels_in("a.json", [{"image": "/data/3f2a1b4c-000003.png", "label": [polygon | {"original_height": 64}]}])
        )
        == 1024
    )
    task = label_studio({"points": polygon["points"]}, {"labels": ["hair"]})
    for region in task[0]["annotations"][0]["result"]:
        region["id"] = "same"
    assert area(labels_in("a.json", task), 2) == 1024


SQUARE = {"x": 0, "y": 0, "width": 50, "height": 50, "rectanglelabels": ["skin"]}


@pytest.mark.parametrize(
    "other",
    [
        {"caption": "No. 7"},
        {"caption": "version 7.2", "view": "7/8 from the left"},
        {"source": "https://example.org/faces?n=7"},
        {"file_upload": "3f2a1b4c-tasks-7.json"},
    ],
)
def test_a_text_beside_label_studios_picture_is_not_its_name(ten_samples, tmp_path, other):
    (task,) = label_studio(SQUARE)
    upload = {key: other.pop(key) for key in list(other) if key == "file_upload"}
    task = {**task, **upload, "data": {**other, **task["data"]}}
    assert load(write(tmp_path / "a.json", [task]), ten_samples, CLASSES)[1].all().seeds == (3,)


def test_json_min_of_a_strange_picture_is_not_matched_by_the_time_it_was_made(ten_samples, tmp_path):
    region = {**SQUARE, "original_width": 64, "original_height": 64}
    task = {"image": "/data/upload/1/0a1b2c3d-cat.png", "id": 3, "label": [region], "annotator": 1,
            "annotation_id": 1, "created_at": "2024-10-03T14:22:31.402938Z", "lead_time": 5.5}  # fmt: skip
    (failure,) = load(write(tmp_path / "a.json", [task]), ten_samples, CLASSES)[1].failures
    assert "'/data/upload/1/0a1b2c3d-cat.png', it holds no number" in failure.message


def test_json_min_of_some_pictures_that_nobody_drew_on_is_read(ten_samples, tmp_path):
    """They have no key for the regions at all."""
    made = {"annotator": 1, "annotation_id": 1, "created_at": "2024-10-03T14:22:31.402938Z", "lead_time": 5.5}
    region = {**SQUARE, "original_width": 64, "original_height": 64}
    tasks = [{"image": "/data/upload/1/0a1b2c3d-000008.png", "id": 1, "quality": "bad", **made},
             {"image": "/data/upload/1/0a1b2c3d-000003.png", "id": 2, "label": [region], **made}]  # fmt: skip
    kind, found = load(write(tmp_path / "a.json", tasks), ten_samples, CLASSES)
    assert kind == "Label Studio" and found.all().seeds == (3,)
    assert "1 picture without any shape is left out" in found.warnings[0]


def test_an_address_without_an_ending_is_a_name_where_there_is_no_other(ten_samples, tmp_path):
    task = label_studio(SQUARE, image="gs://faces/000003")
    assert load(write(tmp_path / "a.json", task), ten_samples, CLASSES)[1].all().seeds == (3,)
    task = label_studio(SQUARE, image="picture 000003")
    (failure,) = load(write(tmp_path / "a.json", task), ten_samples, CLASSES)[1].failures
    assert "names no image" in failure.message


def test_what_label_studio_has_besides_shapes_is_left_out_and_said(ten_samples, tmp_path):
    polygon = {"points": square(0, 0, 50, 50), "polygonlabels": ["skin"]}
    point = {"x": 10, "y": 10, "width": 0.5, "keypointlabels": ["eyes"]}  # the width of its mark
    vector = {"vertices": [{"x": 1, "y": 2}], "closed": True, "vectorlabels": ["hair"]}
    task = label_studio(polygon, point, vector)
    task[0]["annotations"][0]["result"] += [
        {"type": "choices", "value": {"choices": ["good"]}},
        {"type": "relation", "from_id": "r0", "to_id": "r1"},
    ]
    _, found = load(write(tmp_path / "a.json", task), ten_samples, CLASSES)
    assert area(found.all().labels[0]) == 1024 and len(found.warnings) == 1
    assert "keypointlabels, vectorlabels, vertices cannot be filled; skipped" in found.warnings[0]


def test_label_studio_takes_the_one_annotation_that_stands(labels_in, ten_samples, tmp_path):
    task = label_studio({"points": square(0, 0, 50, 50), "polygonlabels": ["skin"]})
    task[0]["annotations"].append({"was_cancelled": True, "result": []})
    assert area(labels_in("a.json", task)) == 1024
    task[0]["annotations"][1] = {"result": []}
    (failure,) = load(write(tmp_path / "a.json", task), ten_samples, CLASSES)[1].failures
    assert "2 annotations of the same picture" in failure.message
    task[0]["annotations"][0]["ground_truth"] = True
    assert area(labels_in("a.json", task)) == 1024


def test_masks_of_parts_lie_over_each_other_as_in_celebamask_hq(ten_samples, tmp_path):
    for part, mask in {"hair": box(512, 0, 0, 256, 256, 255), "skin": box(512, 128, 0, 512, 512, 255)}.items():
        write(tmp_path / f"CelebAMask-HQ-mask-anno/0/00003_{part}.png", png(mask))
    kind, found = load(tmp_path, ten_samples, CLASSES)
    assert kind == "masks of parts" and area(found.all().labels[0], 2) == 32 * 32
    assert found.warnings == ()


def test_two_masks_of_one_part_are_an_error_that_names_both(ten_samples, tmp_path):
    for name in ("anna/00003_skin.png", "ben/3_skin.png"):
        write(tmp_path / name, png(box(64, 0, 0, 8, 8, 255)))
    (failure,) = load(tmp_path, ten_samples, CLASSES)[1].failures
    assert "two masks of one part" in failure.message
    assert "anna/00003_skin.png" in failure.message and "ben/3_skin.png" in failure.message


def test_masks_of_parts_that_differ_in_size_are_an_error(ten_samples, tmp_path):
    write(tmp_path / "00003_hair.png", png(box(512, 0, 0, 256, 256, 255)))
    write(tmp_path / "00003_skin.png", png(box(256, 0, 0, 256, 256, 255)))
    (failure,) = load(tmp_path, ten_samples, CLASSES)[1].failures
    assert "differ in size, 256x256 and 512x512" in failure.message


PALETTE = np.array(CLASSES.colors, np.uint8)


def indexed(values, palette):
    image = Image.fromarray(values)
    image.putpalette(palette.ravel().tolist())
    return image


def test_an_indexed_png_with_reordered_palette_is_read_by_colour_and_says_so(ten_samples, tmp_path):
    order = np.array([2, 0, 3, 1, 4])
    truth = np.random.RandomState(0).randint(0, 5, (64, 64)).astype(np.uint8)
    image = indexed(np.argsort(order).astype(np.uint8)[truth], PALETTE[order])
    image.save(tmp_path / "000003.png")
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0], truth)
    assert "read by colour, not by index" in found.warnings[0]


def test_a_palette_that_is_partly_of_class_colours_in_another_order_is_refused(ten_samples, tmp_path):
    palette = np.vstack([PALETTE[[0, 2]], [[1, 2, 3]]]).astype(np.uint8)
    indexed(np.arange(64 * 64, dtype=np.uint32).reshape(64, 64).astype(np.uint8) % 3, palette).save(
        tmp_path / "000003.png"
    )
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert "value 1 has the colour of hair (2)" in found.failures[0].message


def test_grey_of_few_bits_is_not_stretched(labels_in, tmp_path):
    values = np.array([[0, 1], [2, 3]], np.uint8).repeat(32, 0).repeat(32, 1)
    image = Image.fromarray(values * 85)
    image.save(tmp_path / "000003.png", bits=2)
    data = (tmp_path / "000003.png").read_bytes()
    if data[24] == 2:
        assert np.array_equal(labels_in("000003.png", data), values)


def test_colours_may_drift_and_edges_may_be_smooth_and_both_are_said(ten_samples, tmp_path):
    pixels = PALETTE[box(64, 16, 16, 48, 48, 2)].astype(int)
    pixels[:, :32] += np.array([3, 0, 2])
    pixels[:, 15] = (50, 28, 17)  # between background and hair
    write(tmp_path / "000003.png", png(pixels.clip(0, 255).astype(np.uint8)))
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels[0][:, 16:], box(64, 16, 16, 48, 48, 2)[:, 16:])
    assert any("by up to 3 levels" in warning for warning in found.warnings)
    assert any("of mixed colours" in warning for warning in found.warnings)


def test_a_colour_of_no_class_is_named_with_the_nearest_class(ten_samples, tmp_path):
    pixels = PALETTE[box(64, 16, 16, 48, 48, 2)]
    pixels[20:24, 20:24] = (40, 90, 180)
    write(tmp_path / "000003.png", png(pixels))
    _, found = load(tmp_path, ten_samples, CLASSES)
    (failure,) = found.failures
    assert "16 pixels are #285ab4" in failure.message and "the nearest is eyes #285adc" in failure.hint


def test_a_shaded_area_is_no_edge(ten_samples, tmp_path):
    pixels = PALETTE[box(64, 16, 16, 48, 48, 2)]
    pixels[20:44, 20:44, 1] = np.arange(100, 220, 5)
    write(tmp_path / "000003.png", png(pixels))
    (failure,) = load(tmp_path, ten_samples, CLASSES)[1].failures
    assert "which is not the colour of any class" in failure.message


def test_transparent_pixels_are_unlabelled_and_opaque_background_is_background(ten_samples, tmp_path):
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:8, :, 3] = 255
    pixels[:4, :, :3] = PALETTE[1]
    write(tmp_path / "000003.png", png(pixels))
    _, found = load(tmp_path, ten_samples, CLASSES, unlabelled=255)
    assert [area(found.all().labels[0], value) for value in (0, 1, 255)] == [256, 256, 56 * 64]


@pytest.mark.parametrize("alphas", [2, bytes([255, 255, 0])])
@pytest.mark.parametrize("order", [[0, 1, 2], [1, 0, 2]])
def test_a_transparent_colour_of_a_palette_is_unlabelled(ten_samples, tmp_path, alphas, order):
    """Read by index, and by colour where the palette has another order; one entry is clear, or all have an alpha."""
    values = np.arange(64 * 64).reshape(64, 64).astype(np.uint8) % 3
    indexed(values, PALETTE[order]).save(tmp_path / "000003.png", transparency=alphas)
    _, found = load(tmp_path, ten_samples, CLASSES, unlabelled=255)
    assert np.array_equal(found.all().labels[0], np.array([*order[:2], 255])[values])


def test_a_transparent_colour_is_unlabelled_whatever_a_table_says_of_its_value(ten_samples, tmp_path):
    write(tmp_path / "codes.txt", "background\nhair\n")
    values = np.arange(64 * 64).reshape(64, 64).astype(np.uint8) % 3
    indexed(values, PALETTE).save(tmp_path / "000003.png", transparency=2)
    labels = labels_of(tmp_path, ten_samples, CLASSES, unlabelled=255)
    assert np.array_equal(labels, np.array([0, 2, 255])[values])


def test_a_sample_is_no_label_map(ten_samples):
    _, found = load(ten_samples.dir, ten_samples, CLASSES)
    assert len(found.failures) == 10 and "expected a label map, got a picture of" in found.failures[0].message


def test_what_is_unknown_is_told_with_what_is_known(ten_samples, tmp_path):
    with pytest.raises(GsegError, match="no annotations of a known format") as caught:
        load(write(tmp_path / "notes.txt", "hair is above"), ten_samples, CLASSES)
    assert "labelme, COCO, CVAT" in caught.value.hint
    labels = box(64, 8, 8, 16, 16, 2)
    assert np.array_equal(labels_of(write(tmp_path / "000003", png(labels)), ten_samples, CLASSES), labels)


@pytest.mark.parametrize(
    ("names", "way_out"),
    [
        (["000003.jpg"], "JPEG smears"),
        (["000003.jpg", "vott.json"], "export as COCO"),  # photos beside what is unknown are no label maps
        (["000003.jpg", "export.ndjson"], "export as COCO"),  # Labelbox
        (["000003.jpg", "via_export_csv.csv"], "export as JSON"),
        (["000003.xcf", "000003.jpg"], "save it as OpenRaster"),
        (["0010-0010.roi"], "PNG or TIFF of class indices"),  # ImageJ
        (["gTruth.mat"], "PNG or TIFF of class indices"),
        (["faces.zip"], "give the zip itself"),
        (["000003.geojson.gz"], "gunzip"),
    ],
)
def test_the_way_out_of_an_unknown_format_fits_what_was_given(ten_samples, tmp_path, names, way_out):
    for name in names:
        write(tmp_path / name, {"asset": {}, "regions": []})
    with pytest.raises(GsegError, match="no annotations of a known format") as caught:
        load(tmp_path, ten_samples, CLASSES)
    assert way_out in caught.value.hint


def test_annotations_of_no_known_format_beside_pictures_are_not_passed_over_in_silence(ten_samples, tmp_path):
    """Else the pictures of such an export are called bad label maps, and the reason is nowhere."""
    write(tmp_path / "000003.png", png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))
    write(tmp_path / "annotations.json", [{"version": 0, "shapes": [], "tracks": []}])
    write(tmp_path / "samples.json", {"format": 1, "kind": "samples"})  # of gseg itself
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert len(found.failures) == 1
    assert "skipped 1 JSON or XML file without annotations of a known format" in found.warnings[0]
    assert "annotations.json" in found.warnings[0]


def test_supervisely_polygons_have_holes_and_bitmaps_a_corner(labels_in):
    ring = {"exterior": square(0, 0, 20, 20), "interior": [square(5, 5, 15, 15)]}
    bitmap = {"data": b64(zlib.compress(png(np.full((2, 3), 255, np.uint8)))), "origin": [29.6, 40.4]}
    rows = [
        {"classTitle": "skin", "geometryType": "polygon", "points": ring},
        {"classTitle": "hair", "geometryType": "bitmap", "bitmap": bitmap},
    ]
    labels = labels_in("000003.png.json", {"size": {"width": 64, "height": 64}, "objects": rows})
    assert area(labels) == 21 * 21 - 11 * 11  # corners are pixels; the edge of a hole belongs to the hole
    assert np.array_equal(labels == 2, box(64, 30, 40, 33, 42).astype(bool))


def test_what_cannot_be_filled_of_supervisely_is_skipped_and_said(ten_samples, tmp_path):
    rows = [
        {"classTitle": "skin", "geometryType": "rectangle", "points": {"exterior": [[0, 0], [3, 3]], "interior": []}},
        {"classTitle": "pose", "geometryType": "graph", "nodes": {"nose": {"loc": [8, 8]}}},
    ]
    path = write(tmp_path / "000003.png.json", {"size": {"width": 64, "height": 64}, "objects": rows})
    _, found = load(path, ten_samples, CLASSES)
    assert area(found.all().labels[0]) == 16 and "graph cannot be filled; skipped" in " ".join(found.warnings)
    rows[1] = {"classTitle": "hair", "geometryType": "alpha_mask", "bitmap": {}}
    (failure,) = load(write(path, {"size": {"width": 64, "height": 64}, "objects": rows}), ten_samples, CLASSES)[
        1
    ].failures
    assert "not a shape that can be filled: alpha_mask" in failure.message


def test_qupath_polygons_have_holes_and_parts(labels_in):
    def feature(kind, coordinates):
        return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates},
                "properties": {"classification": {"names": ["skin"]}}}  # fmt: skip

    ring, parts = [square(0, 0, 20, 20), square(5, 5, 15, 15)], [[square(30, 30, 34, 34)], [square(40, 40, 44, 44)]]
    features = [feature("Polygon", ring), feature("MultiPolygon", parts)]
    assert area(labels_in("000003.geojson", features)) == 300 + 32
    assert area(labels_in("000003.geojson", features[1])) == 32  # one object alone
    points = labels_in("000003.geojson", [feature("MultiPoint", [[16, 30], [48, 30]])])
    assert_two_discs(points)


def test_a_drawing_without_a_size_must_lie_within_the_sample(ten_samples, tmp_path):
    old = {"shapes": [{"label": "skin", "points": square(0, 0, 500, 500)}], "imagePath": "000003.png"}
    (failure,) = load(write(tmp_path / "000003.json", old), ten_samples, CLASSES)[1].failures
    assert "reaches to 500, but the picture has 64 pixels" in failure.message


def test_upper_layers_cover_lower_ones_and_hidden_ones_do_not_count(ten_samples, tmp_path):
    def layer(name, more=""):
        return f'<layer name="{name}" src="data/{name}.png" {more}/>'

    stack = layer("hair", 'x="10" y="0"') + layer("eyes", 'visibility="hidden"') + f"<stack>{layer('skin')}</stack>"
    with zipfile.ZipFile(tmp_path / "000003.ora", "w") as archive:
        archive.writestr("stack.xml", f'<image w="64" h="64"><stack>{stack}</stack></image>')
        for name in ("hair", "eyes", "skin"):
            archive.writestr(f"data/{name}.png", png(np.full((20, 20, 4), 255, np.uint8)))
    labels = labels_of(tmp_path / "000003.ora", ten_samples, CLASSES)
    assert (area(labels, 1), area(labels, 2), area(labels, 3)) == (200, 400, 0)


def test_stacks_may_lie_in_one_another_thousands_of_times(ten_samples, tmp_path):
    with zipfile.ZipFile(tmp_path / "000003.ora", "w") as archive:
        stacks = f'{"<stack>" * 3000}<layer name="hair" src="a.png"/>{"</stack>" * 3000}'
        archive.writestr("stack.xml", f'<image w="64" h="64">{stacks}</image>')
        archive.writestr("a.png", png(np.full((20, 20, 4), 255, np.uint8)))
    assert area(labels_of(tmp_path / "000003.ora", ten_samples, CLASSES), 2) == 400


WIDE = {
    "16-bit TIFF": ("000003.tif", np.uint16),
    "32-bit TIFF": ("000003.tif", np.int32),
    "TIFF of fractions": ("000003.tif", np.float32),
    "16-bit PNG": ("000003.png", np.uint16),
}


@pytest.mark.parametrize("kind", WIDE)
def test_labels_may_have_more_bits(ten_samples, tmp_path, kind):
    """As napari, Fiji and scikit-image save them."""
    (name, dtype), labels = WIDE[kind], box(64, 8, 8, 16, 16, 2)
    Image.fromarray(labels.astype(dtype)).save(tmp_path / name)
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), labels)
    Image.fromarray((labels * 700.5).astype(dtype)).save(tmp_path / name)
    (failure,) = load(tmp_path, ten_samples, CLASSES)[1].failures
    assert "expected class indices up to 255, got 140" in failure.message


@pytest.mark.parametrize("name", ["int64", "int64_zlib", "float64"])
def test_numpys_own_integers_in_a_tiff_are_read(ten_samples, tmp_path, name):
    """Written by tifffile; Pillow does not open them."""
    (tmp_path / "000003.tif").write_bytes((DATA / f"{name}.tif").read_bytes())
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), box(64, 8, 8, 16, 16, 2))


def test_of_a_stack_of_label_maps_the_first_is_taken_with_a_warning(ten_samples, tmp_path):
    first = Image.fromarray(box(64, 8, 8, 16, 16, 2))
    first.save(tmp_path / "000003.tif", save_all=True, append_images=[Image.fromarray(box(64, 0, 0, 9, 9, 1))])
    _, found = load(tmp_path, ten_samples, CLASSES)
    assert np.array_equal(found.all().labels, np.asarray(first)[None])
    assert any("000003.tif: holds more pictures of this size" in warning for warning in found.warnings)


def test_a_broken_tiff_of_64_bits_is_an_error_of_one_line(ten_samples, tmp_path):
    data = (DATA / "int64_zlib.tif").read_bytes()
    refused = 0
    for at in range(4, len(data), 3):
        write(tmp_path / "000003.tif", data[:at] + bytes([255 - data[at]]) + data[at + 1 :])
        _, found = load(tmp_path, ten_samples, CLASSES)
        refused += bool(found.failures)
        assert all("\n" not in failure.message for failure in found.failures)
    assert refused > 20


def labelme_xml(*objects, size="<imagesize><nrows>64</nrows><ncols>64</ncols></imagesize>"):
    return f"<annotation><filename>000003.png</filename><folder/>{size}{''.join(objects)}</annotation>"


def xml_polygon(name, points, deleted=0):
    inner = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points)
    return f"<object><name>{name}</name><deleted>{deleted}</deleted><id>0</id><polygon>{inner}</polygon></object>"


def test_labelme_xml_is_told_from_voc_and_has_polygons_boxes_and_masks(ten_samples, tmp_path):
    """CVAT's "LabelMe 3.0"."""
    mask = "<object><name>eyes</name><deleted>0</deleted><segm><mask>000003_mask_0.png</mask></segm></object>"
    skin, hair = xml_polygon("skin", square(0, 0, 20, 20)), xml_polygon("hair", square(10, 0, 30, 20))
    gone = xml_polygon("mouth", square(0, 0, 64, 64), deleted=1)
    write(tmp_path / "default/000003.xml", labelme_xml(skin, hair, mask, gone))
    write(tmp_path / "default/Masks/000003_mask_0.png", png(box(64, 40, 40, 50, 50)))
    kind, found = load(tmp_path, ten_samples, CLASSES)
    labels = found.all().labels[0]
    assert kind == "LabelMe XML" and [area(labels, value) for value in (1, 2, 3, 4)] == [200, 400, 100, 0]


def test_labelme_xml_by_datumaro_is_read(ten_samples):
    kind, found = load(DATA / "labelme_xml.zip", ten_samples, CLASSES)
    labels = found.all().labels[0]
    assert kind == "LabelMe XML" and [area(labels, value) for value in (1, 2, 3)] == [200, 400, 100]


def test_layers_without_a_name_are_an_error_that_says_which(ten_samples, tmp_path):
    with zipfile.ZipFile(tmp_path / "000003.ora", "w") as archive:
        layers = "".join(f'<layer name="{name}" src="a.png"/>' for name in ("hair", "", "skin"))
        archive.writestr("stack.xml", f'<image w="64" h="64"><stack>{layers}</stack></image>')
        archive.writestr("a.png", png(np.full((20, 20, 4), 255, np.uint8)))
    (failure,) = load(tmp_path / "000003.ora", ten_samples, CLASSES)[1].failures
    assert "layers without a name: 2 of 3, from below" in failure.message and "after its class" in failure.hint


def test_two_formats_in_one_folder_are_refused_and_other_json_is_passed_over(ten_samples, tmp_path):
    write(tmp_path / "000003.json", labelme(("skin", "rectangle", [[0, 0], [4, 4]])))
    write(tmp_path / "notes.json", {"kind": "samples"})
    assert load(tmp_path, ten_samples, CLASSES)[0] == "labelme"
    write(tmp_path / "coco.json", coco({"bbox": [0, 0, 4, 4]}))
    with pytest.raises(GsegError, match="holds annotations of"):
        load(tmp_path, ten_samples, CLASSES)


def test_pngs_of_label_studio_are_refused_with_the_way_out(ten_samples, tmp_path):
    write(tmp_path / "task-1-annotation-3-by-1-tag-hair-0.png", png(box(64, 0, 0, 4, 4, 255)))
    with pytest.raises(GsegError, match="do not say which image") as caught:
        load(tmp_path, ten_samples, CLASSES)
    assert "JSON" in caught.value.hint


@pytest.mark.parametrize("name", ["gTruth.mat", "PixelLabelData/Label_1.png"])
def test_pngs_that_matlab_numbered_are_refused_with_the_way_out(ten_samples, tmp_path, name):
    """Its Label_1.png is the first image, which is seldom sample 1."""
    write(tmp_path / name, b"")
    write(tmp_path / "Label_1.png", png(box(64, 0, 0, 4, 4, 1)))
    with pytest.raises(GsegError, match="PNGs from MATLAB, numbered in the order of its images") as caught:
        load(tmp_path, ten_samples, CLASSES)
    assert "rename each" in caught.value.hint


def test_pngs_that_matlab_named_after_their_images_are_matched(ten_samples, tmp_path):
    """As later versions do."""
    labels = box(64, 0, 0, 4, 4, 1)
    write(tmp_path / "PixelLabelData" / "Label_1_000003.png", png(labels))
    write(tmp_path / "gTruth.mat", b"")
    assert np.array_equal(labels_of(tmp_path, ten_samples, CLASSES), labels)
