"""One random change of position, size and colours, for images and their labels together."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.distill.pairs import PairSet
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import ConfigError
from gseg_runtime.geometry import FILL


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """The defaults suit photos aligned as the GAN's; GEOMETRIES has the paper's, for photos that are not."""

    mirror: bool = True
    scale_min: float = 0.8
    scale_max: float = 1.25
    rotation_deg: float = 10.0
    shift: float = 0.1  # share of the image's side
    colour: float = 0.2  # strength of brightness, contrast and tint


GEOMETRIES = {
    "aligned": AugmentConfig(),
    "paper": AugmentConfig(scale_min=0.5, scale_max=2.0, shift=0.5),
}


def find_geometry(name: str) -> AugmentConfig:
    """One of GEOMETRIES by its name; ConfigError for another."""
    if name not in GEOMETRIES:
        raise ConfigError(f"geometry: expected one of {', '.join(GEOMETRIES)}, got {name!r}")
    return GEOMETRIES[name]


@dataclass(frozen=True)
class Batch:
    """image float [N, 3, S, S] in [-1, 1]; the soft labels of a PairSet, moved along, uint8 [N, S, S]."""

    image: Tensor
    first: Tensor
    second: Tensor
    share: Tensor


def augment(pairs: PairSet, config: AugmentConfig, device: torch.device) -> Batch:
    """Images are resampled bilinearly over the letterbox's fill, labels by nearest neighbour over ignore."""
    images = pairs.images.to(device).permute(0, 3, 1, 2).float() / 255  # [N, 3, S, S]
    grid = F.affine_grid(_random_affine(len(pairs), config, device), list(images.shape), align_corners=False)
    fill = torch.tensor(FILL, device=device)[:, None, None] / 255
    moved = F.grid_sample(images - fill, grid, mode="bilinear", align_corners=False) + fill
    image = _recolour(moved, config.colour) * 2 - 1
    return Batch(image.contiguous(memory_format=torch.channels_last), *_move_labels(pairs, grid))


def _move_labels(pairs: PairSet, grid: Tensor) -> list[Tensor]:
    """The labels travel as one float picture; 1 is added so that the outside, 0, can be told from background."""
    labels = torch.stack([pairs.first, pairs.second, pairs.share], dim=1).to(grid.device).float() + 1
    first, second, share = F.grid_sample(labels, grid, mode="nearest", align_corners=False).round().unbind(1)
    first = torch.where(first == 0, IGNORE + 1.0, first)
    return [(t - 1).clamp_min(0).to(torch.uint8) for t in (first, second, share)]


def _random_affine(n: int, config: AugmentConfig, device: torch.device) -> Tensor:
    """Matrices [N, 2, 3] from output to input coordinates in [-1, 1]."""
    angle = (torch.rand(n) * 2 - 1) * math.radians(config.rotation_deg)
    low, high = math.log(config.scale_min), math.log(config.scale_max)
    zoom = torch.exp(-(torch.rand(n) * (high - low) + low))
    mirror = torch.where(torch.rand(n) < 0.5, -1.0, 1.0) if config.mirror else torch.ones(n)
    shift = (torch.rand(2, n) * 2 - 1) * config.shift * 2
    cos, sin = angle.cos() * zoom, angle.sin() * zoom
    rows = [torch.stack([cos * mirror, -sin, shift[0]], dim=1), torch.stack([sin * mirror, cos, shift[1]], dim=1)]
    return torch.stack(rows, dim=1).to(device)


def _recolour(x: Tensor, strength: float) -> Tensor:
    """Brightness, contrast and a tint per image, each up to the given strength: [N, 3, S, S] in [0, 1]."""
    if strength == 0:
        return x
    n = len(x)
    gain = 1 + (torch.rand(n, 1, 1, 1) * 2 - 1) * strength
    offset = (torch.rand(n, 1, 1, 1) * 2 - 1) * strength / 2 + (torch.rand(n, 3, 1, 1) * 2 - 1) * strength / 4
    return ((x - 0.5) * gain.to(x.device) + 0.5 + offset.to(x.device)).clamp(0, 1)
