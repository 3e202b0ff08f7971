"""Figures that tell how a GAN does while it trains, without any download.

Sliced Wasserstein distance between the patches of two sets of pictures, level by level of their Laplacian pyramids
(Karras et al. 2018, section 5), and how much of D's certainty it has learnt by heart (Karras et al. 2020, equation 1).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import GanModule
from gseg_cli.gan.transparency import draw
from gseg_cli.seeding import z_for_seeds

PATCH = 7
PATCHES = 32  # per image and level
DIRECTIONS = 128
SMALLEST = 16  # pixels a side of the last level
PIXELS = 2**17  # in one batch


def swd(a: Tensor, b: Tensor) -> dict[str, float]:
    """Times 1000, as in the paper: by level ("swd_64") and their mean ("swd"). a, b: uint8 [N, 3, R, R], N of both.

    Fewer patches and directions than in the paper, so only figures of the same number of pictures can be compared.
    """
    draw = torch.Generator().manual_seed(0)
    levels = {}
    for level_a, level_b in zip(_pyramid(a), _pyramid(b), strict=True):
        levels[f"swd_{level_a.shape[-1]}"] = 1000 * _distance(_patches(level_a, draw), _patches(level_b, draw), draw)
    return {"swd": sum(levels.values()) / len(levels), **levels}


def variety(fakes: Tensor, photos: Tensor) -> float:
    """How varied fakes are: 1 as much as the photos, 0 all the same. Both uint8 [N, 3, R, R], N of any two numbers.

    The deviation of each place among pictures shrunk to 8 pixels a side, in the root mean square of all places.
    """
    shrunk = (F.adaptive_avg_pool2d(pictures.cpu().float(), 8) for pictures in (fakes, photos))
    of_fakes, of_photos = (pictures.var(dim=0).mean() for pictures in shrunk)
    return float((of_fakes / of_photos.clamp(min=1e-8)).sqrt())


def _pyramid(images: Tensor) -> list[Tensor]:
    """Details at full size, half, quarter ... and the rest."""
    x, levels = images.float(), []
    while x.shape[-1] >= 2 * SMALLEST:
        small = F.avg_pool2d(_smooth(x), 2)
        levels.append(x - F.interpolate(small, scale_factor=2.0, mode="bilinear", align_corners=False))
        x = small
    return [*levels, x]


def _smooth(x: Tensor) -> Tensor:
    f = torch.tensor([1.0, 2.0, 1.0]) / 4
    f = torch.outer(f, f).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, [1] * 4, mode="reflect"), f, groups=x.shape[1])


def _patches(images: Tensor, draw: torch.Generator) -> Tensor:
    """Random patches, each channel of mean 0 and deviation 1 over all of them: [N * PATCHES, 3 * PATCH * PATCH]."""
    n, r = len(images), images.shape[-1] - PATCH + 1
    top, left = torch.randint(r, (2, n, PATCHES, 1, 1), generator=draw)
    rows, columns = top + torch.arange(PATCH)[:, None], left + torch.arange(PATCH)
    patches = images.permute(0, 2, 3, 1)[torch.arange(n)[:, None, None, None], rows, columns]  # [N, P, 7, 7, 3]
    patches = patches - patches.mean(dim=(0, 1, 2, 3))
    return (patches / patches.std(dim=(0, 1, 2, 3)).clamp_min(1e-8)).flatten(0, 1).flatten(1)


def _distance(a: Tensor, b: Tensor, draw: torch.Generator) -> float:
    directions = F.normalize(torch.randn(a.shape[1], DIRECTIONS, generator=draw), dim=0)
    return float(((a @ directions).sort(dim=0).values - (b @ directions).sort(dim=0).values).abs().mean())


@torch.no_grad()
def generate(generator: GanModule, count: int, device: torch.device, classes: Tensor | None = None) -> Tensor:
    """uint8 [N, 3, R, R] of the seeds from 0 on, without truncation, on the CPU; with alpha [N, 4, R, R].

    classes: int64 [N].
    """
    out, batch = [], max(PIXELS // generator.img_resolution**2, 1)
    for start in range(0, count, batch):
        z = z_for_seeds(range(start, min(start + batch, count)), generator.z_dim).to(device)
        if classes is not None:
            generator.class_index = classes[start : start + batch].to(device)
        out.append(to_uint8(draw(generator, generator.mapping(z))).permute(0, 3, 1, 2).cpu())
    return torch.cat(out)


@torch.no_grad()
def overfit(
    D: nn.Module,
    train: Tensor,
    held_out: Tensor,
    fakes: Tensor,
    device: torch.device,
    classes: Sequence[Tensor | None] = (None, None, None),
) -> dict[str, float]:
    """Where D places held-out photos between fakes (1) and the photos it trains on (0), and the sign it gives them.

    All uint8 [N, 3, R, R]; classes: int64 [N], of each of the three. `overfit` is nan while D hardly tells photos from
    fakes.
    """
    three = zip((train, held_out, fakes), classes, strict=True)
    of_train, of_held_out, of_fakes = (_logits(D, images, device, of) for images, of in three)
    span = float(of_train.mean() - of_fakes.mean())
    gap = float(of_train.mean() - of_held_out.mean())
    return {"overfit": gap / span if span > 0.5 else float("nan"), "held_out_sign": float(of_held_out.sign().mean())}


def _logits(D: nn.Module, images: Tensor, device: torch.device, classes: Tensor | None) -> Tensor:
    size, logits = max(PIXELS // images.shape[-1] ** 2, 4), []  # 4 is a group of minibatch deviation
    for start in range(0, len(images), size):
        if classes is not None:
            D.class_index = classes[start : start + size].to(device)
        logits.append(D(images[start : start + size].to(device).float() / 127.5 - 1).float())
    return torch.cat(logits)
