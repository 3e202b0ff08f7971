"""Pictures with an alpha channel, float [N, 4, R, R] in [-1, 1]: -1 is transparent, 1 opaque."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gseg_cli.gan.generator import OnLayer

BOARD_SQUARES = 16  # a side, behind what is transparent


def has_alpha(generator: Any) -> bool:
    return getattr(getattr(generator, "config", None), "img_channels", 3) in (2, 4)


def draw(generator: Any, ws: Tensor, on_layer: OnLayer | None = None) -> Tensor:
    """What `synthesis` gives, [N, 3, R, R]; of a GAN with alpha before anything is put behind it, [N, 4, R, R]."""
    return (generator.draw if has_alpha(generator) else generator.synthesis)(ws, on_layer)


def as_channels(image: Tensor, num_channels: int) -> Tensor:
    """What a GAN of `num_channels` draws, of colours [N, 3, R, R] and perhaps alpha; pictures without are opaque."""
    colours = image[:, :3] if num_channels > 2 else image[:, :3].mean(dim=1, keepdim=True)
    if num_channels in (1, 3):
        return colours
    alpha = image[:, 3:] if image.shape[1] == 4 else torch.ones_like(image[:, :1])
    return torch.cat([colours, alpha], dim=1)


def as_colours(image: Tensor) -> Tensor:
    """The reverse: [N, 1 to 4, R, R] -> [N, 3, R, R], grey three times, or with alpha [N, 4, R, R]."""
    if image.shape[1] == 2:
        return torch.cat([image[:, :1]] * 3 + [image[:, 1:]], dim=1)
    return image.expand(-1, 3, -1, -1) if image.shape[1] == 1 else image


def over(image: Tensor, behind: Tensor) -> Tensor:
    """[N, 3, R, R]: a picture with alpha over another one, [3, 1, 1], [N, 3, 1, 1] or larger."""
    alpha = (image[:, 3:] / 2 + 0.5).clamp(0, 1)
    return image[:, :3] * alpha + behind * (1 - alpha)


def over_board(image: Tensor) -> Tensor:
    """The same over a checkerboard of two light greys; a picture without alpha is that itself."""
    if image.shape[1] == 3:
        return image
    square = torch.arange(image.shape[-1], device=image.device) * BOARD_SQUARES // image.shape[-1]
    return over(image, 0.4 + 0.4 * ((square[:, None] + square) % 2))


def plain_colours(seeds: Sequence[int]) -> Tensor:
    """[N, 3, 1, 1] in [-1, 1], one for each seed."""
    rows = [np.random.default_rng([seed, 3]).uniform(-1, 1, 3) for seed in seeds]
    return torch.tensor(np.array(rows), dtype=torch.float32)[:, :, None, None]
