"""SA-1B's JSON, one file per picture, and the bare list that SAM's script writes: masks without names.

Each is called by its id, or its place in the list from 0 on, so that `--map 41=hair` says what it is. Small ones lie
over large ones, as SAM shows them.
"""

from typing import Any

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import Node, check_whole
from gseg_cli.annotate.formats.coco import read_rle
from gseg_cli.annotate.shapes import Bitmap
from gseg_cli.annotate.source_files import Files


def is_sa1b(content: Any) -> bool:
    """As COCO, but of one picture and without categories."""
    if isinstance(content, list):
        return bool(content) and all(isinstance(row, dict) and "stability_score" in row for row in content)
    rows = content.get("annotations") if isinstance(content, dict) else None
    is_one = isinstance(rows, list) and isinstance(content.get("image"), dict) and "file_name" in content["image"]
    return is_one and "categories" not in content


def read_sa1b(document: Document, files: Files, reading: Reading) -> None:
    name, size, rows = _picture_of(document)
    reading.check_amount(size, len(rows), len(rows), document.where)
    masks = [(_label_of(row, place), _mask_of(row, size)) for place, row in enumerate(rows)]
    masks.sort(key=lambda row: -int(row[1].mask.sum()))
    layers = [Layer(label, mask) for label, mask in masks]
    reading.add(Drawing(document.where, (name,), size, layers, files.picture(name)))


def _picture_of(document: Document) -> tuple[str, tuple[int, int], list[Node]]:
    """Its name, (width, height), and the masks. A list has the name of its picture, and the size in each mask."""
    node = document.node
    if isinstance(node.value, list):
        height, width = node.items()[0].child("segmentation").child("size").pair()
        return document.name, (check_whole(width, node.where), check_whole(height, node.where)), node.items()
    image = node.child("image")
    return image.address("file_name"), (image.whole("width"), image.whole("height")), node.nodes("annotations")


def _mask_of(row: Node, size: tuple[int, int]) -> Bitmap:
    return read_rle(row.child("segmentation"), size)


def _label_of(row: Node, place: int) -> str:
    return str(row.whole("id") if row.has("id") else place)
