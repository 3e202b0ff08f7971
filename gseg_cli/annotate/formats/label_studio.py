"""Label Studio's JSON and JSON-MIN: polygons, rectangles and ellipses in percent of the picture, brushes, bitmasks.

Regions are painted in the order of the file. A brush is read by `rle.decode_brush`: the reader of label-studio-sdk
works on text of ones and zeros, bit by bit, and brings pandas, nltk and OpenCV.
"""

import base64
from typing import Any

import numpy as np

from gseg_cli.annotate.bitmap import read_whole_bitmap
from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import Drawing, Layer, Reading, no_picture
from gseg_cli.annotate.fields import HINT, Node, check_polygon, check_text
from gseg_cli.annotate.match import ends_like_a_picture
from gseg_cli.annotate.rle import decode_brush
from gseg_cli.annotate.shapes import Bitmap, Ellipse, Polygon, Shape, rectangle
from gseg_cli.annotate.source_files import Files
from gseg_cli.counted import counted
from gseg_runtime.errors import GsegError

_SHAPE_KEYS = ("points", "rle", "imageDataURL", "radiusX", "width")


def is_label_studio(content: Any) -> bool:
    """A list of tasks: full ones with annotations (once: completions), or JSON-MIN with regions among the data. Or one
    of them alone, or one annotation with its task, as it writes a file of each to a cloud or a folder."""
    if isinstance(content, dict):
        return _is_annotation(content) or (isinstance(content.get("data"), dict) and _is_task(content))
    return (
        isinstance(content, list)
        and bool(content)
        and all(isinstance(task, dict) and _is_task(task) for task in content)
    )


def read_label_studio(document: Document, files: Files, reading: Reading) -> None:
    unsubmitted: list[Node] = []
    num_drawings = len(reading.drawings)
    tasks = _tasks(document.node)
    for task in tasks:
        with reading.attempt():
            if _is_unsubmitted(task):
                unsubmitted.append(task)
            else:
                reading.add(_drawing_of(task, files, reading))
    if not unsubmitted:
        return
    images = counted(len(unsubmitted), "image")
    message = f"{document.where}: on {images} nothing was submitted; drafts and predictions do not count"
    hint = "submit the annotations in Label Studio, and export again"
    is_all = len(reading.drawings) == num_drawings and isinstance(document.content, list)
    if is_all:
        raise GsegError(message, hint)
    reading.warnings.append(f"{message}: {hint}")


def _tasks(node: Node) -> list[Node]:
    if isinstance(node.value, list):
        return node.items()
    if not _is_annotation(node.value):
        return [node]
    task = node.child("task").of_type(dict)
    return [Node({**task, "annotations": [node.value]}, node.where)]


def _is_annotation(content: dict[str, Any]) -> bool:
    task = content.get("task")
    return isinstance(content.get("result"), list) and isinstance(task, dict) and isinstance(task.get("data"), dict)


def _is_task(task: dict[str, Any]) -> bool:
    made = task.get("annotations", task.get("completions", task.get("predictions")))
    is_full = isinstance(made, list) and isinstance(task.get("data"), dict)
    is_empty = {"annotation_id", "annotator"} <= task.keys()  # JSON-MIN has no key for what nobody drew
    return is_full or is_empty or any(map(_is_regions, task.values()))


def _is_unsubmitted(task: Node) -> bool:
    """Nobody pressed Submit; what there is was left as a draft, or predicted by a model."""
    key = next((key for key in ("annotations", "completions") if task.has(key)), None)
    made = [] if key is None else [node for node in task.nodes(key) if not node.of_type(dict).get("was_cancelled")]
    drafts = any(task.of_type(dict).get(other) for other in ("drafts", "predictions"))
    return not made and drafts and (key is not None or task.has("data"))


def _is_regions(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) and "original_width" in row for row in value)
    )


def _drawing_of(task: Node, files: Files, reading: Reading) -> Drawing:
    regions = _regions_of(task)
    names = _names_of(task)
    shapes = [region for region in regions if _is_shape(region)]
    others = {kind for region in regions if not _is_shape(region) for kind in _kinds(region)}
    if others:
        reading.warnings.append(f"{task.where}: {', '.join(sorted(others))} cannot be filled; skipped")
    labels = _labels_of(regions)
    sizes = {_size_of(region) for region in shapes}
    if len(sizes) > 1:
        raise GsegError(f"{task.where}: the regions were drawn on images of different sizes, {sorted(sizes)}", HINT)
    num_masks = sum(_value(region).has("rle") or _value(region).has("imageDataURL") for region in shapes)
    reading.check_amount(next(iter(sizes), None), len(shapes), num_masks, task.where)
    layers = [Layer(_label_of(region, labels), _shape_of(region)) for region in _each_once(shapes)]
    picture = next((files.picture(name) for name in names if files.find(name)), no_picture)
    return Drawing(task.where, names, next(iter(sizes), None), layers, picture)


def _is_shape(region: Node) -> bool:
    """A key point has a width too, that of its mark."""
    is_point = str(region.of_type(dict).get("type")).startswith("keypoint") or _value(region).has("keypointlabels")
    return not is_point and any(map(_value(region).has, _SHAPE_KEYS))


def _kinds(region: Node) -> list[str]:
    """What a region that is no shape is called, such as keypointlabels. Choices have no place on the picture, and a
    label may stand apart from its shape."""
    keys = _value(region).of_type(dict) if region.has("original_width") else {}
    return [key for key in keys if (key.endswith("labels") and key != "labels") or key == "vertices"]


def _names_of(task: Node) -> tuple[str, ...]:
    """The texts that end like a picture; without any, those that look like an address. Other texts, such as captions
    and the times of JSON-MIN, hold numbers too."""
    data = task.value.get("data") if isinstance(task.value.get("data"), dict) else task.value
    texts = [text for text in (task.value.get("file_upload"), *data.values()) if _is_line(text)]
    names = tuple(filter(ends_like_a_picture, texts)) or tuple(filter(_is_address, texts))
    if not names:
        raise GsegError(f"{task.where}: it names no image", HINT)
    return names


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_address(text: str) -> bool:
    return ("/" in text or "fileuri=" in text) and " " not in text


def _regions_of(task: Node) -> list[Node]:
    key = next((key for key in ("annotations", "completions") if task.has(key)), None)
    if key is None:  # JSON-MIN
        return [region for name, value in task.value.items() if _is_regions(value) for region in task.nodes(name)]
    made = [node for node in task.nodes(key) if not node.of_type(dict).get("was_cancelled")]
    made = [node for node in made if node.of_type(dict).get("ground_truth")] or made
    if len(made) > 1:
        hint = "keep one of them, or mark one as ground truth in Label Studio"
        raise GsegError(f"{task.where}: {len(made)} annotations of the same picture", hint)
    return made[0].nodes("result") if made else []


def _value(region: Node) -> Node:
    """JSON-MIN has no value around it."""
    return region.child("value") if region.has("value") else region


def _labels_of(regions: list[Node]) -> dict[Any, list[str]]:
    """Labels by region id: shape and label are apart where the labelling interface has them in two tags."""
    labels: dict[Any, list[str]] = {}
    for region in regions:
        found = [
            name
            for key, names in _value(region).of_type(dict).items()
            if key.endswith("labels")
            for name in _texts(names)
        ]
        labels.setdefault(_id_of(region), []).extend(name for name in found if name not in labels[_id_of(region)])
    return labels


def _texts(value: Any) -> list[str]:
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _id_of(region: Node) -> Any:
    identity = region.of_type(dict).get("id")
    return identity if isinstance(identity, str | int) else region.where


def _each_once(shapes: list[Node]) -> list[Node]:
    return list({_id_of(region): region for region in reversed(shapes)}.values())[::-1]


def _label_of(region: Node, labels: dict[Any, list[str]]) -> str:
    found = labels.get(_id_of(region), [])
    if len(found) != 1:
        got = " and ".join(map(repr, found)) if found else "none"
        raise GsegError(f"{region.where}: expected one label, got {got}", "give each region one label")
    return check_text(found[0], region.where)


def _size_of(region: Node) -> tuple[int, int]:
    if region.has("image_rotation") and region.number("image_rotation") % 360:
        raise GsegError(f"{region.where}: drawn on a rotated picture", "rotate the image back and draw it again")
    return region.whole("original_width"), region.whole("original_height")


def _shape_of(region: Node) -> Shape:
    value, (width, height) = _value(region), _size_of(region)
    scale = np.array([width, height]) / 100
    if value.has("points"):
        return Polygon((check_polygon(value.points("points") * scale, value.where),))
    if value.has("rle"):
        data = value.child("rle")
        return Bitmap(decode_brush(data.of_type(list), height, width, data.where))
    if value.has("imageDataURL"):
        return Bitmap(read_whole_bitmap(_data_url(value.child("imageDataURL")), value.where, (width, height)))
    x, y = (float(side) for side in np.array([value.number("x"), value.number("y")]) * scale)
    degrees = value.number("rotation") if value.has("rotation") else 0.0
    if value.has("radiusX"):
        return Ellipse((x, y), (value.number("radiusX") * scale[0], value.number("radiusY") * scale[1]), degrees)
    return rectangle((x, y), (value.number("width") * scale[0], value.number("height") * scale[1]), degrees)


def _data_url(node: Node) -> bytes:
    head, _, data = node.of_type(str).partition(",")
    try:
        if not head.startswith("data:image/"):
            raise ValueError("not a data URL")
        return base64.b64decode(data)
    except ValueError as error:
        raise GsegError(f"{node.where}: {error}", HINT) from error
