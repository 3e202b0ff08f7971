"""Datumaro's own JSON: polygons, boxes, ellipses, lines, points and masks, with the order they lie in.

A picture is called by the id of its item, and by its path if that is known.
"""

from collections.abc import Callable
from typing import Any

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Bounds, Drawing, Layer, Reading
from gseg_cli.annotate.fields import HINT, Node, check_count, check_polygon, check_whole, points_of
from gseg_cli.annotate.rle import decode_coco
from gseg_cli.annotate.shapes import Bitmap, Ellipse, Points, Polygon, Shape, Stroke, discs, turned
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

_NO_SHAPES = ("label", "caption")  # they have no place on the picture
_UNFILLED = ("cuboid_2d", "cuboid_3d", "skeleton")
_LARGEST = (1024, 1024)  # of GANs of this kind; for files that do not tell the size of their picture


def is_datumaro(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and isinstance(content.get("items"), list)
        and isinstance(content.get("categories"), dict)
    )


def read_datumaro(document: Document, files: Files, reading: Reading) -> None:
    names = _labels(document.node)
    reading.listed += names
    for item in document.node.nodes("items"):
        with reading.attempt():
            reading.add(_drawing_of(item, names, document, files, reading))


def _labels(node: Node) -> list[str]:
    categories = node.child("categories")
    if not categories.has("label"):
        raise GsegError(f"{categories.where}: no labels", HINT)
    return [row.text("name") for row in categories.child("label").nodes("labels")]


def _drawing_of(item: Node, names: list[str], document: Document, files: Files, reading: Reading) -> Drawing:
    called, size = _picture_of(item)
    where = f"{document.where}: {called[-1]}"
    rows = [row for row in item.nodes("annotations") if row.text("type") not in _NO_SHAPES]
    others = {row.text("type") for row in rows} & set(_UNFILLED)
    if others:
        reading.warnings.append(f"{where}: {', '.join(sorted(others))} cannot be filled; skipped")
    rows = [row for row in rows if row.text("type") not in others]
    reading.check_amount(size or _LARGEST, len(rows), sum(row.has("rle") for row in rows), where)
    rows.sort(key=lambda row: row.whole("z_order") if row.has("z_order") else 0)
    layers = [Layer(_label_of(row, names), shape) for row in rows for shape in _shapes_of(row, size, reading.bounds)]
    return Drawing(where, called, size, layers, files.picture(called[0]))


def _picture_of(item: Node) -> tuple[tuple[str, ...], tuple[int, int] | None]:
    """Its names and (width, height)."""
    names = [item.address("id")]
    if not item.has("image"):
        return tuple(names), None
    image = item.child("image")
    if image.has("path") and image.value["path"]:
        names.insert(0, image.address("path"))
    return tuple(names), _two(image.child("size")) if image.has("size") else None


def _two(node: Node) -> tuple[int, int]:
    """(width, height) of [height, width]."""
    height, width = node.pair()
    return check_whole(width, node.where), check_whole(height, node.where)


def _label_of(row: Node, names: list[str]) -> str:
    number = row.whole("label_id") if row.has("label_id") else -1
    if not 0 <= number < len(names):
        got = "no label" if number < 0 else f"label {number}, but {len(names)} have a name"
        raise GsegError(f"{row.where}: {got}", "give each shape a label")
    return names[number]


def _shapes_of(row: Node, size: tuple[int, int] | None, bounds: Bounds) -> list[Shape]:
    kind = row.text("type")
    if kind == "mask":
        return [_mask(row, size, bounds)]
    if kind == "points":
        return discs(_points(row))
    if kind not in _SHAPES:
        raise GsegError(f"{row.where}: not a shape that can be filled: {kind}", "draw it as a polygon")
    return [_SHAPES[kind](row)]


def _mask(row: Node, size: tuple[int, int] | None, bounds: Bounds) -> Shape:
    rle = row.child("rle")
    width, height = _two(rle.child("size"))
    if (width, height) != (size or (width, height)) or not bounds.hold((width, height)):
        raise GsegError(f"{rle.where}: a mask of {width}x{height} does not fit the picture", HINT)
    counts = rle.child("counts")
    runs = counts.value if isinstance(counts.value, str) else counts.of_type(list)
    return Bitmap(decode_coco(runs, height, width, counts.where))


def _polygon(row: Node) -> Shape:
    return Polygon((check_polygon(_points(row), row.where),))


def _box(row: Node) -> Shape:
    """[x, y, width, height], turned around its centre."""
    values = [value.as_number() for value in row.nodes("bbox")]
    if len(values) != 4:
        raise GsegError(f"{row.where}: bbox: expected [x, y, width, height], got {len(values)} numbers", HINT)
    x, y, width, height = values
    corners = points_of([x, y, x + width, y, x + width, y + height, x, y + height], row.where)
    attributes = row.child("attributes") if row.has("attributes") else row
    return Polygon((turned(corners, attributes.number("rotation") if attributes.has("rotation") else 0),))


def _ellipse(row: Node) -> Shape:
    """Two corners of the box around it."""
    corners = _points(row)
    if len(corners) != 2:
        raise GsegError(f"{row.where}: expected 2 corners of an ellipse, got {len(corners)}", HINT)
    (x, y), (radius_x, radius_y) = corners.mean(axis=0), abs(corners[1] - corners[0]) / 2
    return Ellipse((float(x), float(y)), (float(radius_x), float(radius_y)))


def _stroke(row: Node) -> Shape:
    return Stroke(_points(row))


def _points(row: Node) -> Points:
    node = row.child("points")
    check_count(len(node.of_type(list)) // 2, node.where)
    return points_of(node.of_type(list), node.where)


_SHAPES: dict[str, Callable[[Node], Shape]] = {
    "polygon": _polygon,
    "bbox": _box,
    "ellipse": _ellipse,
    "polyline": _stroke,
}
