"""Which colour is which class, on a strip above a sheet of label maps."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gseg_cli.annotate.hatching import hatched
from gseg_cli.picture_files import without_accents
from gseg_runtime.class_map import IGNORE_COLOR, IGNORED, ClassMap, Color
from gseg_runtime.label_map import Pixels

_LINE, _SWATCH, _GAP = 24, 14, 8  # pixels


def with_legend(sheet: Pixels, classes: ClassMap, ignore: Color | None = None) -> Pixels:
    """The sheet, [H, W, 3], below as many lines of colours and names as its width needs.

    ignore: the colour of pixels that are ignored; None where they are hatched.
    """
    width = sheet.shape[1]
    font = ImageFont.load_default(14)
    entries = [*zip([*_shown(classes.names), IGNORED], _swatches(classes, ignore), strict=True)]
    places, x, y = [], _GAP, 0
    for name, _ in entries:
        needed = _SWATCH + 2 * _GAP + int(font.getlength(name))
        if x > _GAP and x + needed > width:
            x, y = _GAP, y + _LINE
        places.append((x, y))
        x += needed
    strip = Image.new("RGB", (width, y + _LINE), "white")
    draw = ImageDraw.Draw(strip)
    for (name, swatch), (left, top) in zip(entries, places, strict=True):
        upper = top + (_LINE - _SWATCH) // 2
        strip.paste(Image.fromarray(swatch), (left, upper))
        draw.rectangle((left, upper, left + _SWATCH, upper + _SWATCH), outline="grey")
        draw.text((left + _SWATCH + _GAP // 2, top + _LINE / 2), name, "black", font=font, anchor="lm")
    return np.concatenate([np.asarray(strip), sheet])


def _shown(names: Sequence[str]) -> list[str]:
    """By index what the font cannot write."""
    plain = map(without_accents, names)
    return [name if name.isascii() else f"class {index}" for index, name in enumerate(plain)]


def _swatches(classes: ClassMap, ignore: Color | None) -> list[Pixels]:
    """Of the classes, and then of ignored pixels."""
    plain = [np.full((_SWATCH, _SWATCH, 3), color, np.uint8) for color in (*classes.colors, ignore or IGNORE_COLOR)]
    return plain if ignore else [*plain[:-1], hatched(plain[-1])]
