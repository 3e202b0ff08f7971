"""Moving images as stylegan2-ada-pytorch does for ADA: to twice the resolution, bilinear lookup there, and back again.

Edges are mirrored as far as they can be seen. Shapes: N images, R pixels a side.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.device import changing_shapes, send

# The wavelet sym6, which makes the pair of up- and downsampling transparent: two octave bands that do not leak.
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263748276246252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
PAD = 3  # a quarter of its length
REACH = 5  # how many of the larger pixels the filter sees beside the two that it stands on
TILED, TILE = 256, 32  # pixels a side: from where on resampling is done in tiles, and of what width
Margins = tuple[tuple[int, int], tuple[int, int]]  # left and right, top and bottom, in pixels of the source


def warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Images [N, 3, R, R], as `inverse` [N, 3, 3] says: from pixels of the result to those of the source, about the
    middle. Differentiable in the images, twice. What moves in from beyond the edges mirrors the image.

    Images that stay where they are cost nothing: resampled, they would be the same to 2e-5. With ADA's usual small p
    they are most of a batch.
    """
    rows = (inverse != torch.eye(3)).flatten(1).any(dim=1).nonzero()[:, 0]
    if len(rows) == len(images):
        return warp_all(images, inverse)
    if len(rows) == 0:
        return images
    where = send(rows, images.device)
    return images.index_copy(0, where, warp_all(images[where], inverse[rows]))


def warp_all(images: Tensor, inverse: Tensor) -> Tensor:
    """The same, with all images resampled whether they move or not."""
    size = images.shape[-1]
    around = margins(inverse, size)
    return warp_by(images, send(lookup(inverse, size, around), images.device), around)


def warp_by(images: Tensor, theta: Tensor, around: Margins) -> Tensor:
    """The same by what `lookup` found, on the images' device."""
    return (_warp_whole if images.shape[-1] < TILED else _warp_in_tiles)(images, theta, around)


def _warp_whole(images: Tensor, theta: Tensor, around: Margins) -> Tensor:
    """With one matrix for a whole side: few and simple steps, but the work for a pixel grows with the side."""
    size, where = images.shape[-1], (images.device, images.dtype)
    if around == widest(size):
        up_x = up_y = _widest_upsampling(size, *where)
    else:
        up_x, up_y = (_upsampling(size, *side, *where) for side in around)
    large = up_y @ images.contiguous() @ up_x.t()  # [N, 3, 2 (y0 + R + y1), 2 (x0 + R + x1)]
    down = _downsampling(size, *where)  # [R, 2 R + 10]
    return down @ _look_up(large, theta, down.shape[1]) @ down.t()


def _warp_in_tiles(images: Tensor, theta: Tensor, around: Margins) -> Tensor:
    """The same, with one small matrix for each piece of a side: the filter is short."""
    size, where = images.shape[-1], (images.device, images.dtype)
    mirrored = F.pad(images.contiguous(), [*around[0], *around[1]], mode="reflect")
    large = _both_ways(_double, mirrored, _upsampling_of_tile(*where))
    seen = _look_up(large, theta, 2 * size + 2 * REACH)
    return _both_ways(_halve, seen, _downsampling(TILE, *where).t())


def _both_ways(resample: Callable[[Tensor, Tensor], Tensor], x: Tensor, matrix: Tensor) -> Tensor:
    x = resample(x, matrix).transpose(-1, -2)
    return resample(x, matrix).transpose(-1, -2).contiguous()


def _double(x: Tensor, matrix: Tensor) -> Tensor:
    """[..., w] -> [..., 2 w]; matrix: of `_upsampling_of_tile`."""
    w = x.shape[-1]
    tiles = F.pad(x, [PAD, PAD + -w % TILE]).unfold(-1, TILE + 2 * PAD, TILE)
    return (tiles @ matrix).flatten(-2)[..., : 2 * w]


def _halve(x: Tensor, matrix: Tensor) -> Tensor:
    """[..., 2 w + 10] -> [..., w]; matrix [2 TILE + 10, TILE]."""
    w = x.shape[-1] // 2 - REACH
    tiles = F.pad(x, [0, 2 * (-w % TILE)]).unfold(-1, 2 * TILE + 2 * REACH, 2 * TILE)
    return (tiles @ matrix).flatten(-2)[..., :w]


def _look_up(large: Tensor, theta: Tensor, out: int) -> Tensor:
    """[N, 3, out, out] of the upsampled images."""
    grid = F.affine_grid(theta, [len(large), 3, out, out], align_corners=False)
    return _Sample.apply(large, grid)


def margins(inverse: Tensor, size: int) -> Margins:
    """How far beyond the source the corners of any result reach, R - 1 at most."""
    c = (size - 1) / 2
    corners = torch.tensor([[-c, c, c, -c], [-c, -c, c, c], [1, 1, 1, 1]])
    x, y = (inverse @ corners)[:, :2].unbind(1)  # [N, 4]
    reach = (min(max(math.ceil(float(v) + 2 * PAD - c), 0), size - 1) for v in (-x.min(), x.max(), -y.min(), y.max()))
    left, right, top, bottom = reach
    return (left, right), (top, bottom)


def widest(size: int) -> Margins:
    """The largest `margins` there can be, for steps that must not depend on the transforms in their shapes."""
    return (size - 1, size - 1), (size - 1, size - 1)


def _upsampling(size: int, before: int, after: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Mirroring at the edges and upsampling as one matrix [2 (before + R + after), R].

    On a CPU the matrix product is four times faster than the convolutions it stands for.
    """
    identity = torch.eye(size, device=device, dtype=dtype)
    mirrored = F.pad(identity[None], [before, after], mode="reflect")[0]  # [R, padded]
    return _doubled(mirrored, device, dtype).t().contiguous()


@cache
def _widest_upsampling(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    return _upsampling(size, size - 1, size - 1, device, dtype)


@cache
def _upsampling_of_tile(device: torch.device, dtype: torch.dtype) -> Tensor:
    """[TILE + 6, 2 TILE]: from a piece of a side and the pixels beside it that the filter reaches."""
    pixels = torch.eye(TILE + 2 * PAD, device=device, dtype=dtype)
    return _doubled(pixels, device, dtype)[:, 2 * PAD : -2 * PAD].contiguous()


def _doubled(rows: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[M, w] -> [M, 2 w]."""
    with changing_shapes():
        return F.conv_transpose1d(rows[:, None], _taps(device, dtype) * 2, stride=2, padding=REACH)[:, 0]


@cache
def _downsampling(size: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[R, 2 R + 10]: from the pixels that the filter reaches."""
    pixels = torch.eye(2 * size + 2 * REACH, device=device, dtype=dtype)[:, None]
    return F.conv1d(pixels, _taps(device, dtype), stride=2)[:, 0].t().contiguous()


@cache
def _taps(device: torch.device, dtype: torch.dtype) -> Tensor:
    """[1, 1, 12]. Kept, because a GPU would be waited for each time it is told them."""
    f = torch.tensor(SYM6, dtype=dtype)
    return send((f / f.sum())[None, None], device)


def lookup(inverse: Tensor, size: int, around: Margins) -> Tensor:
    """Where the enlarged result's pixels look in the enlarged source: [N, 2, 3], in the units of affine_grid."""
    (x0, x1), (y0, y1) = around
    out, width, height = 2 * size + 2 * REACH, 2 * (x0 + size + x1), 2 * (y0 + size + y1)
    # Pixels of the large images are half as wide; their centres lie half a one off those of the small.
    middle = torch.tensor([[0.5, 0, 0.25], [0, 0.5, 0.25], [0, 0, 1]])
    back = torch.tensor([[2.0, 0, x0 - x1 - 0.5], [0, 2.0, y0 - y1 - 0.5], [0, 0, 1]])
    units = torch.tensor([[2 / width, 0, 0], [0, 2 / height, 0], [0, 0, 1]])
    pixels = torch.tensor([[out / 2, 0, 0], [0, out / 2, 0], [0, 0, 1]])
    return (units @ back @ inverse @ middle @ pixels)[:, :2]


class _Sample(torch.autograd.Function):
    """Bilinear lookup, zeros outside. It is linear in the image, but PyTorch knows its first derivative only."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = image.shape
        return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Scatter.apply(gradients[0], grid, ctx.shape), None


class _Scatter(torch.autograd.Function):
    """The transpose of `_Sample`."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(grid)
        image = gradient.new_empty(shape)  # only its shape is used
        bilinear, zeros = 0, 0
        mask = [True, False]
        return torch.ops.aten.grid_sampler_2d_backward(gradient, image, grid, bilinear, zeros, False, mask)[0]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return _Sample.apply(gradients[0], grid), None, None
