"""Adaptive discriminator augmentation, ADA (Karras et al. 2020: Training GANs with Limited Data).

The discriminator sees reals and fakes through the same random transforms: mirroring, quarter turns and shifts by whole
pixels; scaling, rotation, stretching and shifts; brightness, contrast, inverted luma, hue and saturation ("bgc" of
stylegan2-ada-pytorch, whose distributions and resampling are kept). Each is applied with probability p, which follows
the signs of the discriminator's logits of reals. Shapes: N images, R pixels a side.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

INTERVAL = 4  # steps between adjustments of p

# The wavelet sym6, which makes the pair of up- and downsampling transparent: two octave bands that do not leak.
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633, 0.4910559419267466,
    0.787641141030194, 0.3379294217276218, -0.07263748276246252, -0.021060292512300564, 0.04472490177066578,
    0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
PAD = 3  # a quarter of its length


def adjusted(p: float, mean_sign: float, num_images: int, *, target: float, ada_kimg: float) -> float:
    """p after `num_images` more: up while D is surer of its reals than `target`, down otherwise, by 1 in `ada_kimg`."""
    direction = (mean_sign > target) - (mean_sign < target)
    return max(p + direction * num_images / (ada_kimg * 1000), 0.0)


@dataclass(frozen=True)
class Transforms:
    """What is done to each image, in this order; every field is float32 [N]."""

    flip: Tensor  # 0 or 1
    quarter_turns: Tensor  # 0, 1, 2, 3
    shift_x: Tensor  # share of the width, rounded to whole pixels
    shift_y: Tensor
    scale: Tensor
    pre_rotation: Tensor  # radians
    stretch: Tensor  # x grows and y shrinks by this factor
    post_rotation: Tensor
    offset_x: Tensor  # share of the width
    offset_y: Tensor
    brightness: Tensor  # added
    contrast: Tensor  # factor
    luma_flip: Tensor  # 0 or 1
    hue: Tensor  # radians about the grey axis
    saturation: Tensor  # factor


def draw_transforms(n: int, p: float) -> Transforms:
    """From torch's global generator of the CPU, so that the device makes no difference."""

    def perhaps(value: Tensor, neutral: float = 0.0, probability: float = p, gate: Tensor | None = None) -> Tensor:
        return torch.where((torch.rand(n) if gate is None else gate) < probability, value, neutral)

    def angle() -> Tensor:
        return (torch.rand(n) * 2 - 1) * math.pi

    p_rotation = 1 - math.sqrt(1 - min(p, 1.0))  # before or after stretching: p together
    shift_gate, offset_gate = torch.rand(2, n)
    return Transforms(
        flip=perhaps((torch.rand(n) * 2).floor()),
        quarter_turns=perhaps((torch.rand(n) * 4).floor()),
        shift_x=perhaps((torch.rand(n) * 2 - 1) * 0.125, gate=shift_gate),
        shift_y=perhaps((torch.rand(n) * 2 - 1) * 0.125, gate=shift_gate),
        scale=perhaps(torch.exp2(torch.randn(n) * 0.2), 1.0),
        pre_rotation=perhaps(angle(), probability=p_rotation),
        stretch=perhaps(torch.exp2(torch.randn(n) * 0.2), 1.0),
        post_rotation=perhaps(angle(), probability=p_rotation),
        offset_x=perhaps(torch.randn(n) * 0.125, gate=offset_gate),
        offset_y=perhaps(torch.randn(n) * 0.125, gate=offset_gate),
        brightness=perhaps(torch.randn(n) * 0.2),
        contrast=perhaps(torch.exp2(torch.randn(n) * 0.5), 1.0),
        luma_flip=perhaps((torch.rand(n) * 2).floor()),
        hue=perhaps(angle()),
        saturation=perhaps(torch.exp2(torch.randn(n)), 1.0),
    )


def augment(images: Tensor, p: float) -> Tensor:
    """Images float32 [N, 3, R, R] in [-1, 1], each transformed at random; the same object when p is 0."""
    return apply_transforms(images, draw_transforms(len(images), p)) if p > 0 else images


def apply_transforms(images: Tensor, transforms: Transforms) -> Tensor:
    """Differentiable in the images, twice. What moves in from beyond the edges mirrors the image."""
    return _recolour(_warp(images, inverse_geometry(transforms, images.shape[-1])), colour_matrix(transforms))


def inverse_geometry(t: Transforms, size: int) -> Tensor:
    """[N, 3, 3]: from pixels of the result to pixels of the source, both counted from the image's middle."""
    matrices = [
        _scaling(1 - 2 * t.flip, torch.ones_like(t.flip)),
        _rotation(t.quarter_turns * (math.pi / 2)),
        _translation(-(t.shift_x * size).round(), -(t.shift_y * size).round()),
        _scaling(1 / t.scale, 1 / t.scale),
        _rotation(t.pre_rotation),
        _scaling(1 / t.stretch, t.stretch),
        _rotation(t.post_rotation),
        _translation(-t.offset_x * size, -t.offset_y * size),
    ]
    total = matrices[0]
    for matrix in matrices[1:]:
        total = total @ matrix
    return total


def colour_matrix(t: Transforms) -> Tensor:
    """[N, 3, 4]: what the colours are multiplied by, and what is added."""
    identity, axis = torch.eye(3), torch.full((3,), 1 / math.sqrt(3))
    grey = torch.outer(axis, axis)  # onto the axis of the greys
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cos, sin = t.hue.cos()[:, None, None], t.hue.sin()[:, None, None]
    hue = grey + cos * (identity - grey) + sin * cross  # Rodrigues
    luma = identity - 2 * grey * t.luma_flip[:, None, None]
    saturation = grey + (identity - grey) * t.saturation[:, None, None]
    matrix = saturation @ hue @ luma * t.contrast[:, None, None]
    return torch.cat([matrix, matrix @ t.brightness[:, None, None].expand(-1, 3, 1)], dim=2)


def _recolour(images: Tensor, matrix: Tensor) -> Tensor:
    matrix = matrix.to(images.device, non_blocking=True)
    return torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], images.flatten(2)).view(images.shape)


def _warp(images: Tensor, inverse: Tensor) -> Tensor:
    """Up to twice the resolution, bilinear lookup there, and down again; mirrored edges as far as they can be seen."""
    size, device = images.shape[-1], images.device
    (x0, x1), (y0, y1) = margins(inverse, size)
    up_x, up_y = _upsampling(size, x0, x1, device), _upsampling(size, y0, y1, device)
    large = up_y @ images.contiguous() @ up_x.t()  # [N, 3, 2 (y0 + R + y1), 2 (x0 + R + x1)]
    down = _downsampling(size, device)  # [R, 2 R + 10]
    theta = _lookup(inverse, down.shape[1], (x0 - x1, y0 - y1), large.shape).to(device, non_blocking=True)
    grid = F.affine_grid(theta, [len(images), 3, down.shape[1], down.shape[1]], align_corners=False)
    return down @ _Sample.apply(large, grid) @ down.t()


def margins(inverse: Tensor, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Left and right, top and bottom: how far beyond the source the corners of any result reach, R - 1 at most."""
    c = (size - 1) / 2
    corners = torch.tensor([[-c, c, c, -c], [-c, -c, c, c], [1, 1, 1, 1]])
    x, y = (inverse @ corners)[:, :2].unbind(1)  # [N, 4]
    reach = (min(max(math.ceil(float(v) + 2 * PAD - c), 0), size - 1) for v in (-x.min(), x.max(), -y.min(), y.max()))
    left, right, top, bottom = reach
    return (left, right), (top, bottom)


def _upsampling(size: int, before: int, after: int, device: torch.device) -> Tensor:
    """Mirroring at the edges and upsampling as one matrix [2 (before + R + after), R].

    On a CPU the matrix product is four times faster than the convolutions it stands for.
    """
    mirrored = F.pad(torch.eye(size, device=device)[None], [before, after], mode="reflect")[0]  # [R, padded]
    return F.conv_transpose1d(mirrored[:, None], _taps(device) * 2, stride=2, padding=5)[:, 0].t().contiguous()


def _downsampling(size: int, device: torch.device) -> Tensor:
    """[R, 2 R + 10]: from the pixels that the filter reaches."""
    pixels = torch.eye(2 * size + 10, device=device)[:, None]
    return F.conv1d(pixels, _taps(device), stride=2)[:, 0].t().contiguous()


def _taps(device: torch.device) -> Tensor:
    f = torch.tensor(SYM6, device=device)
    return (f / f.sum())[None, None]


def _lookup(inverse: Tensor, out: int, shift: tuple[int, int], shape: torch.Size) -> Tensor:
    """Where `out` x `out` pixels look in the large image: [N, 2, 3], in the units of affine_grid."""
    # Pixels of the large images are half as wide; their centres lie half a one off those of the small.
    middle = torch.tensor([[0.5, 0, 0.25], [0, 0.5, 0.25], [0, 0, 1]])
    back = torch.tensor([[2.0, 0, shift[0] - 0.5], [0, 2.0, shift[1] - 0.5], [0, 0, 1]])
    height, width = shape[2:]
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


def _matrix(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)  # [N, 3, 3]


def _scaling(x: Tensor, y: Tensor) -> Tensor:
    o, i = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[x, o, o], [o, y, o], [o, o, i]])


def _rotation(angle: Tensor) -> Tensor:
    o, i = torch.zeros_like(angle), torch.ones_like(angle)
    return _matrix([[angle.cos(), -angle.sin(), o], [angle.sin(), angle.cos(), o], [o, o, i]])


def _translation(x: Tensor, y: Tensor) -> Tensor:
    o, i = torch.zeros_like(x), torch.ones_like(x)
    return _matrix([[i, o, x], [o, i, y], [o, o, i]])
