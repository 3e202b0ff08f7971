"""A convolution of two maps of which one is half as large, without enlarging it."""

from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def run_joined(layers: nn.Sequential, fine: Tensor, coarse: Tensor, is_training: bool) -> Tensor:
    """Layers that begin with a convolution, on `fine` and on `coarse`, enlarged by nearest neighbour, as one map.

    On CPUs a training step takes less time without the enlarged map (benchmarks/steps.md); an exporter wants it.
    """
    if is_training and not coarse.is_cuda:
        return layers[1:](joined_conv(fine, coarse, cast(nn.Conv2d, layers[0]).weight))
    return layers(torch.cat([fine, F.interpolate(coarse, scale_factor=2.0, mode="nearest")], dim=1))


def joined_conv(fine: Tensor, coarse: Tensor, weight: Tensor) -> Tensor:
    """conv2d(cat([fine, coarse enlarged by nearest neighbour]), weight, padding=1), but for rounding.

    fine [N, A, 2h, 2w], coarse [N, B, h, w], weight [O, A + B, 3, 3] -> [N, O, 2h, 2w]. An enlarged pixel is four equal
    ones, whose weights can be added beforehand: that is 16 products for each instead of 36.
    """
    num_fine = fine.shape[1]
    below = F.conv_transpose2d(coarse, _of_small_pixels(weight[:, num_fine:]), stride=2, padding=1)
    return F.conv2d(fine, weight[:, :num_fine], padding=1).add_(below)


def _of_small_pixels(weight: Tensor) -> Tensor:
    """[O, B, 3, 3] -> [B, O, 4, 4]: what a pixel adds to those around it, standing for 2 x 2 equal ones."""
    taps = weight.permute(1, 0, 2, 3).flatten(2)  # [B, O, 9]
    return (taps @ _sums(weight.device, weight.dtype)).unflatten(2, (4, 4))


@cache
def _sums(device: torch.device, dtype: torch.dtype) -> Tensor:
    """[9, 16]: which weights are added up at each place. One product takes less time than shifts and sums."""
    turned = torch.eye(3, device=device, dtype=dtype).flip(0)
    one = F.pad(turned, (0, 1)) + F.pad(turned, (1, 0))  # in one direction
    return torch.einsum("ai,bj->abij", one, one).reshape(9, 16)
