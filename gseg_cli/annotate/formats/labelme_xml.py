"""LabelMe's XML, which CVAT and Datumaro call "LabelMe 3.0": one file per picture, polygons, boxes and masks.

LabelMe is the program of the MIT in the browser; labelme, of the same name, writes JSON. Objects are painted in the
order of the file. A box is a polygon of four points.
"""

from xml.etree.ElementTree import Element

from gseg_cli.annotate.bitmap import read_bitmap, read_whole_bitmap
from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Bounds, Drawing, Layer, Reading
from gseg_cli.annotate.fields import (
    HINT,
    check_address,
    check_count,
    check_polygon,
    check_text,
    check_whole,
    points_of,
)
from gseg_cli.annotate.shapes import Bitmap, Polygon, Shape
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError


def is_labelme_xml(root: object) -> bool:
    """Pascal VOC has the same root, but none of these; its polygons, as Roboflow writes them, hold x1, y1, x2, ..."""
    if not isinstance(root, Element) or root.tag != "annotation" or root.find("filename") is None:
        return False
    return any(root.find(path) is not None for path in ("imagesize", "object/polygon/pt", "object/segm"))


def read_labelme_xml(document: Document, files: Files, reading: Reading) -> None:
    root, where = document.root, document.where
    name = check_address((root.findtext("filename") or document.name).strip(), f"{where}: filename")
    size = _size_of(root, where)
    objects = [found for found in root.findall("object") if (found.findtext("deleted") or "0").strip() != "1"]
    num_masks = sum(found.find("segm") is not None for found in objects)
    reading.check_amount(size, len(objects), num_masks, where)
    layers = [_layer_of(found, files, size, reading.bounds, where) for found in objects]
    reading.add(Drawing(where, (name, document.name), size, layers, files.picture(name)))


def _size_of(root: Element, where: str) -> tuple[int, int] | None:
    """Old files of CVAT do not tell."""
    if root.find("imagesize") is None:
        return None
    width, height = (check_whole(root.findtext(f"imagesize/{key}"), f"{where}: {key}") for key in ("ncols", "nrows"))
    return width, height


def _layer_of(found: Element, files: Files, size: tuple[int, int] | None, bounds: Bounds, where: str) -> Layer:
    label = check_text((found.findtext("name") or "").strip(), f"{where}: name")
    is_mask = found.find("segm") is not None
    return Layer(label, _mask(found, files, size, bounds, where) if is_mask else _polygon(found, where))


def _polygon(found: Element, where: str) -> Shape:
    points = found.findall("polygon/pt")
    check_count(len(points), where)
    values = [point.findtext(key) for point in points for key in ("x", "y")]
    return Polygon((check_polygon(points_of(values, f"{where}: polygon"), f"{where}: polygon"),))


def _mask(found: Element, files: Files, size: tuple[int, int] | None, bounds: Bounds, where: str) -> Shape:
    """A picture of the whole, in the folder Masks."""
    name = check_text((found.findtext("segm/mask") or "").strip(), f"{where}: mask")
    file = files.find(name)
    if file is None:
        raise GsegError(f"{where}: the mask {name[:100]} is missing", HINT)
    if size is None:
        return Bitmap(read_bitmap(files.read(file), files.where(file), bounds))
    return Bitmap(read_whole_bitmap(files.read(file), files.where(file), size))
