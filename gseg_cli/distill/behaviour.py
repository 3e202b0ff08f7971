"""How sure a student is of pictures that nobody labelled: its confidence, and whether small changes change its mind.

Labels that stay when a picture is mirrored, shifted, turned or zoomed a little are more often right (consistency under
augmentation, as in Bahat, Irani and Shakhnarovich 2019, *Natural and Adversarial Error Detection using Invariance to
Image Transformations*), so both figures tell of a gap between generated and real pictures where no truth does.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.distill.sides import exchange_table, sides_of
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.geometry import FILL

BATCH = 32


@dataclass(frozen=True)
class Behaviour:
    """Of N pictures: labels uint8 [N, S, S]; the rest float, over the pixels that belong to the picture.

    confidence [N]: mean probability of the likeliest class. agreement [N]: share of pixels that keep their label under
    small changes, the mean over these. shares [N, C]: of the classes.
    """

    labels: Tensor
    confidence: Tensor
    agreement: Tensor
    shares: Tensor


@torch.no_grad()
def observe(student: nn.Module, images: Tensor, inside: Tensor, classes: ClassMap, *, mirror: bool = True) -> Behaviour:
    """images uint8 [N, S, S, 3]; inside bool [N, S, S], False beside a letterboxed photo. mirror: as it was trained."""
    other_side = exchange_table(sides_of(classes)).to(next(student.parameters()).device) if mirror else None
    parts = [_observe(student, x, m, other_side) for x, m in zip(images.split(BATCH), inside.split(BATCH), strict=True)]
    return Behaviour(*(torch.cat(field) for field in zip(*parts, strict=True)))


def _observe(student: nn.Module, images: Tensor, inside: Tensor, other_side: Tensor | None) -> tuple[Tensor, ...]:
    device = next(student.parameters()).device
    x, inside = images.to(device).permute(0, 3, 1, 2).float() / 255, inside.to(device)
    probs = _logits(student, x).softmax(dim=1)
    confidence, labels = probs.max(dim=1)
    kept = [_kept(student, x, labels, inside, change) for change in CHANGES]
    if other_side is not None:
        kept.append(_kept(student, x, other_side[labels], inside, _affine(mirror=True)))
    shares = F.one_hot(labels, probs.shape[1]).permute(0, 3, 1, 2)
    figures = (_mean(confidence, inside), torch.stack(kept).mean(dim=0), _mean(shares, inside[:, None]))
    return (labels.to(torch.uint8).cpu(), *(f.cpu() for f in figures))


def _affine(
    *, zoom: float = 1, degrees: float = 0, shift: tuple[float, float] = (0, 0), mirror: bool = False
) -> Tensor:
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    return torch.tensor([[-cos if mirror else cos, -sin, shift[0]], [sin, cos, shift[1]]])


# Affine matrices [2, 3] from output to input coordinates in [-1, 1]: a few percent each.
CHANGES = (
    _affine(zoom=0.92), _affine(zoom=1.08), _affine(degrees=4), _affine(degrees=-4), _affine(shift=(0.06, 0.03)),
    _affine(shift=(-0.06, -0.03)),
)  # fmt: skip


def _kept(student: nn.Module, x: Tensor, labels: Tensor, inside: Tensor, change: Tensor) -> Tensor:
    """Share of pixels [N] whose label after the change is the label before it, moved along."""
    grid = F.affine_grid(change.to(x.device).expand(len(x), 2, 3), list(x.shape), align_corners=False)
    fill = torch.tensor(FILL, device=x.device)[:, None, None] / 255
    moved = F.grid_sample(x - fill, grid, align_corners=False) + fill
    known = torch.where(inside, labels, IGNORE).float()[:, None] - IGNORE  # 0, which grid_sample fills with, is ignore
    expected = (F.grid_sample(known, grid, mode="nearest", align_corners=False)[:, 0] + IGNORE).round()
    return _mean(_logits(student, moved).argmax(dim=1) == expected, expected != IGNORE)


def _logits(student: nn.Module, x: Tensor) -> Tensor:
    return student((x * 2 - 1).contiguous(memory_format=torch.channels_last))


def _mean(values: Tensor, inside: Tensor) -> Tensor:
    """Over the pixels inside."""
    return (values * inside).float().sum(dim=(-2, -1)) / inside.sum(dim=(-2, -1)).clamp_min(1)
