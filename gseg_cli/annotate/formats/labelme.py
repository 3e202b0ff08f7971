"""labelme's JSON, one file per picture, and its dialects (AnyLabeling, X-AnyLabeling).

Written from the files themselves: labelme 6 needs Qt to be imported, and version 7 has no Python API any more.
Shapes are painted in the order of the file, as labelme's own converters do.
"""

import base64
import binascii
from functools import partial
from typing import Any

import numpy as np

from gseg_cli.annotate.bitmap import read_bitmap, within
from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading, no_picture
from gseg_cli.annotate.fields import HINT, Node, check_polygon
from gseg_cli.annotate.shapes import (
    Bitmap,
    Ellipse,
    PixelPolygon,
    Points,
    Polygon,
    Shape,
    Stroke,
    discs,
    pixel_rectangle,
    rectangle,
)
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

_LARGEST = (1024, 1024)  # of GANs of this kind; for files that do not tell the size of their picture


def is_labelme(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("shapes"), list)


def read_labelme(document: Document, files: Files, reading: Reading) -> None:
    node, size = document.node, _size_of(document.node)
    shapes = node.nodes("shapes")
    num_masks = sum(shape.has("shape_type") and shape.value["shape_type"] == "mask" for shape in shapes)
    reading.check_amount(size or _LARGEST, len(shapes), num_masks, document.where)
    counts_pixels = _counts_pixels(node)
    layers = [layer for shape in shapes for layer in _layers_of(shape, size or _LARGEST, counts_pixels)]
    reading.add(Drawing(document.where, _names_of(document), size, layers, _picture_of(node, files)))


def _names_of(document: Document) -> tuple[str, ...]:
    """imagePath, and the file's own name, which labelme takes from the picture."""
    return (document.node.address("imagePath"), document.name) if document.node.has("imagePath") else (document.name,)


def _size_of(node: Node) -> tuple[int, int] | None:
    """Versions before 3.17 do not tell."""
    return (node.whole("imageWidth"), node.whole("imageHeight")) if node.has("imageWidth") else None


def _picture_of(node: Node, files: Files) -> Any:
    if node.has("imageData"):
        return partial(_decode, node.child("imageData"))
    return files.picture(node.address("imagePath")) if node.has("imagePath") else no_picture


def _counts_pixels(node: Node) -> bool:
    """Whether coordinates are those of pixels. Up to 5.11 labelme lets no corner pass the last pixel's number and fills
    shapes with their outline; AnyLabeling and X-AnyLabeling, whose versions are below 6, began as copies of it."""
    version = str(node.value.get("version"))
    return not (version.partition(".")[0].isdecimal() and int(version.partition(".")[0][:9]) >= 6)


def _layers_of(shape: Node, size: tuple[int, int], counts_pixels: bool) -> list[Layer]:
    label = shape.text("label")
    return [Layer(label, found) for found in _shapes_of(shape, size, counts_pixels)]


def _shapes_of(shape: Node, size: tuple[int, int], counts_pixels: bool) -> list[Shape]:
    kind = shape.text("shape_type") if shape.has("shape_type") else "polygon"  # versions before 3 know no other
    points = shape.points("points")
    expected = {"rectangle": (2, 4), "circle": (2,), "line": (2,), "point": (1,), "mask": (2,)}.get(kind)
    if expected and len(points) not in expected:
        raise GsegError(f"{shape.where}: expected {expected[0]} points of a {kind}, got {len(points)}", HINT)
    half = 0.5 if counts_pixels else 0  # from a pixel's corner to its centre
    match kind:
        case "polygon" | "oriented_rectangle" | "rotation" | "quadrilateral":
            ring = check_polygon(points, shape.where)
            return [PixelPolygon((ring.astype(np.int64),)) if counts_pixels else Polygon((ring,))]
        case "rectangle":  # two corners; X-AnyLabeling writes all four
            low, high = points.min(axis=0), points.max(axis=0)
            between = rectangle((low[0], low[1]), (high[0] - low[0], high[1] - low[1]))
            return [pixel_rectangle(points) if counts_pixels else between]
        case "circle":  # the centre, and a point on the edge
            radius = float(((points[1] - points[0]) ** 2).sum() ** 0.5)
            low, high = points[0] - radius, points[0] + radius
            if counts_pixels:
                low, high = np.trunc(low), np.trunc(high) + 1
            return [_ellipse_in(low, high)]
        case "line" | "linestrip":
            return [Stroke(points + half)]
        case "point" | "points":
            return discs(points + half)
        case "mask":  # corners inclusive, and a PNG of what lies between
            return [_mask(shape, points, size)]
    raise GsegError(f"{shape.where}: not a shape that can be filled: {kind}", "draw it as a polygon, or delete it")


def _ellipse_in(low: Points, high: Points) -> Ellipse:
    """low, high: corners of the box around it, [2]"""
    (x, y), (radius_x, radius_y) = (low + high) / 2, (high - low) / 2
    return Ellipse((float(x), float(y)), (float(radius_x), float(radius_y)))


def _mask(shape: Node, points: Points, size: tuple[int, int]) -> Bitmap:
    """Between the corners, or up to the picture's edge: labelme 5 counts the second corner one too far there."""
    mask = read_bitmap(_decode(shape.child("mask")), shape.where, within(size))
    corner, between = points[0].astype(int), np.rint(points[1] - points[0]).astype(int) + 1
    up_to_edge = np.minimum(between, size - corner)
    height, width = mask.shape
    if not ((between == (width, height)) | (up_to_edge == (width, height))).all():
        message = f"{shape.where}: a mask of {width}x{height} between corners of {between[0]}x{between[1]} pixels"
        raise GsegError(message, HINT)
    return Bitmap(mask, (int(corner[0]), int(corner[1])))


def _decode(node: Node) -> bytes:
    try:
        return base64.b64decode(node.of_type(str))
    except (binascii.Error, ValueError) as error:
        raise GsegError(f"{node.where}: not base64: {error}", HINT) from error
