"""Supervisely's JSON, one file per picture: polygons with holes, rectangles, bitmaps, lines and points.

Coordinates are those of pixels, and the outline belongs to the shape, as when its own SDK fills it.
"""

import base64
import zlib
from typing import Any

import numpy as np

from gseg_cli.annotate.bitmap import read_bitmap, within
from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import HINT, Node, check_polygon
from gseg_cli.annotate.shapes import Bitmap, PixelPolygon, Shape, Stroke, pixel_rectangle
from gseg_cli.annotate.source_files import Files, base_name
from gseg_runtime.errors import GsegError

_KINDS = ("polygon", "rectangle", "line", "point")  # and bitmap
_NO_AREA = {"graph", "cuboid", "cuboid_2d"}  # key points, and boxes in space
_MAX_BITMAP = 64 * 2**20  # bytes of a PNG


def is_supervisely(content: Any) -> bool:
    return (
        isinstance(content, dict) and isinstance(content.get("objects"), list) and isinstance(content.get("size"), dict)
    )


def read_supervisely(document: Document, files: Files, reading: Reading) -> None:
    node, name = document.node, base_name(document.name).removesuffix(".json")
    size = node.child("size")
    wide_high = size.whole("width"), size.whole("height")
    rows = node.nodes("objects")
    num_masks = sum(row.has("bitmap") for row in rows)
    reading.check_amount(wide_high, len(rows), num_masks, document.where)
    kinds = {row.text("geometryType") for row in rows}
    if others := kinds & _NO_AREA:
        reading.warnings.append(f"{document.where}: {', '.join(sorted(others))} cannot be filled; skipped")
    drawn = [row for row in rows if row.text("geometryType") not in _NO_AREA]
    layers = [Layer(row.text("classTitle"), _shape_of(row, wide_high)) for row in drawn]
    reading.add(Drawing(document.where, (name,), wide_high, layers, files.picture(name)))


def _shape_of(row: Node, size: tuple[int, int]) -> Shape:
    kind = row.text("geometryType")
    if kind == "bitmap":
        bitmap = row.child("bitmap")
        mask = read_bitmap(_unpack(bitmap.child("data")), row.where, within(size))
        return Bitmap(mask, _corner(bitmap.child("origin")))
    if kind not in _KINDS:
        raise GsegError(
            f"{row.where}: not a shape that can be filled: {kind}", "draw it as a polygon or with the brush"
        )
    points = row.child("points")
    outer = points.points("exterior")
    if kind == "rectangle":
        return pixel_rectangle(outer.round())
    if kind in ("line", "point"):
        return Stroke(outer + 0.5)
    holes = points.nodes("interior") if points.has("interior") else []
    rings = [outer, *(hole.as_points() for hole in holes)]
    return PixelPolygon(tuple(check_polygon(ring, row.where).round().astype(np.int64) for ring in rings))


def _corner(node: Node) -> tuple[int, int]:
    x, y = (round(Node(value, node.where).as_number()) for value in node.pair())
    return x, y


def _unpack(node: Node) -> bytes:
    """A PNG, compressed once more, in base64."""
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(node.of_type(str)), _MAX_BITMAP)
    except (ValueError, zlib.error) as error:
        raise GsegError(f"{node.where}: not a compressed bitmap: {error}", HINT) from error
    if unpacker.unconsumed_tail:
        raise GsegError(f"{node.where}: unpacks to more than {_MAX_BITMAP // 2**20} MiB", HINT)
    return data
