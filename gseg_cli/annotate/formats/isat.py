"""ISAT's JSON, one file per picture: polygons, painted from the lowest layer up."""

from typing import Any

from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import check_polygon
from gseg_cli.annotate.shapes import Polygon
from gseg_cli.annotate.source_files import Files


def is_isat(content: Any) -> bool:
    info = content.get("info") if isinstance(content, dict) else None
    return isinstance(info, dict) and info.get("description") == "ISAT" and isinstance(content.get("objects"), list)


def read_isat(document: Document, files: Files, reading: Reading) -> None:
    info, rows = document.node.child("info"), document.node.nodes("objects")
    name, size = info.address("name"), (info.whole("width"), info.whole("height"))
    reading.check_amount(size, len(rows), 0, document.where)
    rows.sort(key=lambda row: row.number("layer") if row.has("layer") else 0)
    layers = [
        Layer(row.text("category"), Polygon((check_polygon(row.points("segmentation"), row.where),))) for row in rows
    ]
    reading.add(Drawing(document.where, (name,), size, layers, files.picture(name)))
