"""COCO's JSON: instances (polygons, both kinds of RLE, bare boxes) and panoptic (a PNG of segment numbers per picture).

The format defines no order among overlapping annotations; they are painted in the order of the file, as COCO's own
tools do.
"""

import re
from collections.abc import Iterable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from gseg_cli.annotate.bitmap import check_covers, decode_picture, within
from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.fields import HINT, Node, check_polygon, check_whole, points_of
from gseg_cli.annotate.rle import decode_coco
from gseg_cli.annotate.shapes import Bitmap, Polygon, Shape, rectangle
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

Value = TypeVar("Value")
Image = tuple[str, tuple[int, int]]  # file name and (width, height)


def is_coco(content: Any) -> bool:
    """Captions, which stand beside the instances in COCO's own zip, name no categories."""
    keys = ("images", "annotations", "categories")
    return isinstance(content, dict) and all(isinstance(content.get(key), list) for key in keys)


def is_panoptic(content: Any) -> bool:
    return is_coco(content) and any(isinstance(row, dict) and "segments_info" in row for row in content["annotations"])


def read_coco(document: Document, files: Files, reading: Reading) -> None:
    """A picture with a broken annotation is left out as a whole: without it the label map would be wrong."""
    categories, images = _categories(document.node), _images(document.node)
    reading.listed += _in_order(categories)
    annotations: dict[Any, list[Node]] = {image: [] for image in images}
    for annotation in document.node.nodes("annotations"):
        with reading.attempt():
            annotations[_known_id(images, annotation, "image_id")].append(annotation)
    for image, (name, size) in images.items():
        with reading.attempt():
            where = f"{document.where}: {name}"
            _check_once(annotations[image])
            reading.check_amount(size, len(annotations[image]), sum(map(_is_mask, annotations[image])), where)
            layers = [layer for annotation in annotations[image] for layer in _layers_of(annotation, categories, size)]
            reading.add(Drawing(where, (name,), size, layers, files.picture(name)))


def read_panoptic(document: Document, files: Files, reading: Reading) -> None:
    categories, images = _categories(document.node), _images(document.node)
    reading.listed += _in_order(categories)
    for annotation in document.node.nodes("annotations"):
        with reading.attempt():
            name, size = _of_id(images, annotation, "image_id")
            where = f"{document.where}: {name}"
            num_segments = len(annotation.nodes("segments_info"))
            reading.check_amount(size, num_segments, num_segments, where)
            reading.spend(size[0] * size[1], where)
            layers = _segments(annotation, categories, size, document, files)
            reading.add(Drawing(where, (name,), size, layers, partial(_photo, files, name)))


def _photo(files: Files, name: str) -> bytes | None:
    """The picture itself, which may have the same name as its PNG of segments: then it cannot be told from it."""
    found = files.find(name)
    return files.read(found) if found and "panoptic" not in found else None


def _categories(node: Node) -> dict[Any, str]:
    return _by_id((category, category.text("name")) for category in node.nodes("categories"))


def _in_order(categories: dict[Any, str]) -> list[str]:
    """By their numbers, as tools that draw label maps have them; ids of other kinds as they stand."""
    ids = sorted(categories) if all(isinstance(number, int) for number in categories) else [*categories]
    return [categories[number] for number in ids]


def _images(node: Node) -> dict[Any, Image]:
    return _by_id(
        (image, (image.address("file_name"), (image.whole("width"), image.whole("height"))))
        for image in node.nodes("images")
    )


def _check_once(annotations: list[Node]) -> None:
    """Each annotation of a picture has an id of its own, if any: Datumaro begins anew on every picture, and results of
    detectors have none."""
    _by_id((annotation, None) for annotation in annotations if annotation.has("id"))


def _by_id(rows: Iterable[tuple[Node, Value]]) -> dict[Any, Value]:
    """GsegError when an id stands twice, as in files that were merged: their shapes would change places. VIA lists each
    class once per picture; what says the same again does no harm."""
    found: dict[Any, Value] = {}
    for node, value in rows:
        if _id_of(node) in found and (value is None or found[_id_of(node)] != value):
            message = f"{node.where}: id {_id_of(node)!r:.40} is given twice"
            raise GsegError(message, "export it again, or number the rows anew: each needs an id of its own")
        found[_id_of(node)] = value
    return found


def _id_of(node: Node) -> Any:
    value = node.child("id").value
    if not isinstance(value, int | str):
        raise GsegError(f"{node.where}: id: expected a number, got {type(value).__name__}", HINT)
    return value


def _of_id(known: dict[Any, Value], node: Node, key: str) -> Value:
    return known[_known_id(known, node, key)]


def _known_id(known: dict[Any, Value], node: Node, key: str) -> Any:
    """VIA writes ids of pictures as numbers, and as text where annotations refer to them."""
    value = node.child(key).value
    if isinstance(value, int | str):
        is_number = isinstance(value, str) and re.fullmatch(r"\d{1,16}", value, re.ASCII)
        for same in (value, int(value) if is_number else str(value)):
            if same in known:
                return same
    raise GsegError(f"{node.where}: {key} {_told(value)} is not in the file", HINT)


def _told(value: Any) -> str:
    return f"{value!r:.40}" if isinstance(value, int | str | float | None) else type(value).__name__


def _layers_of(annotation: Node, categories: dict[Any, str], size: tuple[int, int]) -> list[Layer]:
    label = _of_id(categories, annotation, "category_id")
    return [Layer(label, shape) for shape in _shapes_of(annotation, size)]


def _is_mask(annotation: Node) -> bool:
    return annotation.has("segmentation") and isinstance(annotation.value["segmentation"], dict)


def _shapes_of(annotation: Node, size: tuple[int, int]) -> list[Shape]:
    """Several polygons are parts of one object, not holes: each is a shape."""
    segmentation = annotation.value.get("segmentation")
    if isinstance(segmentation, dict):
        node = annotation.child("segmentation")
        return [read_rle(node, size)]
    if segmentation:
        polygons = annotation.nodes("segmentation")
        if not isinstance(polygons[0].value, list):  # VIA writes the numbers of its only polygon
            polygons = [annotation.child("segmentation")]
        return [Polygon((check_polygon(points_of(p.of_type(list), p.where), p.where),)) for p in polygons]
    if annotation.has("bbox"):
        x, y, width, height = _box(annotation)
        return [rectangle((x, y), (width, height))]
    return []


def read_rle(node: Node, size: tuple[int, int]) -> Bitmap:
    """{size: [height, width], counts}; size: (width, height) that it must have."""
    height, width = (check_whole(side.value, side.where) for side in _two(node.child("size")))
    check_covers((width, height), size, node.where)
    counts = node.child("counts")
    runs = counts.value if isinstance(counts.value, str) else counts.of_type(list)
    return Bitmap(decode_coco(runs, height, width, counts.where))


def _two(node: Node) -> list[Node]:
    if len(node.items()) != 2:
        raise GsegError(f"{node.where}: expected [height, width]", HINT)
    return node.items()


def _box(annotation: Node) -> list[float]:
    values = [value.as_number() for value in annotation.nodes("bbox")]
    if len(values) != 4:
        raise GsegError(f"{annotation.where}: bbox: expected [x, y, width, height], got {len(values)} numbers", HINT)
    return values


def _segments(
    annotation: Node, categories: dict[Any, str], size: tuple[int, int], document: Document, files: Files
) -> list[Layer]:
    name = annotation.address("file_name")
    file = _segments_file(name, files)
    if file is None:
        message = f"{document.where}: {name}: the PNG with its segment ids is missing"
        raise GsegError(message, "give the folder or zip that holds the JSON and its PNGs")
    picture = decode_picture(files.read(file), files.where(file), within(size))
    check_covers(picture.size, size, files.where(file))
    numbers = np.asarray(picture.convert("RGB")).astype(np.uint32) @ np.array([1, 256, 65536], np.uint32)  # [H, W]
    segments = annotation.nodes("segments_info")
    return [
        Layer(_of_id(categories, segment, "category_id"), Bitmap(numbers == segment.whole("id")))
        for segment in segments
    ]


def _segments_file(name: str, files: Files) -> str | None:
    """The picture and its PNG of segments often have the same name, in different folders."""
    same = files.called(name)
    panoptic = [file for file in same if "panoptic" in file or "mask" in file]
    chosen = panoptic or same
    return chosen[0] if len(chosen) == 1 else None
