"""Filtered resampling as one dense convolution of half the resolution: the polyphase form, for GPUs.

A convolution and the filter [1, 3, 3, 1] behind or before it are one convolution of 6 x 6 taps. Of these the pixels of
one phase (even or odd row and column) see 3 x 3. So upsampling is a 3 x 3 convolution to four times the channels, laid
out over the picture, and downsampling the reverse. That is up to four times the arithmetic of these layers, which is
what a GPU has; the filter alone, channel by channel, took much of a training step there (H100, 64 px). Shapes:
N images, O/I channels out/in, side h or 2h; channels of phases come phase by phase.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.device import send

FILTER = (1 / 8, 3 / 8, 3 / 8, 1 / 8)  # in one direction


def conv_up(x: Tensor, weight: Tensor) -> Tensor:
    """x [N, I, h, h], weight [O, I, 3, 3] -> [N, O, 2h, 2h]: as `ops.conv_up`."""
    kernels = _phases(weight, "up", x.device)  # [O, I, 4, 9]
    o, i = weight.shape[:2]
    kernels = kernels.permute(2, 0, 1, 3).reshape(4 * o, i, 3, 3)
    return spread(F.conv2d(x, _laid_out(kernels, x), padding=1))


def conv_down(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x [N, I, 2h, 2h], weight [O, I, k, k] with k 3 or 1 -> [N, O, h, h]: as `ops.conv_down`."""
    if weight.shape[-1] == 1:  # a ninth of the taps would be all that counts
        return F.conv2d(_halved(_halved(x, 2), 3), weight.to(x.dtype), bias)
    kernels = _phases(weight, "down", x.device)
    o, i = weight.shape[:2]
    kernels = kernels.permute(0, 2, 1, 3).reshape(o, 4 * i, 3, 3)
    return F.conv2d(gather(x), _laid_out(kernels, x), bias, padding=1)


def upsample2d(x: Tensor) -> Tensor:
    """[N, C, h, h] -> [N, C, 2h, 2h], of few channels: as `ops.upsample2d`."""
    c = x.shape[1]
    phases = _taps("double", x.device).view(4, 1, 1, 9)  # of a 1 x 1 weight
    each = torch.eye(c, device=x.device)[None, :, :, None]
    kernels = (phases * each).reshape(4 * c, c, 3, 3)
    return spread(F.conv2d(x, _laid_out(kernels, x), padding=1))


def _halved(x: Tensor, dim: int) -> Tensor:
    """The filter at every second row (dim 2) or column (3)."""
    size = x.shape[dim]
    x = F.pad(x, [0, 0, 1, 1] if dim == 2 else [1, 1, 0, 0])
    index = [[slice(None)] * dim + [slice(tap, tap + size - 1, 2)] for tap in range(4)]
    first, second, third, last = (x[tuple(where)] for where in index)
    return torch.add(first + last, second + third, alpha=3) * FILTER[0]


def spread(x: Tensor) -> Tensor:
    """[N, 4C, h, h] -> [N, C, 2h, 2h], channels last, as they come and go: each phase to its pixels."""
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h, w, 2, 2, c // 4).transpose(2, 3)  # [N, h, 2, w, 2, C]
    return rows.reshape(n, 2 * h, 2 * w, c // 4).permute(0, 3, 1, 2)


def gather(x: Tensor) -> Tensor:
    """[N, C, 2h, 2h] -> [N, 4C, h, h]: the reverse."""
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c).transpose(2, 3)
    return rows.reshape(n, h // 2, w // 2, 4 * c).permute(0, 3, 1, 2)


def _phases(weight: Tensor, kind: str, device: torch.device) -> Tensor:
    """[O, I, 4, 9]: of each phase the 3 x 3 taps that weight and filter have together."""
    taps = _taps(kind, device)
    return (weight.flatten(2) @ taps).unflatten(2, (4, 9))


def _laid_out(kernels: Tensor, x: Tensor) -> Tensor:
    return kernels.to(x.dtype).contiguous(memory_format=torch.channels_last)


@cache
def _taps(kind: str, device: torch.device) -> Tensor:
    """[k * k, 4 * 9]: how much each weight is in each tap of each phase."""
    one = _taps_of_a_side(kind)  # [2, 3, k]: phase, tap, weight
    both = torch.einsum("atk,bul->klabtu", one, one)
    return send(both.reshape(one.shape[2] ** 2, 36), device)


def _taps_of_a_side(kind: str) -> Tensor:
    """Where the filter and the weight meet; tap t looks at the pixel t - 1 beside, on the smaller side."""
    k = {"up": 3, "down": 3, "double": 1}[kind]
    taps = torch.zeros(2, 3, k)
    for phase, t, w in torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(k)).tolist():
        at = {  # of the filter
            "up": w + 2 * t - 1 - phase,
            "double": 3 + phase - 2 * t,
            "down": 2 * t + phase - w,
        }[kind]
        if 0 <= at < len(FILTER):
            taps[phase, t, w] = FILTER[at] * (2 if kind in ("up", "double") else 1)  # zeros come between the pixels
    return taps
