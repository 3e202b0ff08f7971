"""Which colour is which class, on a strip above a sheet of label maps."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gseg_runtime.class_map import ClassMap
from gseg_runtime.label_map import Pixels

_LINE, _SWATCH, _GAP = 24, 14, 8  # pixels


def with_legend(sheet: Pixels, classes: ClassMap) -> Pixels:
    """The sheet, [H, W, 3], below as many lines of colours and names as its width needs."""
    width = sheet.shape[1]
    font = ImageFont.load_default(14)
    entries = [*zip(classes.names, classes.colors, strict=True)]
    places, x, y = [], _GAP, 0
    for name, _ in entries:
        needed = _SWATCH + 2 * _GAP + int(font.getlength(name))
        if x > _GAP and x + needed > width:
            x, y = _GAP, y + _LINE
        places.append((x, y))
        x += needed
    strip = Image.new("RGB", (width, y + _LINE), "white")
    draw = ImageDraw.Draw(strip)
    for (name, color), (left, top) in zip(entries, places, strict=True):
        box = (left, top + (_LINE - _SWATCH) // 2, left + _SWATCH, top + (_LINE + _SWATCH) // 2)
        draw.rectangle(box, fill=color, outline="grey")
        draw.text((left + _SWATCH + _GAP // 2, top + _LINE / 2), name, "black", font=font, anchor="lm")
    return np.concatenate([np.asarray(strip), sheet])
