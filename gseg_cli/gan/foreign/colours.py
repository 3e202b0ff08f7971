"""A StyleGAN2 that draws blue, green, red, made to draw red, green, blue: its outermost layers alone know colours."""

import re
from collections.abc import Mapping

from torch import Tensor

from gseg_runtime.errors import UsageError

_OF_COLOURS = {  # names of tensors, and which of their axes is the colours'
    r"G_ema\.synthesis\.b\d+\.torgb\.(weight|bias)": 0,
    r"D\.b\d+\.fromrgb\.weight": 1,
}


def turned(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same networks with the first and the third colour exchanged; UsageError where there are not three."""
    axes = {name: axis for name in tensors for pattern, axis in _OF_COLOURS.items() if re.fullmatch(pattern, name)}
    counts = {tensors[name].shape[axis] for name, axis in axes.items()}
    if not counts or not counts <= {3, 4}:  # the fourth is alpha
        raise UsageError("--bgr: expected a StyleGAN2 of three colours", "leave it out")
    return {name: _exchanged(t, axes[name]) if name in axes else t for name, t in tensors.items()}


def _exchanged(tensor: Tensor, axis: int) -> Tensor:
    order = [2, 1, 0, 3][: tensor.shape[axis]]
    return tensor.index_select(axis, tensor.new_tensor(order).long())
