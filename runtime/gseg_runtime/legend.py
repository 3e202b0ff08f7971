"""Which colour is which class, on a strip above a sheet of label maps."""

import unicodedata
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gseg_runtime.class_map import ClassMap, Color
from gseg_runtime.label_map import Pixels, stacked

_LINE, _SWATCH, _GAP = 24, 14, 8  # pixels
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "Æ": "AE", "œ": "oe", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"})

Entry = tuple[str, Pixels]  # what stands beside a swatch, and the swatch


def with_legend(sheet: Pixels, classes: ClassMap, others: Sequence[Entry] = ()) -> Pixels:
    """The sheet, [H, W, 3], below as many lines of colours and names as its width needs; others follow the classes.

    White stands beside a sheet that is narrower than a name.
    """
    font = ImageFont.load_default(14)
    entries = [*_of_classes(classes), *others]
    widths = [_SWATCH + 2 * _GAP + int(font.getlength(name)) for name, _ in entries]
    width = max(sheet.shape[1], _GAP + max(widths))
    places, x, y = [], _GAP, 0
    for needed in widths:
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
    return stacked([np.asarray(strip), sheet])


def swatch(color: Color) -> Pixels:
    """As large as a legend shows it."""
    return np.full((_SWATCH, _SWATCH, 3), color, np.uint8)


def without_accents(text: str) -> str:
    """Pillow's own font has no more than ASCII: all else would be boxes. Other scripts stay as they are."""
    return "".join(c for c in unicodedata.normalize("NFKD", text.translate(_LETTERS)) if not unicodedata.combining(c))


def _of_classes(classes: ClassMap) -> list[Entry]:
    """By index what the font cannot write."""
    plain = map(without_accents, classes.names)
    shown = (name if name.isascii() else f"class {index}" for index, name in enumerate(plain))
    return [(name, swatch(color)) for name, color in zip(shown, classes.colors, strict=True)]
