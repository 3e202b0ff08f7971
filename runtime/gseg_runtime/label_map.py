"""Label maps: uint8 [H, W], class index per pixel, 255 = ignore. Reading, writing, resizing and showing them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.enlarged import Enlarged
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.files import write_bytes
from gseg_runtime.pillow import open_picture, picture_errors
from gseg_runtime.png import encode_png

LabelMap = npt.NDArray[np.uint8]  # [H, W]
Pixels = npt.NDArray[np.uint8]  # [H, W, 3], RGB
MAX_STRETCH = 0.02  # by which a label map's shape may differ from its photo's
_STRIP = 256  # rows that an overlay is made of at once


def check_label_map(array: npt.NDArray[np.generic], num_classes: int, source: str) -> LabelMap:
    """`array` itself if it is a label map of `num_classes` classes; GsegError naming `source` otherwise."""
    if array.dtype != np.uint8 or array.ndim != 2:
        raise GsegError(f"{source}: expected a label map uint8 [H, W], got {array.dtype} {list(array.shape)}")
    labels: LabelMap = array  # type: ignore[assignment]
    wrong = labels[(labels >= num_classes) & (labels != IGNORE)]
    if len(wrong):
        message = f"{source}: class index {wrong.min()}, but there are {num_classes} classes"
        raise GsegError(message, "correct the label map, or name its class in --classes or gseg.toml")
    return labels


def read_label_png(path: Path) -> LabelMap:
    """The label map in an indexed or 8-bit greyscale PNG; GsegError for any other file."""
    with picture_errors(path):
        data = path.read_bytes()
        with open_picture(data, formats=["PNG"]) as image:
            bit_depth = data[24]  # the ninth byte of IHDR, which Pillow has checked to be there
            if image.mode == "P" or (image.mode == "L" and bit_depth == 8):  # Pillow stretches 2 and 4 bit grey
                return np.array(image, dtype=np.uint8)
    message = f"{path}: expected a label map (indexed or 8-bit greyscale PNG), got {image.mode} of {bit_depth} bits"
    raise ImageError(
        message,
        "save the class indices as an indexed or 8-bit greyscale PNG; "
        "gseg annotate-import --photos DIR --no-invert makes it of colours, of 1 bit and of 16",
    )


def write_label_png(path: Path, labels: LabelMap, classes: ClassMap) -> None:
    """Write a label map as indexed PNG in the class colours, atomically."""
    write_bytes(path, encode_png(Enlarged(labels, *labels.shape), classes.palette()))


def resize_labels(labels: LabelMap, size_hw: tuple[int, int]) -> LabelMap:
    """Nearest neighbour by pixel centres, to (height, width)."""
    return Enlarged(labels, *size_hw).full()


def has_shape(label_map: tuple[int, ...], photo: tuple[int, ...]) -> bool:
    """Whether a label map of (height, width) can be that of a photo, but for its size and rounding."""
    stretch = photo[0] * label_map[1] / (photo[1] * label_map[0])
    return abs(stretch - 1) <= MAX_STRETCH


def colorize(labels: LabelMap, classes: ClassMap) -> Pixels:
    """The label map in its class colours, uint8 [H, W, 3]."""
    return _palette_array(classes).take(labels, axis=0)  # indexing takes twice as long


def overlay(image: Pixels, labels: LabelMap, classes: ClassMap, alpha: float = 0.5) -> Pixels:
    """The class colours over the photo: background and ignored pixels stay, darker lines run where classes meet.

    image: uint8 [H, W, 3]; labels: [H, W] of the same size; alpha: weight of the class colour, 0..1.
    """
    shown = np.empty_like(image)
    for top in range(0, len(image), _STRIP):  # 100 megapixels at once would take 2 GB beside the photo
        rows = slice(top, top + _STRIP)
        edges = _contours(labels[top : top + _STRIP + 1])[:_STRIP]  # the row below belongs to the last one's contour
        shown[rows] = _mix(image[rows], labels[rows], edges, classes, alpha)
    return shown


def _mix(
    image: Pixels, labels: LabelMap, edges: npt.NDArray[np.bool_], classes: ClassMap, alpha: float
) -> npt.NDArray[np.uint8]:
    is_shown = (labels != 0) & (labels != IGNORE)
    weight = round(alpha * 256)  # whole numbers: a quarter of the time
    mixed = image * np.uint16(256 - weight) + colorize(labels, classes) * np.uint16(weight)
    mixed = ((mixed + np.uint16(128)) >> 8).astype(np.uint8)  # [H, W, 3]
    mixed[edges] = (mixed[edges] * 0.45).round()
    return np.where(is_shown[..., None], mixed, image)


def contact_sheet(rows: Sequence[Sequence[Pixels]], cell: int, titles: Sequence[str] = ()) -> Pixels:
    """Pictures in a grid, each `fitted` into a square of `cell` pixels; `titles` stand above the columns."""
    num_columns = max(len(row) for row in rows)
    gap, top = max(2, cell // 32), max(16, cell // 6) if titles else 0
    size = (num_columns * (cell + gap) + gap, top + len(rows) * (cell + gap) + gap)
    sheet = Image.new("RGB", size, "white")
    for row_index, row in enumerate(rows):
        for column, image in enumerate(row):
            picture = fitted(image, cell)
            x = gap + column * (cell + gap) + (cell - picture.width) // 2
            y = gap + top + row_index * (cell + gap) + (cell - picture.height) // 2
            sheet.paste(picture, (x, y))
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        font = ImageFont.load_default(max(10, top * 5 // 8))
        draw.text((gap + column * (cell + gap) + cell / 2, gap + top / 2), title, "black", font=font, anchor="mm")
    return np.array(sheet)


def stacked(pictures: Sequence[Pixels]) -> Pixels:
    """One below the other; white stands beside those that are narrower."""
    width = max(picture.shape[1] for picture in pictures)
    wide = (np.pad(p, ((0, 0), (0, width - p.shape[1]), (0, 0)), constant_values=255) for p in pictures)
    return np.concatenate(list(wide))


def _palette_array(classes: ClassMap) -> npt.NDArray[np.uint8]:
    return np.frombuffer(classes.palette(), np.uint8).reshape(256, 3)


def _contours(labels: LabelMap) -> npt.NDArray[np.bool_]:
    """Pixels whose right or lower neighbour is of another class."""
    edges = np.zeros(labels.shape, bool)
    edges[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edges[:-1] |= labels[:-1] != labels[1:]
    return edges


def fitted(image: Pixels, cell: int) -> Image.Image:
    """With a longer side of `cell` pixels; small pictures without smoothing, so that pixels are seen as they are."""
    picture = Image.fromarray(image)
    scale = cell / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
