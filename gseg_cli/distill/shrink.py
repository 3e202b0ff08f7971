"""Soft labels of smaller pictures: of each block of pixels the two classes that have most of it.

Pictures are shrunk by means, so labels are too: those of one pixel in each block would lie beside what they label, and
lose small parts.
"""

from itertools import product

import torch
from torch import Tensor

from gseg_runtime.class_map import IGNORE

MAX_PIXELS = 2**21  # shrunk at once


def shrink(labels: Tensor, factor: int) -> Tensor:
    """First and second class and share of a PairSet, uint8 [N, 3, S, S], to [N, 3, S / factor, S / factor].

    Ignored pixels have no say, but where they are more than half of a block it is ignored.
    """
    at_once = max(1, MAX_PIXELS // labels.shape[-1] ** 2)
    return torch.cat([_two_most(_sums(some, factor)) for some in labels.split(at_once)])


def _sums(labels: Tensor, factor: int) -> Tensor:
    """Of the shares in each block, whole numbers [N, C + 1, S / factor, S / factor]; the last is of ignored pixels."""
    ignored = labels[:, :1] == IGNORE
    num_classes = 1 + int(labels[:, :2].masked_fill(ignored, 0).max())
    classes = labels[:, :2].masked_fill(ignored, num_classes)
    shares = torch.stack([labels[:, 2], 255 - labels[:, 2]], dim=1)
    size = labels.shape[-1] // factor
    sums = labels.new_zeros(len(labels), num_classes + 1, size, size, dtype=torch.int32)
    for y, x in product(range(factor), repeat=2):
        sums.scatter_add_(1, classes[..., y::factor, x::factor].long(), shares[..., y::factor, x::factor].int())
    return sums


def _two_most(sums: Tensor) -> Tensor:
    """First and second class and share, uint8 [N, 3, s, s]; of classes that have as much the first."""
    known = sums[:, :-1]
    first = known.max(dim=1)
    second = known.scatter(1, first.indices[:, None], 0).max(dim=1)
    share = (255 * first.values / (first.values + second.values).clamp(min=1)).round()
    ignored = sums[:, -1] > known.sum(dim=1)
    return torch.stack([first.indices.masked_fill(ignored, IGNORE), second.indices, share], dim=1).to(torch.uint8)
