"""SA-1B's JSON, one file per picture, which SAM's mask generators write too: masks without names.

Each is called by its id, so that `--map 41=hair` says what it is. Small ones lie over large ones, as SAM shows them.
"""

from typing import Any

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import Node
from gseg_cli.annotate.formats.coco import read_rle
from gseg_cli.annotate.source_files import Files


def is_sa1b(content: Any) -> bool:
    """As COCO, but of one picture and without categories."""
    rows = content.get("annotations") if isinstance(content, dict) else None
    is_one = isinstance(rows, list) and isinstance(content.get("image"), dict) and "file_name" in content["image"]
    return is_one and "categories" not in content


def read_sa1b(document: Document, files: Files, reading: Reading) -> None:
    image, rows = document.node.child("image"), document.node.nodes("annotations")
    name, size = image.address("file_name"), (image.whole("width"), image.whole("height"))
    reading.check_amount(size, len(rows), len(rows), document.where)
    masks = [(_label_of(row), read_rle(row.child("segmentation"), size)) for row in rows]
    masks.sort(key=lambda row: -int(row[1].mask.sum()))
    layers = [Layer(label, mask) for label, mask in masks]
    reading.add(Drawing(document.where, (name,), size, layers, files.picture(name)))


def _label_of(row: Node) -> str:
    return str(row.whole("id"))
