"""Adaptive discriminator augmentation, ADA (Karras et al. 2020: Training GANs with Limited Data).

The discriminator sees reals and fakes through the same random transforms: mirroring, quarter turns and shifts by whole
pixels; scaling, rotation, stretching and shifts; brightness, contrast, inverted luma, hue and saturation ("bgc" of
stylegan2-ada-pytorch, whose distributions and resampling are kept). Each is applied with probability p, which follows
the signs of the discriminator's logits of reals. Shapes: N images, R pixels a side.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gseg_cli.device import send
from gseg_cli.gan.training.warp import lookup, warp, warp_by, widest

INTERVAL = 4  # steps between adjustments of p


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
    return _recolour(warp(images, inverse_geometry(transforms, images.shape[-1])), colour_matrix(transforms))


def packed(transforms: Transforms, size: int) -> Tensor:
    """float32 [N, 18], on the CPU: all that `apply_packed` needs to know of them."""
    theta = lookup(inverse_geometry(transforms, size), size, widest(size))
    return torch.cat([theta.flatten(1), colour_matrix(transforms).flatten(1)], dim=1)


def apply_packed(images: Tensor, transforms: Tensor) -> Tensor:
    """As `apply_transforms`, in the same steps and shapes whatever was drawn, with `packed` ones on the same device.

    Its margins are the largest there are, by which pixels at the edge differ by 0.001 where the scale is a half.
    """
    theta, colours = (part.contiguous() for part in transforms.split([6, 12], dim=1))
    moved = warp_by(images, theta.view(-1, 2, 3), widest(images.shape[-1]))
    return _recolour(moved, colours.view(-1, 3, 4))


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
    """The colours alone: alpha [N, 1, R, R], where there is one, stays."""
    matrix = send(matrix, images.device)
    colours = images if images.shape[1] == 3 else images[:, :3]
    recoloured = torch.baddbmm(matrix[:, :, 3:], matrix[:, :, :3], colours.flatten(2)).view(colours.shape)
    return recoloured if images.shape[1] == 3 else torch.cat([recoloured, images[:, 3:]], dim=1)


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
