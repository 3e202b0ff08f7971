"""CVAT's "CVAT for images 1.1": an XML file with polygons, boxes, ellipses, lines and masks.

z_order decides what lies over what, then the order of the file, as in CVAT's editor.
"""

from collections.abc import Callable
from xml.etree.ElementTree import Element

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import (
    HINT,
    check_address,
    check_count,
    check_number,
    check_polygon,
    check_text,
    check_whole,
    points_of,
)
from gseg_cli.annotate.rle import decode_rows
from gseg_cli.annotate.shapes import Bitmap, Ellipse, Points, Polygon, Shape, Stroke, discs, turned
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

_AS_IMAGES = 'export it as "CVAT for images 1.1"'


def is_cvat(root: object) -> bool:
    return isinstance(root, Element) and root.tag == "annotations"


def read_cvat(document: Document, files: Files, reading: Reading) -> None:
    if document.root.find("track") is not None and document.root.find("image") is None:
        raise GsegError(f"{document.where}: video tracks without image names are not supported", _AS_IMAGES)
    for image in document.root.findall("image"):
        with reading.attempt():
            reading.add(_drawing_of(image, document, files, reading))


def _drawing_of(image: Element, document: Document, files: Files, reading: Reading) -> Drawing:
    name = check_address(_attribute(image, "name", document.where), f"{document.where}: image name")
    where = f"{document.where}: {name}"
    shapes = [child for child in image if child.tag in (*_SHAPES, "points", "mask")]
    others = {child.tag for child in image} - set(_SHAPES) - {"points", "mask", "tag"}
    if others:
        reading.warnings.append(f"{where}: {', '.join(sorted(others))} cannot be filled; skipped")
    size = _whole(image, "width", where), _whole(image, "height", where)
    reading.check_amount(size, len(shapes), sum(child.tag == "mask" for child in shapes), where)
    shapes.sort(key=lambda child: _whole(child, "z_order", where) if child.get("z_order") else 0)
    layers = [
        Layer(_text(child, "label", where), shape) for child in shapes for shape in _shapes_of(child, size, where)
    ]
    return Drawing(where, (name,), size, layers, files.picture(name))


def _shapes_of(element: Element, size: tuple[int, int], where: str) -> list[Shape]:
    if element.tag == "mask":
        return [_mask(element, size, where)]
    if element.tag == "points":
        return discs(_points(element, where))
    return [_SHAPES[element.tag](element, where)]


def _polygon(element: Element, where: str) -> Shape:
    return Polygon((check_polygon(_points(element, where), f"{where}: {element.tag}"),))


def _stroke(element: Element, where: str) -> Shape:
    return Stroke(_points(element, where))


def _box(element: Element, where: str) -> Shape:
    """Turned around its centre."""
    left, top, right, bottom = (_number(element, key, where) for key in ("xtl", "ytl", "xbr", "ybr"))
    corners = points_of([left, top, right, top, right, bottom, left, bottom], where)
    return Polygon((turned(corners, _number(element, "rotation", where, default=0)),))


def _ellipse(element: Element, where: str) -> Shape:
    x, y, radius_x, radius_y = (_number(element, key, where) for key in ("cx", "cy", "rx", "ry"))
    return Ellipse((x, y), (radius_x, radius_y), _number(element, "rotation", where, default=0))


def _mask(element: Element, size: tuple[int, int], where: str) -> Shape:
    left, top = (int(_number(element, key, where)) for key in ("left", "top"))
    width, height = (_whole(element, key, where) for key in ("width", "height"))
    where = f"{where}: mask"
    if not (1 <= width <= size[0] and 1 <= height <= size[1]):
        raise GsegError(f"{where}: expected a size of 1x1 to {size[0]}x{size[1]}, got {width}x{height}", HINT)
    text = _attribute(element, "rle", where)
    if text.count(",") > width * height:
        raise GsegError(f"{where}: {text.count(',') + 1} run lengths for {width}x{height} pixels", HINT)
    counts = [check_whole(count, f"{where}: rle") for count in text.split(",")]
    return Bitmap(decode_rows(counts, height, width, where), (left, top))


_SHAPES: dict[str, Callable[[Element, str], Shape]] = {
    "polygon": _polygon,
    "polyline": _stroke,
    "box": _box,
    "ellipse": _ellipse,
}


def _points(element: Element, where: str) -> Points:
    """ "x,y;x,y" """
    where = f"{where}: {element.tag}"
    text = _attribute(element, "points", where)
    check_count(text.count(";") + 1, where)
    return points_of([value for point in text.split(";") for value in point.split(",")], where)


def _attribute(element: Element, key: str, where: str) -> str:
    value = element.get(key)
    if value is None:
        raise GsegError(f"{where}: a <{element.tag}> without {key!r}", HINT)
    return value


def _text(element: Element, key: str, where: str) -> str:
    return check_text(_attribute(element, key, where), f"{where}: {element.tag} {key}")


def _whole(element: Element, key: str, where: str) -> int:
    return check_whole(_attribute(element, key, where), f"{where}: {element.tag} {key}")


def _number(element: Element, key: str, where: str, default: float | None = None) -> float:
    if default is not None and element.get(key) is None:
        return default
    return check_number(_attribute(element, key, where), f"{where}: {element.tag} {key}")
