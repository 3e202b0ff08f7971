"""The JSON of VIA (VGG Image Annotator), a project or its annotations alone, which makesense.ai writes too.

Regions are painted in the order of the file. It does not tell the size of the pictures.
"""

import math
from typing import Any

import numpy as np

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import HINT, Node, check_count, check_polygon, check_text, points_of
from gseg_cli.annotate.shapes import Ellipse, Points, Polygon, Shape, Stroke, rectangle
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

UNNAMED = "region"  # what all are called where nobody gave any a label, as people do who draw one class only
_PROJECT = "_via_img_metadata"
_LABEL_KEYS = ("label", "class", "name", "category", "type")


def is_via(content: Any) -> bool:
    rows = content.get(_PROJECT, content) if isinstance(content, dict) else None
    return isinstance(rows, dict) and bool(rows) and all(map(_is_picture, rows.values()))


def read_via(document: Document, files: Files, reading: Reading) -> None:
    node = document.node.child(_PROJECT) if document.node.has(_PROJECT) else document.node
    has_labels = any(map(_has_labels, node.value.values()))
    for key in node.of_type(dict):
        with reading.attempt():
            picture = node.child(key)
            name = picture.address("filename")
            where = f"{document.where}: {name}"
            regions = _regions_of(picture)
            reading.check_amount(None, len(regions), 0, where)
            layers = [Layer(_label_of(region) if has_labels else UNNAMED, _shape_of(region)) for region in regions]
            reading.add(Drawing(where, (name,), None, layers, files.picture(name)))


def _is_picture(value: Any) -> bool:
    return isinstance(value, dict) and "filename" in value and isinstance(value.get("regions"), list | dict)


def _regions_of(picture: Node) -> list[Node]:
    """A list; version 1 has an object whose keys are numbers."""
    regions = picture.child("regions")
    return regions.items() if isinstance(regions.value, list) else [regions.child(key) for key in regions.value]


def _has_labels(picture: dict[str, Any]) -> bool:
    """Whether a region of the picture has an attribute that says something."""
    regions = picture["regions"]
    rows = regions.values() if isinstance(regions, dict) else regions
    attributes = [row.get("region_attributes") for row in rows if isinstance(row, dict)]
    return any(_chosen(value) for found in attributes if isinstance(found, dict) for value in found.values())


def _label_of(region: Node) -> str:
    """The value of the only attribute, or of the one that is called as a label is; one ticked box counts as a value."""
    node = region.child("region_attributes")
    found = {key: _chosen(value) for key, value in node.of_type(dict).items()}
    named = {key: value for key, value in found.items() if value}
    key = next((key for key in _LABEL_KEYS if key in named), next(iter(named), ""))
    if not named or (len(named) > 1 and key not in _LABEL_KEYS):
        got = ", ".join(repr(key)[:40] for key in named) or "none"
        raise GsegError(f"{region.where}: expected an attribute with the label, got {got}", "call it label in VIA")
    return check_text(named[key], node.where)


def _chosen(value: Any) -> str:
    if isinstance(value, dict):
        ticked = [key for key, is_ticked in value.items() if is_ticked]
        return ticked[0] if len(ticked) == 1 else ""
    return value.strip() if isinstance(value, str) else ""


def _shape_of(region: Node) -> Shape:
    node = region.child("shape_attributes")
    match node.text("name"):
        case "polygon":
            return Polygon((check_polygon(_points(node), node.where),))
        case "polyline":
            return Stroke(_points(node))
        case "point":
            return Stroke(np.array([[node.number("cx"), node.number("cy")]]))
        case "rect":
            return rectangle((node.number("x"), node.number("y")), (node.number("width"), node.number("height")))
        case "circle":
            return Ellipse((node.number("cx"), node.number("cy")), (node.number("r"), node.number("r")))
        case "ellipse":
            turn = math.degrees(node.number("theta")) if node.has("theta") else 0
            return Ellipse((node.number("cx"), node.number("cy")), (node.number("rx"), node.number("ry")), turn)
        case kind:
            raise GsegError(f"{region.where}: not a shape that can be filled: {kind}", "draw it as a polygon")


def _points(node: Node) -> Points:
    across, down = node.child("all_points_x").of_type(list), node.child("all_points_y").of_type(list)
    if len(across) != len(down):
        raise GsegError(f"{node.where}: {len(across)} x, but {len(down)} y", HINT)
    check_count(len(across), node.where)
    return points_of([value for point in zip(across, down, strict=True) for value in point], node.where)
