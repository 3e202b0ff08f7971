"""One random change of position, size and colours, for images and their labels together.

The moves are kornia's, batched and different for every pair. Images are resampled bilinearly over the letterbox's fill,
labels by nearest neighbour over ignore, both from pixel centre to pixel centre. In a mirrored picture the left eye is
the right one (sides.py). All parameters are drawn on the CPU from torch's global generator, so that one seed is one
change on every device.
"""

from dataclasses import dataclass

import kornia.augmentation as K
import torch
import torch.nn.functional as F
from kornia.constants import DataKey
from torch import Tensor

from gseg_cli.device import send
from gseg_cli.distill.config import AugmentConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.sides import exchange_table, sides_of
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.geometry import FILL

CLOUD = 8  # random colours along each side of a background that is put in


@dataclass(frozen=True)
class Batch:
    """image float [N, 3, S, S] in [-1, 1]; the soft labels of a PairSet, moved along, uint8 [N, S, S]."""

    image: Tensor
    first: Tensor
    second: Tensor
    share: Tensor


class Augmentation:
    """Turns pairs into a batch to train on: `Augmentation(config, classes, device)(pairs)`."""

    def __init__(self, config: AugmentConfig, classes: ClassMap, device: torch.device) -> None:
        self.config, self.device = config, device
        self.other_side = exchange_table(sides_of(classes)).to(device)
        self.move = _moves(config, device)
        self.recolour = _colours(config.colour)

    def __call__(self, pairs: PairSet) -> Batch:
        images = send(pairs.images, self.device).permute(0, 3, 1, 2).float() / 255  # [N, 3, S, S]
        labels = send(torch.stack([pairs.first, pairs.second, pairs.share], dim=1), self.device)
        if self.config.background:
            images = _replace_background(images, labels, self.config.background)
        # Moved last: what surrounds a photo at run time has one colour, whatever the photo's are.
        images = self.recolour(images)
        if self.config.mirror:
            images, labels = self._mirrored(images, labels)
        images, labels = self.move(images, labels)
        return Batch((images * 2 - 1).contiguous(memory_format=torch.channels_last), *labels.unbind(1))

    def _mirrored(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Half of them."""
        is_mirrored = send(torch.rand(len(images)) < 0.5, self.device)[:, None, None, None]
        exchanged = torch.cat([self.other_side[labels[:, :2].long()], labels[:, 2:]], dim=1)
        return torch.where(is_mirrored, images.flip(3), images), torch.where(is_mirrored, exchanged.flip(3), labels)


def _moves(config: AugmentConfig, device: torch.device) -> K.AugmentationSequential:
    """Sizes are drawn evenly from their range and shifts are of the enlarged picture, as in the published code.

    What fills the uncovered lies on the device from the start: kornia would copy it there at each call, and wait.
    """
    affine = K.RandomAffine(
        config.rotation_deg, translate=(config.shift, config.shift), scale=(config.scale_min, config.scale_max),
        padding_mode="fill", fill_value=(torch.tensor(FILL) / 255).to(device), p=1.0,
    )  # fmt: skip
    uncovered = torch.tensor([IGNORE, 0.0, 0.0]).to(device)  # of first, second and share
    return K.AugmentationSequential(
        affine, data_keys=["input", "mask"], transformation_matrix_mode="skip",
        extra_args={DataKey.MASK: {"resample": "nearest", "fill_value": uncovered}},
    )  # fmt: skip


def _colours(strength: float) -> torch.nn.Module:
    if strength == 0:
        return torch.nn.Identity()
    tint = strength / 4
    jitter = K.ColorJitter(brightness=strength, contrast=strength, saturation=strength, p=1.0)
    return torch.nn.Sequential(jitter, K.RandomRGBShift(tint, tint, tint, p=1.0))


def _replace_background(images: Tensor, labels: Tensor, share: float) -> Tensor:
    """Clouds of colour instead of class 0, in this share of the images; the soft labels say how much of a pixel."""
    first, second, certain = labels[:, 0], labels[:, 1], labels[:, 2] / 255
    amount = certain * (first == 0) + (1 - certain) * (second == 0)  # [N, S, S]
    amount = amount.masked_fill(first == IGNORE, 0)[:, None]
    n, _, height, width = images.shape
    is_chosen = torch.rand(n, 1, 1, 1) < share
    plain, clouds, spread = torch.rand(n, 3, 1, 1), torch.rand(n, 3, CLOUD, CLOUD), torch.rand(n, 1, 1, 1)
    colours = send((plain + spread * (clouds - 0.5)).clamp(0, 1), images.device)  # from one colour to many
    other = F.interpolate(colours, (height, width), mode="bilinear", align_corners=False)
    return torch.lerp(images, other, amount * send(is_chosen, images.device))
