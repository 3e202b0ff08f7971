"""V7 Darwin's JSON, one file per picture: polygons, boxes, ellipses, lines, points, and the masks of one raster layer.

Version 1.0 has the picture at `image`, version 2.0 at `item`. Shapes are painted in the order of the file; masks lie
below them. Written from the files: darwin-py brings some fifty packages.
"""

import math
from typing import Any

import numpy as np

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import HINT, Node, check_count, check_polygon, check_text, check_whole
from gseg_cli.annotate.shapes import Bitmap, Ellipse, Points, Polygon, Shape, Stroke, rectangle
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

_KINDS = ("polygon", "complex_polygon", "ellipse", "line", "keypoint", "bounding_box")  # a polygon has a box, too
_NO_SHAPES = ("tag", "mask", "raster_layer", "string")


def is_darwin(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        return False
    item, image = content.get("item"), content.get("image")
    is_first = isinstance(image, dict) and "dataset" in content and "filename" in image
    return is_first or (isinstance(item, dict) and isinstance(item.get("slots"), list))


def read_darwin(document: Document, files: Files, reading: Reading) -> None:
    names, size = _picture_of(document.node)
    rows = document.node.nodes("annotations")
    masks = [row for row in rows if row.has("mask")]
    reading.check_amount(size, len(rows), len(masks), document.where)
    _check_image(rows, document.where)
    others = {kind for row in rows for kind in _kinds(row) if not set(_kinds(row)) & {*_KINDS, *_NO_SHAPES}}
    if others:
        reading.warnings.append(f"{document.where}: {', '.join(sorted(others))} cannot be filled; skipped")
    layers = [layer for row in rows if row.has("raster_layer") for layer in _of_raster(row, masks, size)]
    layers += [Layer(_name_of(row), _shape_of(row)) for row in rows if set(_kinds(row)) & set(_KINDS)]
    reading.add(Drawing(document.where, names, size, layers, files.picture(names[0])))


def _picture_of(node: Node) -> tuple[tuple[str, ...], tuple[int, int]]:
    """Its names and (width, height)."""
    if node.has("image"):
        image = node.child("image")
        names = [image.address(key) for key in ("original_filename", "filename") if image.has(key)]
        return tuple(names), (image.whole("width"), image.whole("height"))
    slots = node.child("item").nodes("slots")
    if len(slots) != 1:
        raise GsegError(f"{node.where}: expected one picture, got {len(slots)} slots", "export pictures one by one")
    sources = slots[0].nodes("source_files") if slots[0].has("source_files") else []
    names = [node.child("item").address("name"), *(row.address("file_name") for row in sources if row.has("file_name"))]
    return tuple(names), (slots[0].whole("width"), slots[0].whole("height"))


def _check_image(rows: list[Node], where: str) -> None:
    if any(row.has("frames") for row in rows):
        raise GsegError(f"{where}: annotations of a video", "upload the samples as pictures, and label those")


def _kinds(row: Node) -> list[str]:
    """The keys that hold a shape, or something that is none: all objects but what describes a shape."""
    known = ("slot_names", "properties", "attributes", "instance_id", "text", "inference", "measures",
             "directional_vector")  # fmt: skip
    return [key for key, value in row.of_type(dict).items() if isinstance(value, dict) and key not in known]


def _name_of(row: Node) -> str:
    """Version 1.0 has the name beside the shape, as version 2.0 does."""
    return check_text(row.child("name").of_type(str), row.where)


def _shape_of(row: Node) -> Shape:
    kind = next(kind for kind in _KINDS if row.has(kind))
    node = row.child(kind)
    match kind:
        case "polygon" | "complex_polygon":
            return Polygon(tuple(check_polygon(ring, node.where) for ring in _rings(node)))
        case "ellipse":  # turned by radians
            center, radius = node.child("center"), node.child("radius")
            turn = math.degrees(node.number("angle")) if node.has("angle") else 0
            return Ellipse(_place(center), _place(radius), turn)
        case "line":
            return Stroke(_points(node.child("path")))
        case "keypoint":
            return Stroke(np.array([_place(node)]))
    return rectangle(_place(node), (node.number("w"), node.number("h")))


def _rings(node: Node) -> list[Points]:
    """All its paths; one within another is a hole, as the even-odd rule has it."""
    paths = node.nodes("paths") if node.has("paths") else [node.child("path")]
    if paths and isinstance(paths[0].value, list) and paths[0].value and isinstance(paths[0].value[0], list):
        paths = paths[0].items()  # complex_polygon
    more = node.nodes("additional_paths") if node.has("additional_paths") else []
    check_count(sum(len(path.of_type(list)) for path in [*paths, *more]), node.where)
    return [_points(path) for path in [*paths, *more]]


def _points(node: Node) -> Points:
    """[N, 2] from [{x, y}, ...]."""
    check_count(len(node.of_type(list)), node.where)
    return np.array([_place(row) for row in node.items()]).reshape(-1, 2)


def _place(node: Node) -> tuple[float, float]:
    return node.number("x"), node.number("y")


def _of_raster(row: Node, masks: list[Node], size: tuple[int, int]) -> list[Layer]:
    """A layer per mask. The raster holds numbers along the rows: value, how often, value, how often, ..."""
    raster = row.child("raster_layer")
    names = {mask.child("id").value: _name_of(mask) for mask in masks if isinstance(mask.child("id").value, str)}
    numbers = raster.child("mask_annotation_ids_mapping")
    values = _decoded(raster.child("dense_rle"), size)
    unknown = [key for key in numbers.of_type(dict) if key not in names]
    if unknown:
        raise GsegError(f"{numbers.where}: mask {unknown[0]!r:.60} is not in the file", HINT)
    return [Layer(names[key], Bitmap(values == numbers.whole(key))) for key in numbers.value]


def _decoded(node: Node, size: tuple[int, int]) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """[H, W]"""
    runs = node.of_type(list)
    if len(runs) % 2 or len(runs) > 2 * size[0] * size[1]:
        raise GsegError(f"{node.where}: expected values and run lengths in turn, got {len(runs)} numbers", HINT)
    numbers = np.array([check_whole(run, node.where) for run in runs], np.int64).reshape(-1, 2)
    lengths = numbers[:, 1]
    if (lengths < 0).any() or (lengths > size[0] * size[1]).any() or lengths.sum() != size[0] * size[1]:
        raise GsegError(f"{node.where}: expected run lengths that add up to {size[0] * size[1]} pixels", HINT)
    return np.repeat(numbers[:, 0], lengths).reshape(size[1], size[0])
