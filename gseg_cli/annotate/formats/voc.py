"""Pascal VOC and CVAT's "Segmentation mask 1.1": SegmentationClass/*.png in colours, and which colour means what.

That stands in labelmap.txt (CVAT, datumaro), in class_names.txt (labelme), or is the table of the VOC devkit. Without
masks the boxes in Annotations/*.xml are taken, and the polygons that Roboflow writes beside them.
"""

from functools import partial
from xml.etree.ElementTree import Element

import numpy as np
from PIL import Image

from gseg_cli.annotate.bitmap import decode_picture
from gseg_cli.annotate.colors import ColorKey, are_indices, by_index, layers_of_colors
from gseg_cli.annotate.documents import Document
from gseg_cli.annotate.drawing import BACKGROUND, Drawing, Layer, Reading, no_picture
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
from gseg_cli.annotate.shapes import Bitmap, Points, Polygon, Shape, rectangle
from gseg_cli.annotate.source_files import Files, base_name
from gseg_runtime.class_map import IGNORE, IGNORED, Color
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import LabelMap

VOC_NAMES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
VOID = (224, 224, 192)
FOLDERS = {"SegmentationClass", "SegmentationClassPNG"}
TABLES = ("labelmap.txt", "class_names.txt")
_LABELS = {"__ignore__": IGNORED, "void": IGNORED, "_background_": BACKGROUND}


def mask_names(files: Files) -> list[str]:
    """The PNGs in folders called SegmentationClass or SegmentationClassPNG, and below: CVAT keeps its own folders."""
    return [name for name in files.named(".png") if FOLDERS.intersection(name.split("/")[:-1])]


def read_voc_masks(files: Files, names: list[str], reading: Reading) -> None:
    table = _table(files)
    reading.warnings += files.about_lent(TABLES)
    key = ColorKey.of(table, files.where(next((name for name in files.names if base_name(name) in TABLES), names[0])))
    photos = {base_name(n).rpartition(".")[0]: n for n in files.names if "/JPEGImages/" in f"/{n}"}
    for name in names:
        with reading.attempt():
            where = files.where(name)
            image = decode_picture(files.read(name), where, reading.bounds)
            reading.spend(image.width * image.height, where)
            reading.check_amount(image.size, len(key.labels), len(key.labels), where)
            layers, warnings = _layers_of(image, key, where)
            reading.warnings += warnings
            photo = photos.get(base_name(name)[:-4])
            picture = partial(files.read, photo) if photo else no_picture
            reading.add(Drawing(where, (name,), image.size, layers, picture))


def _layers_of(image: Image.Image, key: ColorKey, where: str) -> tuple[list[Layer], list[str]]:
    if image.mode == "L":
        return _layers_of_values(np.asarray(image), key, where), []
    pixels = np.asarray(image.convert("RGB"))
    if are_indices(pixels.reshape(-1, 3), [(red, green, blue) for red, green, blue in key.colors.tolist()], where):
        return _layers_of_values(pixels[:, :, 0], key, where), [by_index(where)]
    return layers_of_colors(pixels, None, key, BACKGROUND, where)


def _layers_of_values(values: LabelMap, key: ColorKey, where: str) -> list[Layer]:
    numbers = [int(value) for value in np.unique(values) if value != IGNORE]
    if numbers and numbers[-1] >= len(key.labels):
        raise GsegError(f"{where}: value {numbers[-1]}, but there are {len(key.labels)} labels", HINT)
    labels = {**{value: key.labels[value] for value in numbers}, IGNORE: IGNORED}
    is_drawn = [value for value in np.unique(values) if labels[value] != BACKGROUND]
    return [Layer(labels[value], Bitmap(values == value)) for value in is_drawn]


def _table(files: Files) -> dict[str, Color]:
    found = [name for name in files.names if base_name(name) in TABLES]
    if not found:
        return _with_ignored(dict(zip(VOC_NAMES, map(voc_color, range(len(VOC_NAMES))), strict=True)))
    try:
        lines = files.read(found[0]).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise GsegError(f"{files.where(found[0])}: not UTF-8 text: {error}", HINT) from error
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if base_name(found[0]) == "labelmap.txt":
        return _with_ignored(dict(_colored(line, index, files.where(found[0])) for index, line in enumerate(lines)))
    known = [line for line in lines if line != "__ignore__"]
    return _with_ignored({_LABELS.get(name, name): voc_color(index) for index, name in enumerate(known)})


def _with_ignored(table: dict[str, Color]) -> dict[str, Color]:
    """Value 255 is void, and no table lists it."""
    return table if IGNORED in table or VOID in table.values() else {**table, IGNORED: VOID}


def _colored(line: str, index: int, where: str) -> tuple[str, Color]:
    """A line such as "hair:120,60,20::"; datumaro leaves the colour out where it is that of the VOC devkit."""
    name, _, rest = line.partition(":")
    name, numbers = _LABELS.get(name, check_text(name, where)), rest.partition(":")[0].split(",")
    if numbers == [""]:
        return name, voc_color(index)
    if len(numbers) != 3 or not all(number.strip().isdecimal() and int(number) < 256 for number in numbers):
        raise GsegError(f"{where}: expected NAME:R,G,B::, got {line[:60]!r}", HINT)
    red, green, blue = (int(number) for number in numbers)
    return name, (red, green, blue)


def voc_color(index: int) -> Color:
    """The colour of a class in the palette of the VOC devkit: the bits of the index, spread over the channels."""
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


def is_voc_boxes(root: object) -> bool:
    return isinstance(root, Element) and root.tag == "annotation" and root.find("filename") is not None


def read_voc_boxes(document: Document, files: Files, reading: Reading) -> None:
    root, where = document.root, document.where
    name = check_address(root.findtext("filename") or document.name, f"{where}: filename")
    width, height = (check_whole(root.findtext(f"size/{key}"), f"{where}: size/{key}") for key in ("width", "height"))
    layers = [
        Layer(check_text(element.findtext("name") or "", f"{where}: name"), _shape_of(element, where))
        for element in root.findall("object")
    ]
    reading.add(Drawing(where, (name, document.name), (width, height), layers, files.picture(name)))


def _shape_of(element: Element, where: str) -> Shape:
    corners = element.find("polygon")
    if corners is not None and len(corners):
        return Polygon((check_polygon(_corners(corners, where), f"{where}: polygon"),))
    left, top, right, bottom = (_number(element, f"bndbox/{key}", where) for key in ("xmin", "ymin", "xmax", "ymax"))
    return rectangle((left, top), (right - left, bottom - top))


def _corners(element: Element, where: str) -> Points:
    """[N, 2] from x1, y1, x2, y2, ..., in whatever order they stand."""
    check_count(len(element) // 2, where)
    texts = {child.tag: child.text for child in element}
    numbers = range(1, (len(element) + 1) // 2 + 1)
    return points_of([texts.get(f"{axis}{number}") for number in numbers for axis in "xy"], f"{where}: polygon")


def _number(element: Element, path: str, where: str) -> float:
    return check_number(element.findtext(path), f"{where}: {path}")
