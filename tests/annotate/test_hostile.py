"""Broken and hostile exports end in one line with a hint, and nothing is written."""

import copy
import io
import json
import os
import random
import struct
import zipfile
import zlib

import numpy as np
import pytest

from gseg_cli.annotate import documents, drawing, source_files
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import tie
from gseg_cli.annotate.recognise import read_source
from gseg_cli.app import main
from gseg_cli.project import Project
from gseg_runtime.errors import GsegError
from tests.annotate.exports import (
    CLASSES,
    DATA,
    b64,
    box,
    coco,
    cvat,
    darwin,
    datumaro,
    label_studio,
    labelme,
    png,
    sa1b,
    square,
    via,
    write,
)

SKIN = ("skin", "polygon", square(0, 0, 9, 9))
SQUARE = {"x": 0, "y": 0, "width": 50, "height": 50, "rectanglelabels": ["skin"]}
RLE = {"size": [64, 64]}


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def huge_png(width, height):
    """It says that it is large; nothing in it is."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 99)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


BOMB = '<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
OUTSIDE = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
BITMAP_BOMB = b64(zlib.compress(b"\0" * 70_000_000, 9))
ZIP = zipped({"000003.json": json.dumps(labelme(SKIN))})
ACCENT = zipped({"\u00e9.json": "{}"})
MILLION_POINTS = '{"shapes": [{"label": "skin", "points": [' + ",".join(["[1,1]"] * 1_000_000) + "]}]}"
ZIGZAG = ("skin", "polygon", [[index * 7 % 4096, index % 2 * 4095] for index in range(4800)])
DIAGONALS = ("skin", "linestrip", [[0, 0], [4096, 4096]] * 200)
LARGE_MASK = {"label": "skin", "shape_type": "mask", "points": [[0, 0], [64, 64]],
              "mask": b64(png(np.ones((65, 65), np.uint8)))}  # fmt: skip
RASTER = {"dense_rle": [0, 4096], "mask_annotation_ids_mapping": {"m": 1}, "total_pixels": 4096}
WHOLE_PICTURE = {"segmentation": {"size": [4096, 4096], "counts": [0, 4096 * 4096]}}
CASES = {
    "traversal in a name": ("a.json", labelme(SKIN, path="../../../etc/passwd"), "expected the seed of a sample"),
    "an address with a broken host": (
        "a.json", label_studio(SQUARE, image="http://[?a.png"), "the name 'http://[?a.png', it holds no number",
    ),
    "traversal in a zip": ("a.zip", zipped({"../../000003.json": "{}"}), "would land outside its folder"),
    "absolute path in a zip": ("a.zip", zipped({"/etc/000003.json": "{}"}), "would land outside its folder"),
    "drive in a zip": ("a.zip", zipped({"C:\\000003.json": "{}"}), "would land outside its folder"),
    "empty name in a zip": ("a.zip", zipped({"Q": "{}"}).replace(b"Q", b"\0"), "not a zip that can be read"),
    "truncated zip": ("a.zip", ZIP[:-30], "not a zip that can be read"),
    "broken member": ("a.zip", ZIP[:60] + b"\xff" * 20 + ZIP[80:], "cannot be read"),
    "name in a zip that is no UTF-8": ("a.zip", ACCENT[:30] + b"\xff" + ACCENT[31:], "cannot be read"),
    "entity bomb": ("a.xml", BOMB + "<annotations>&b;</annotations>", "declares XML entities"),
    "entity of a file": ("a.xml", OUTSIDE + "<annotations>&a;</annotations>", "declares XML entities"),
    "truncated XML": ("a.xml", cvat('<polygon label="skin"')[:-40], "not valid XML"),
    "truncated JSON": ("a.json", json.dumps(labelme(SKIN))[:-40], "not valid JSON"),
    "bad UTF-8": ("a.json", b'{"shapes": "\xff\xfe"}', "not valid JSON"),
    "NaN": ("a.json", '{"shapes": [], "imageWidth": NaN}', "not valid JSON: NaN"),
    "deep nesting": ("a.json", "[" * 100_000, "nested too deeply"),
    "infinity": ("a.json", json.dumps(labelme(SKIN)).replace("9", "1e999", 1), "expected a number"),
    "not a number in XML": ("a.xml", cvat('<polygon label="skin" points="0,0;nan,3;4,4"/>'), "expected a number"),
    "absurd size": ("000003.json", labelme(SKIN, size=10**9), "expected 1 to 4096 pixels a side"),
    "large size": ("000003.json", labelme(SKIN, size=50_000), "expected 1 to 4096 pixels a side"),
    "no size": ("000003.json", labelme(SKIN, size=0), "expected 1 to 4096 pixels a side"),
    "negative size in COCO": ("a.json", coco({"bbox": [0, 0, 1, 1]}, size=-64), "expected 1 to 4096 pixels a side"),
    "large mask in XML": ("a.xml", cvat('<mask label="skin" rle="9" left="0" top="0" width="99999" height="99999"/>'),
                          "expected a size of 1x1 to 64x64"),
    "brush of gigabytes": ("a.json", label_studio({"rle": [255] * 9, "brushlabels": ["skin"]}), "16384 values for"),
    "brush cut off": ("a.json", label_studio({"rle": [0, 0, 64, 0, 57, 0], "brushlabels": ["skin"]}), "are cut off"),
    "a million points": ("000003.json", MILLION_POINTS, "expected at most 100000"),
    "two points": ("000003.json", labelme(("skin", "polygon", [[1, 1], [2, 2]])), "a polygon needs 3 points, got 2"),
    "many shapes": ("000003.json", labelme(*[SKIN] * 10_001), "10001 shapes"),
    "many masks of ten bytes": (
        "a.json", coco(*[WHOLE_PICTURE] * 200, size=4096), "200 masks; an image of this size can have 128",
    ),
    "a mask larger than its picture": ("000003.json", labelme() | {"shapes": [LARGE_MASK]}, "a picture of 65x65"),
    "polygons of hours": ("000003.json", labelme(*[ZIGZAG] * 30, size=4095), "would take minutes to fill"),
    "a line of hours": ("000003.json", labelme(DIAGONALS, size=4095), "would take minutes to fill"),
    "gigabytes once parsed": ("a.zip", zipped({"a.json": "[" + "[]," * 5_000_001 + "1]"}), "more than 10000000 values"),
    "a name of a megabyte": ("000003.json", labelme(("x" * 10**6, "point", [[1, 1]])), "a name of 1000000 characters"),
    "an error thousands of times": ("a.json", coco() | {"annotations": [{}] * 30_000}, "and 20000 errors before this"),
    "RLE that overruns": ("a.json", coco({"segmentation": RLE | {"counts": [0, 10**9]}}), "add up to 4096 pixels"),
    "negative RLE": ("a.json", coco({"segmentation": RLE | {"counts": [-5, 4101]}}), "add up to 4096 pixels"),
    "RLE of nonsense": ("a.json", coco({"segmentation": RLE | {"counts": "\x00\x01"}}), "not the text of a COCO RLE"),
    "endless RLE": ("a.json", coco({"segmentation": RLE | {"counts": "o" * 99}}), "not the text of a COCO RLE"),
    "RLE cut off": ("a.json", coco({"segmentation": RLE | {"counts": "o"}}), "cut off"),
    "RLE of another size": ("a.json", coco({"segmentation": {"size": [9, 9], "counts": [81]}}), "a mask of 9x9"),
    "unknown category": ("a.json", coco({"bbox": [0, 0, 1, 1], "category_id": 9}), "category_id 9 is not in the file"),
    "bitmap bomb": ("000003.png.json", {"size": {"width": 64, "height": 64}, "objects": [{"classTitle": "skin",
                    "geometryType": "bitmap", "bitmap": {"data": BITMAP_BOMB, "origin": [0, 0]}}]}, "more than 64 MiB"),
    "traversal in layers": ("000003.ora", zipped({"stack.xml": '<image w="64" h="64"><stack><layer name="skin" '
                            'src="../../000000.png"/></stack></image>'}), "its picture is not in the file"),
    "entities in layers": ("000003.ora", zipped({"stack.xml": BOMB + "<image>&b;</image>"}), "declares XML entities"),
    "huge picture": ("000003.png", huge_png(9000, 9000), "a picture of 9000x9000 pixels"),
    "very huge picture": ("000003.png", huge_png(2**31 - 1, 2**31 - 1), "000003.png: "),
    "not a zip": ("a.zip", b"PK\x03\x04 nothing more", "not a zip that can be read"),
    "two objects": ("a.json", "{}{}", "not valid JSON"),
    "escape codes in a name": ("a.xml", cvat(name="&#x9b;31m000003.png"), "printable characters"),
    "half a character in a name": ("a.json", coco({"bbox": [0, 0, 1, 1]}, name="\ud800.png"), "printable characters"),
    "unknown class in YOLO": ("a.zip", zipped({"labels/000003.txt": "9 0 0 1 0 1 1", "data.yaml": "names: [skin]"}),
                              "class 9, but 1 have a name"),
    "pixels in YOLO": ("a.zip", zipped({"labels/000003.txt": "0 0 0 64 0 64 64", "data.yaml": "names: [skin]"}),
                       "expected shares of the width and height"),
    "YOLO without names": ("000003.txt", "0 0 0 1 0 1 1", "no data.yaml or classes.txt"),
    "YOLO with confidences": ("a.zip", zipped({"labels/000003.txt": "0 0 0 1 0 1 1 0.9", "classes.txt": "skin"}),
                              "expected x and y of each point, got 7 numbers"),
    "poses in YOLO": ("a.zip", zipped({"labels/000003.txt": "0 .5 .5 .4 .4 .3 .3 .6 .6",
                                       "data.yaml": "names: [skin]\nkpt_shape: [2, 2]"}), "labels of poses"),
    "aliases in YAML": ("a.zip", zipped({"labels/000003.txt": "0 0 0 1 0 1 1",
                                         "data.yaml": "a: &a [x]\nb: [*a, *a]\nnames: [skin]"}), "has aliases"),
    "deep YAML, which took PyYAML hours": ("a.zip", zipped({"labels/000003.txt": "0 0 0 1 0 1 1",
                                                            "data.yaml": "names: " + "[" * 500_000}), "too deeply"),
    "objects in YAML": ("a.zip", zipped({"labels/000003.txt": "0 0 0 1 0 1 1",
                                         "data.yaml": "names: !!python/object/apply:os.system [ls]"}),
                        "not valid YAML"),
    "VIA of unequal lists": ("a.json", via({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1]}),
                             "3 x, but 1 y"),
    "VIA without a label": ("a.json", via({"name": "point", "cx": 1, "cy": 1}, label={}), "unknown class 'region'"),
    "mask of LabelMe that is missing": ("000003.xml", "<annotation><filename>000003.png</filename><object><name>skin"
                                        "</name><segm><mask>../x.png</mask></segm></object></annotation>",
                                        "is missing"),
    "raster that overruns": ("a.json", darwin(RASTER | {"dense_rle": [1, 10**9]}), "add up to 4096 pixels"),
    "raster of endless values": ("a.json", darwin(RASTER | {"dense_rle": [1, 0] * 4097}), "in turn, got 8194 numbers"),
    "raster of an unknown mask": ("a.json", darwin(RASTER | {"mask_annotation_ids_mapping": {"x": 1}}),
                                  "mask 'x' is not in the file"),
    "video of Darwin": ("a.json", darwin(RASTER) | {"annotations": [{"name": "skin", "frames": {"0": {}}}]},
                        "annotations of a video"),
    "mask larger than Datumaro's picture": ("a.json", datumaro({"type": "mask", "rle": {"size": [9, 9], "counts":
                                            [81]}}), "a mask of 9x9 does not fit"),
    "label of Datumaro that is missing": ("a.json", datumaro({"type": "polygon", "label_id": 7, "points": [0] * 6}),
                                          "label 7, but 1 have a name"),
    "SA-1B without a class": ("a.json", sa1b(([4096 - 9, 9], 41)), "unknown class '41'"),
    "ISAT's polygon of two corners": ("a.json", {"info": {"description": "ISAT", "name": "000003.png", "width": 64,
                                      "height": 64}, "objects": [{"category": "skin", "segmentation": [[1, 1], [2, 2]],
                                      "layer": 1.0}]}, "a polygon needs 3 points"),
    "line break in a label": ("000003.json", labelme(("skin\nerror: x", "point", [[1, 1]])), "printable characters"),
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    return Project.create(tmp_path / "faces", classes=CLASSES)


def everything_in(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("case", CASES)
def test_what_is_broken_or_hostile_is_one_line_with_a_hint_and_nothing_is_written(project, tmp_path, capsys, case):
    name, content, message = CASES[case]
    write(tmp_path / "in" / name, content)
    before = everything_in(tmp_path)
    source = str(tmp_path / "in" / name)
    assert main(["annotate-import", source, "--samples", str(DATA / "samples"), "-C", str(project.dir)]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line != "nothing was written"]
    assert len(errors) == 2 and errors[0].startswith("error: ") and message in errors[0], errors
    assert errors[1].startswith("hint: ") and len(errors[0]) < 500
    assert everything_in(tmp_path) == before


def test_a_zip_bomb_is_stopped_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(source_files, "MAX_BYTES", 1000)
    monkeypatch.setattr(source_files, "MAX_ZIP_BYTES", 2000)
    (tmp_path / "a.zip").write_bytes(zipped({"a.json": b" " * 10_000_000}))
    with pytest.raises(GsegError, match="more than"):
        source_files.open_source(tmp_path / "a.zip").read("a.json")
    (tmp_path / "b.zip").write_bytes(zipped({f"{index}.json": b" " * 900 for index in range(3)}))
    files = source_files.open_source(tmp_path / "b.zip")
    files.read("0.json"), files.read("1.json")
    with pytest.raises(GsegError, match="unpacks to more than"):
        files.read("2.json")


def test_pictures_that_are_absurdly_large_together_are_refused(ten_samples, tmp_path, monkeypatch):
    """Each alone is small when it is packed, and within bounds."""
    for kind in ("label maps/{}.png", "parts/{}_hair.png", "voc/SegmentationClass/{}.png"):
        for seed in range(3):
            write(tmp_path / kind.format(seed), png(box(64, 0, 0, 8, 8)))
    for folder in tmp_path.iterdir():
        monkeypatch.setattr(drawing, "MAX_READ", 2**40)
        read_source(folder, Names(CLASSES))
        monkeypatch.setattr(drawing, "MAX_READ", 64 * 64 * 2)
        with pytest.raises(GsegError, match="too much to read: more than"):
            read_source(folder, Names(CLASSES))


@pytest.mark.parametrize("bound", ["MAX_VALUES", "MAX_TEXT"])
def test_documents_that_are_too_large_together_are_not_parsed(tmp_path, monkeypatch, bound):
    for name in ("a.xml", "b.xml"):
        write(tmp_path / name, cvat('<tag label=""/>' * 600))
    read_source(tmp_path, Names(CLASSES))
    monkeypatch.setattr(documents, bound, {"MAX_VALUES": 2000, "MAX_TEXT": 10_000}[bound])
    read_source(tmp_path / "a.xml", Names(CLASSES))
    with pytest.raises(GsegError, match=r"b\.xml: too much to read: more than"):
        read_source(tmp_path, Names(CLASSES))


def test_a_pipe_in_place_of_an_export_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "export.zip")
    with pytest.raises(GsegError, match=r"export\.zip: expected a file, got a pipe"):
        source_files.open_source(tmp_path / "export.zip")


def test_a_source_of_too_many_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(source_files, "MAX_FILES", 3)
    (tmp_path / "a.zip").write_bytes(zipped({f"{index}.png": b"" for index in range(4)}))
    with pytest.raises(GsegError, match="more than 3 files"):
        source_files.open_source(tmp_path / "a.zip")


def test_no_damage_to_an_export_ends_in_anything_but_an_error_of_one_line(ten_samples, tmp_path):
    """Values of real exports replaced or taken away at random."""
    names = Names(CLASSES)
    with zipfile.ZipFile(DATA / "labelme.zip") as archive:
        documents = [
            json.loads(archive.read("000002.json")),
            coco({"bbox": [0, 0, 4, 4]}, {"segmentation": [[0, 0, 1, 1, 2, 3]]}),
        ]
    documents.append(via({"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}))
    documents += [json.loads((DATA / f"label_studio_{kind}.json").read_text())[:1] for kind in ("polygons", "brush")]
    documents += [json.loads(text) for text in (first_of("darwin.zip"), first_of("darwin_masks.zip"))]
    documents += [json.loads(text) for text in (first_of("datumaro_polygons.zip"), first_of("datumaro_masks.zip"))]
    documents += [json.loads(first_of("isat.zip")), sa1b(([64 * 8, 64, 64 * 55], 41))]
    refused = 0
    for seed in range(300):
        damaged = damage(random.Random(seed).choice(documents), random.Random(seed))
        source = write(tmp_path / "a.json", damaged)
        try:
            failures = tie(read_source(source, names)[1], ten_samples, names).failures
        except GsegError as error:
            failures = (error,)
        refused += bool(failures)
        assert all("\n" not in failure.message for failure in failures)
    assert refused > 100


def first_of(name):
    with zipfile.ZipFile(DATA / name) as archive:
        return archive.read(archive.namelist()[0])


def damage(document, randomly):
    document = copy.deepcopy(document)
    parent, key, value = None, None, document
    while isinstance(value, dict | list) and value and (parent is None or randomly.random() < 0.8):
        parent, key = value, randomly.choice(list(value) if isinstance(value, dict) else range(len(value)))
        value = parent[key]
    parent[key] = randomly.choice([None, True, -1, 1e30, 10**30, "x", [], {}, [1], [[1, 2]], [None], {"a": 1}, "\0"])
    return document
