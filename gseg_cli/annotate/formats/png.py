"""Pictures as label maps: of class indices (indexed or greyscale), or in the class colours.

An indexed PNG whose palette holds the class colours in another order is read by its colours: paint programs reorder
palettes when they save.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_cli.annotate.bitmap import decode_picture
from gseg_cli.annotate.class_table import NAMES, OWN, ClassTable, Tables, by_number
from gseg_cli.annotate.colors import ColorKey, are_indices, by_index, layers_of_colors, refuse_numbers
from gseg_cli.annotate.drawing import Drawing, Layer, Reading
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import Import, tie
from gseg_cli.annotate.shapes import Bitmap, Mask
from gseg_cli.annotate.source_files import Files, given_files
from gseg_cli.annotate.template_colors import class_of_shades, is_template_color
from gseg_cli.annotate.wide_tiff import read_wide_tiff
from gseg_cli.gan.sample_set import SampleSet
from gseg_runtime.class_map import IGNORE, IGNORE_COLOR, IGNORED, ClassMap, Color
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.label_map import LabelMap, Pixels, check_label_map
from gseg_runtime.tiff_pages import MORE, holds_more

SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".gif")
STRANGE_VALUES = (
    "--map NUMBER=CLASS says what a value means, --map '*=-' leaves out all others; or name the values in a codes.txt "
    "beside the masks, one on each line"
)
_GREY_STEPS = {2: 85, 4: 17}  # Pillow stretches grey of few bits to 0..255


def import_files(paths: Sequence[Path], samples: SampleSet, classes: ClassMap) -> Import:
    """Read these label maps and match them to the samples; writes nothing."""
    reading = Reading()
    files = given_files(paths)
    read_label_maps(files, files.names, Names(classes), reading)
    return tie(reading, samples, Names(classes))


def read_label_maps(files: Files, pictures: Sequence[str], names: Names, reading: Reading) -> None:
    """One drawing per picture. A table beside the pictures decides what their values and colours mean, else numbers
    that are mapped to classes, else the classes' own order."""
    tables, otherwise = Tables.of(files), by_number(names.mapping) or names.classes
    reading.warnings += files.about_lent((*NAMES, *OWN))
    for name in pictures:
        with reading.attempt():
            where = files.where(name)
            data = files.read(name)
            wide = read_wide_tiff(data, where, reading.bounds)
            image = decode_picture(data, where, reading.bounds) if wide is None else _from_wide(wide, where)
            reading.spend(image.width * image.height, where)
            table = tables.of_picture(name) or otherwise
            num_labels = 1 + (len(table) if isinstance(table, ClassMap) else len(table.colors))
            reading.check_amount(image.size, num_labels, num_labels, where)
            if isinstance(table, ClassMap):
                layers, warnings = _layers_of(image, data, table, where)
            else:
                layers, warnings = _layers_by_table(image, data, table, reading, where)
            reading.warnings += [*warnings, *([f"{where}: {MORE}"] if holds_more(data) else ())]
            reading.add(Drawing(where, (name,), image.size, layers))


def _layers_of(image: Image.Image, data: bytes, classes: ClassMap, where: str) -> tuple[list[Layer], list[str]]:
    if image.mode == "P":
        return _layers_of_indexed(image, classes, where)
    if image.mode in ("1", "L"):
        return _layers_of_indices(_grey(image, data), classes, where)
    if image.mode in ("RGB", "RGBA", "LA"):
        return _layers_of_colored(np.asarray(image.convert("RGBA")), classes, where)
    if image.mode.startswith(("I", "F")):  # napari, scikit-image, Fiji
        return _layers_of_indices(_wide(image, where), classes, where)
    message = f"{where}: expected a label map (indexed, 8-bit greyscale or colour PNG), got {_depth(image, data)}"
    raise ImageError(message, "save it as an indexed, 8-bit greyscale or RGB PNG")


def _layers_of_colored(pixels: Pixels, classes: ClassMap, where: str) -> tuple[list[Layer], list[str]]:
    """pixels: [H, W, 4]"""
    is_drawn = pixels[:, :, 3] >= 128
    drawn = pixels.reshape(-1, 4) if is_drawn.all() else pixels[is_drawn]  # which is slow on large pictures
    refuse_numbers(drawn, classes.colors, where)
    if not are_indices(drawn, classes.colors, where):
        return layers_of_colors(pixels[:, :, :3], ~is_drawn, color_key(classes, where), None, where)
    layers, warnings = _layers_of_indices(pixels[:, :, 0], classes, where, is_drawn)
    return layers, [by_index(where), *warnings]


def _from_wide(values: npt.NDArray[Any], where: str) -> Image.Image:
    return Image.fromarray(_indices(values, where))


def _layers_by_table(
    image: Image.Image, data: bytes, table: ClassTable, reading: Reading, where: str
) -> tuple[list[Layer], list[str]]:
    """By the values that the table names, or by its colours where it names no values, or the picture has none."""
    has_values = image.mode in ("1", "L", "P") or image.mode.startswith(("I", "F"))
    if not table.values or (table.colors and not has_values):
        pixels = np.asarray(image.convert("RGBA"))
        key = ColorKey.of({label: color for color, label in table.colors.items()}, table.where)
        return layers_of_colors(pixels[:, :, :3], pixels[:, :, 3] < 128, key, None, where)
    values, is_drawn = _values_of(image, data, table, where), ~_is_clear(image)
    names = {value: table.name(int(value), where) for value in np.unique(values[is_drawn])}
    reading.check_amount(image.size, len(names), len(names), where)
    return [Layer(name, Bitmap((values == value) & is_drawn)) for value, name in names.items()], []


def _values_of(image: Image.Image, data: bytes, table: ClassTable, where: str) -> LabelMap:
    """Of each pixel; of a colour picture whose channels are alike, too."""
    if image.mode == "P":
        return np.asarray(image)
    if image.mode in ("1", "L"):
        return _grey(image, data)
    if image.mode.startswith(("I", "F")):
        return _wide(image, where)
    pixels = np.asarray(image.convert("RGB"))
    if (pixels != pixels[:, :, :1]).any():
        raise GsegError(f"{where}: a picture in colours, but {table.where} names values", "export masks of values")
    return pixels[:, :, 0]


def _is_clear(image: Image.Image) -> Mask:
    """[H, W]: transparent pixels."""
    if image.mode in ("RGBA", "LA") or (image.mode == "P" and "transparency" in image.info):
        return np.asarray(image.convert("RGBA"))[:, :, 3] < 128
    return np.zeros((image.height, image.width), bool)


def _wide(image: Image.Image, where: str) -> LabelMap:
    """Class indices in 16 or 32 bits, also as whole numbers with a fraction of zero."""
    return _indices(np.asarray(image), where)


def _indices(values: npt.NDArray[Any], where: str) -> LabelMap:
    is_index = (values >= 0) & (values <= IGNORE) & (values == np.floor(values))
    if not is_index.all():
        message = f"{where}: expected class indices up to {IGNORE}, got {values[~is_index][0]:g}"
        raise GsegError(message, "save the indices of classes: neither a picture nor numbers of objects")
    return values.astype(np.uint8)


def _depth(image: Image.Image, data: bytes) -> str:
    return f"{image.mode} of {data[24]} bits" if image.format == "PNG" else image.mode


def _grey(image: Image.Image, data: bytes) -> LabelMap:
    step = _GREY_STEPS.get(data[24], 1) if image.format == "PNG" and image.mode == "L" else 1
    return np.asarray(image).astype(np.uint8) // np.uint8(step)


def _layers_of_indices(
    values: LabelMap, classes: ClassMap, where: str, is_drawn: Mask | None = None
) -> tuple[list[Layer], list[str]]:
    """is_drawn: where a class was painted, None all over."""
    if is_drawn is None:
        is_drawn = np.ones(values.shape, bool)
    values = np.where(is_drawn, values, 0).astype(np.uint8)
    try:
        check_label_map(values, len(classes), where)
    except GsegError as error:
        raise GsegError(error.message, STRANGE_VALUES) from error
    found = [int(value) for value in np.unique(values[is_drawn])]
    labels = {value: IGNORED if value == IGNORE else classes.names[value] for value in found}
    layers = [Layer(labels[value], Bitmap((values == value) & is_drawn)) for value in found]
    return layers, _doubts(values, where)


def _doubts(values: LabelMap, where: str) -> list[str]:
    """A black-and-white mask is a valid label map of background and ignore, but hardly ever meant as one."""
    share = float((values == IGNORE).mean())
    if share and set(np.unique(values)) <= {0, IGNORE}:
        return [f"{where}: only 0 (background) and 255 (ignore); a class is drawn with its index, not with white"]
    return [f"{where}: {share:.0%} of it is 255, which means ignore"] if share > 0.5 else []


def color_key(classes: ClassMap, where: str) -> ColorKey:
    """The class colours, and the one of ignored pixels."""
    colors: dict[str, Color] = dict(zip(classes.names, classes.colors, strict=True))
    return ColorKey.of({**colors, IGNORED: IGNORE_COLOR} if IGNORE_COLOR not in colors.values() else colors, where)


def _layers_of_indexed(image: Image.Image, classes: ClassMap, where: str) -> tuple[list[Layer], list[str]]:
    values, is_clear = np.asarray(image), _is_clear(image)
    used = np.unique(values[~is_clear])
    palette = _palette_of(image)[used]  # [U, 3]
    is_class = np.array([tuple(color.tolist()) in classes.colors for color in palette])
    is_picture = is_template_color(palette) & ~is_class
    is_shade = class_of_shades(palette, np.array(classes.colors)) >= 0
    if is_shade.any() and (is_class | is_picture | is_shade | (used == IGNORE)).all():
        return layers_of_colors(np.asarray(image.convert("RGB")), is_clear, color_key(classes, where), None, where)
    if not _are_indices(used[~is_picture], palette[~is_picture], classes, where):
        key = color_key(classes, where)
        layers, warnings = layers_of_colors(np.asarray(image.convert("RGB")), is_clear, key, None, where)
        note = f"{where}: its palette holds the class colours in another order, so it is read by colour, not by index"
        return layers, [note, *warnings]
    is_drawn = ~(is_clear | np.isin(values, used[is_picture]))
    return _layers_of_indices(values, classes, where, is_drawn)


def _palette_of(image: Image.Image) -> npt.NDArray[np.uint8]:
    """[256, 3]"""
    colors = np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)[:256]
    return np.vstack([colors, np.zeros((256 - len(colors), 3), np.uint8)])


def _are_indices(used: npt.NDArray[np.uint8], palette: npt.NDArray[np.uint8], classes: ClassMap, where: str) -> bool:
    """Whether values mean classes by index: their colours are those of their classes, or those of no class at all.

    False when they are the class colours in another order. GsegError when it is something of both.
    """
    meant = [_meant(int(value), tuple(color.tolist()), classes) for value, color in zip(used, palette, strict=True)]
    moved = [(value, index) for value, index in zip(used.tolist(), meant, strict=True) if index not in (None, value)]
    if not moved or None not in meant:
        return not moved
    value, index = moved[0]
    name = IGNORED if index == IGNORE else classes.names[index]
    message = f"{where}: value {value} has the colour of {name} ({index}), but other values have no class's colour"
    raise GsegError(message, "save it with the palette of gseg sample --template, or as RGB in the class colours")


def _meant(value: int, color: Color, classes: ClassMap) -> int | None:
    """The class index that a colour of the palette means; `value` itself where that is possible, None for none."""
    colors = {**dict(enumerate(classes.colors)), IGNORE: IGNORE_COLOR}
    if colors.get(value) == color:
        return value
    return next((index for index, known in colors.items() if known == color), None)
