"""The grey bars beside the picture of a rectangular GAN, which make it the square that the rest of gseg works on.

They are those of a letterbox, as students are shown photos. Activations get bars of zeros, each layer at its own size.
Nobody need label them: a teacher does not learn from them and calls them background, a student does not look at them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_runtime.geometry import Letterbox


def with_bars(x: Tensor) -> Tensor:
    """[N, C, h, w] -> [N, C, s, s], s the longer side; zeros, which are mid grey, beside what was there."""
    height, width = x.shape[2:]
    if height == width:
        return x
    size = max(height, width)
    rows, columns = Letterbox(height, width, size).window
    return F.pad(x, [columns.start, size - columns.stop, rows.start, size - rows.stop])


def window(generator: Any, size: int) -> tuple[slice, slice]:
    """Rows and columns of a square of `size` pixels that the picture takes: all, but for a rectangular GAN."""
    height, width = getattr(getattr(generator, "config", None), "first_layer", (4, 4))
    return Letterbox(height, width, size).window


def outside(generator: Any, size: int) -> Tensor | None:
    """Where the bars are in a square of `size` pixels, bool [size, size], on the CPU; None where there are none."""
    height, width = getattr(getattr(generator, "config", None), "first_layer", (4, 4))
    if height == width:
        return None
    bars = torch.ones(size, size, dtype=torch.bool)
    bars[Letterbox(height, width, size).window] = False
    return bars
