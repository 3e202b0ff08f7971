"""The colours in which a template shows its sample: greys, or shades of the class colours where a class is predicted.

A shade is half the class colour, and up to half of white, which shows the picture. The last two bits of red, green and
blue are 3, 1 and 2, so that no grey and hardly any colour of another picture is taken for a shade.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gseg_runtime.class_map import Color

# Greys with a touch of blue that nothing else has.
TEMPLATE_TINT = 3
TEMPLATE_STEP = 4
_MARK = np.array([3, 1, 2])
_STEP, _LEVELS = 4, 32

Colors = npt.NDArray[np.integer]  # [..., 3]


def is_template_color(colors: npt.NDArray[np.integer]) -> npt.NDArray[np.bool_]:
    """[...]: whether colours [..., 3] belong to the picture in a template (see template.py)."""
    red, green, blue = np.moveaxis(colors.astype(int), -1, 0)
    return (red == green) & (blue == red + TEMPLATE_TINT) & (red % TEMPLATE_STEP == 0)


def class_of_shades(colors: Colors, classes: Colors) -> npt.NDArray[np.intp]:
    """[N]: of which class each of the colours [N, 3] is a shade; -1 of none. classes: [K, 3], their colours.

    What is a class colour itself is no shade. Of two classes whose shades meet, the first has them.
    """
    colors = colors.astype(int)
    gaps = (colors & ~3)[:, None] - _halves(classes)  # [N, K, 3]
    is_even = (gaps == gaps[..., :1]).all(axis=2)
    is_level = (gaps[..., 0] >= 0) & (gaps[..., 0] < _STEP * _LEVELS)
    is_shade = is_even & is_level & ((colors & 3) == _MARK).all(axis=1)[:, None]
    is_class = (colors[:, None] == classes).all(axis=2).any(axis=1)
    return np.where(is_shade.any(axis=1) & ~is_class, is_shade.argmax(axis=1), -1)


def shades_of(index: int, classes: Sequence[Color]) -> npt.NDArray[np.int64]:
    """[S, 3]: the shades of a class that nothing else is meant by, from dark to light."""
    known = np.array(classes)
    levels = np.arange(_LEVELS)[:, None] * _STEP
    found = _halves(known)[index] + levels + _MARK
    return found[class_of_shades(found, known) == index]


def _halves(classes: Colors) -> npt.NDArray[np.int64]:
    return (np.asarray(classes).astype(int) // 2) & ~3
