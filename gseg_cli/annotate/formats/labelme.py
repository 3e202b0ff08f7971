"""labelme's JSON, one file per picture, and its dialects (AnyLabeling, X-AnyLabeling).

Written from the files themselves: labelme 6 needs Qt to be imported, and version 7 has no Python API any more.
Shapes are painted in the order of the file, as labelme's own converters do.
"""

import base64
import binascii
from functools import partial
from typing import Any

from gseg_cli.annotate.bitmap import read_bitmap
from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import BACKGROUND, IGNORED, Drawing, Layer, Reading, check_amount
from gseg_cli.annotate.fields import HINT, Node, check_polygon
from gseg_cli.annotate.shapes import Bitmap, Ellipse, Polygon, Shape, Stroke, rectangle
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

# The names labelme gives to what every project knows.
_LABELS = {"__ignore__": IGNORED, "_background_": BACKGROUND}

_LARGEST = (1024, 1024)  # of GANs of this kind; for files that do not tell the size of their picture


def is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(document: Document, files: Files, reading: Reading) -> None:
    node, size = document.node, _size_of(document.node)
    check_amount(size or _LARGEST, len(node.child("shapes").of_type(list)), document.where)
    layers = [_layer_of(shape, size or _LARGEST) for shape in node.nodes("shapes")]
    reading.drawings.append(Drawing(document.where, _names_of(document), size, layers, _picture_of(node, files)))


def _names_of(document: Document) -> tuple[str, ...]:
    """imagePath, and the file's own name, which labelme takes from the picture."""
    return (document.node.text("imagePath"), document.name) if document.node.has("imagePath") else (document.name,)


def _size_of(node: Node) -> tuple[int, int] | None:
    """Versions before 3.17 do not tell."""
    return (node.whole("imageWidth"), node.whole("imageHeight")) if node.has("imageWidth") else None


def _picture_of(node: Node, files: Files) -> Any:
    if node.has("imageData"):
        return partial(_decode, node.child("imageData"))
    return files.picture(node.text("imagePath")) if node.has("imagePath") else lambda: None


def _layer_of(shape: Node, size: tuple[int, int]) -> Layer:
    label = shape.text("label")
    return Layer(_LABELS.get(label, label), _shape_of(shape, size))


def _shape_of(shape: Node, size: tuple[int, int]) -> Shape:
    kind = shape.text("shape_type") if shape.has("shape_type") else "polygon"  # versions before 3 know no other
    points = shape.points("points")
    expected = {"rectangle": (2, 4), "circle": (2,), "line": (2,), "point": (1,), "mask": (2,)}.get(kind)
    if expected and len(points) not in expected:
        raise GsegError(f"{shape.where}: expected {expected[0]} points of a {kind}, got {len(points)}", HINT)
    match kind:
        case "polygon" | "oriented_rectangle" | "rotation" | "quadrilateral":
            return Polygon((check_polygon(points, shape.where),))
        case "rectangle":  # two corners; X-AnyLabeling writes all four
            low, high = points.min(axis=0), points.max(axis=0)
            return rectangle((low[0], low[1]), (high[0] - low[0], high[1] - low[1]))
        case "circle":  # the centre, and a point on the edge
            (x, y), edge = points
            radius = float(((edge - points[0]) ** 2).sum() ** 0.5)
            return Ellipse((x, y), (radius, radius))
        case "line" | "linestrip" | "point" | "points":
            return Stroke(points)
        case "mask":  # corners inclusive, and a PNG of what lies between
            x, y = (int(value) for value in points[0])
            return Bitmap(read_bitmap(_decode(shape.child("mask")), shape.where, size), (x, y))
    raise GsegError(f"{shape.where}: not a shape that can be filled: {kind}", "draw it as a polygon, or delete it")


def _decode(node: Node) -> bytes:
    try:
        return base64.b64decode(node.of_type(str))
    except (binascii.Error, ValueError) as error:
        raise GsegError(f"{node.where}: not base64: {error}", HINT) from error
