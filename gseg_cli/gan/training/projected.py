"""Projected GAN (Sauer et al. 2021): a discriminator that sees features of a network trained on ImageNet.

The features are EfficientNet-Lite0's at four scales, mixed by random convolutions that stay as they are; a head judges
each scale as a whole, where the published code judges several places of it. Photos and samples are changed alike before
(Zhao et al. 2020, DiffAugment). Neither R1 nor ADA is needed. A GAN that goes on from another gets clean, whole
pictures of photographs soon. Of drawings it gets too many that are alike, which is measured; then StyleGAN2's
discriminator takes over, and they become varied again (benchmarks/discriminators.md).
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gseg_cli.device import send
from gseg_cli.gan.training import loss as losses
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.graphs import Feed
from gseg_cli.gan.training.metrics import generate, variety
from gseg_cli.gan.training.trainer import GanTrainer, Stats
from gseg_cli.pretrained.lite0 import STRIDES, WIDTHS, load_lite0

RATE = 0.002  # of Adam
BESIDE = 4  # steps from one of StyleGAN2's discriminator to the next
MIXED = 64  # channels
LOOKS = 5_000  # images from one look at the samples to the next, beginning with the second
ALIKE = 0.65  # variety; of the GANs looked at the one whose samples were alike had 0.49, all others 0.80 or more
NUM_LOOKED_AT = 256
SMALL = 128  # pixels: up to here pictures are enlarged to twice their side, for features that a photo's detail has


class ProjectedDiscriminator(nn.Module):
    """Logits [N, 4] of pictures [N, 3, S, S] in [-1, 1]: of each of four scales, changed at random.

    BackendUnavailable without the weights of EfficientNet-Lite0.
    """

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.side = max(2 * resolution if resolution <= SMALL else resolution, STRIDES[-1])
        self.encoder = load_lite0().requires_grad_(False)
        self.across = nn.ModuleList(nn.Conv2d(width, MIXED, 1) for width in WIDTHS[1:]).requires_grad_(False)
        self.down = nn.ModuleList(nn.Conv2d(MIXED, MIXED, 3, padding=1) for _ in WIDTHS[1:]).requires_grad_(False)
        self.heads = nn.ModuleList(_head(self.side // stride) for stride in STRIDES[1:])

    def forward(self, images: Tensor) -> Tensor:
        images = diff_augment(images, draw_changes(len(images), images.shape[-1]).to(images.device))
        _, *features = self.encoder(_resized(images, self.side))
        scales = list(zip(features, self.across, self.down, self.heads, strict=True))
        mixed, logits = None, []
        for feature, across, down, head in reversed(scales):
            own = across(feature)
            mixed = down(own if mixed is None else own + _resized(mixed, own.shape[-1]))
            logits.append(head(mixed).flatten(1))
        return torch.cat(logits, dim=1)


def _head(side: int) -> nn.Sequential:
    """Halved until it is 4 pixels wide; these, or fewer, come to one logit."""
    layers: list[nn.Module] = []
    while side > 4:
        layers += [spectral_norm(nn.Conv2d(MIXED, MIXED, 4, 2, 1, bias=False)), nn.BatchNorm2d(MIXED)]
        layers += [nn.LeakyReLU(0.2)]
        side //= 2
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(MIXED, 1, min(side, 4))))


def _resized(x: Tensor, side: int) -> Tensor:
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


class Changes(NamedTuple):
    """How each of N pictures is changed. colours: [3, N] in [0, 1]; shifts, places: int64 [2, N], in pixels."""

    colours: Tensor
    shifts: Tensor
    places: Tensor

    def to(self, device: torch.device) -> "Changes":
        """Without waiting for the device."""
        return Changes(*(send(tensor, device) for tensor in self))


def draw_changes(n: int, side: int) -> Changes:
    """At random, on the CPU."""
    most = side // 8
    return Changes(torch.rand(3, n), torch.randint(-most, most + 1, (2, n)), torch.randint(side, (2, n)))


def diff_augment(x: Tensor, changes: Changes) -> Tensor:
    """Brightness, saturation and contrast; a shift of up to an eighth; and a square of nearly half the side cut out."""
    n, _, _, side = x.shape
    amounts = changes.colours[..., None, None, None]
    x = x + amounts[0] - 0.5
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * 2 * amounts[1]
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = middle + (x - middle) * (0.5 + amounts[2])
    places, most = torch.arange(side, device=x.device), side // 8
    rows, columns = places + most + changes.shifts[..., None]
    padded = F.pad(x, [most] * 4).permute(0, 2, 3, 1)
    first = torch.arange(n, device=x.device)[:, None, None]
    x = padded[first, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    near = (places - changes.places[..., None]).abs() < side // 4
    return x * ~(near[0][:, :, None] & near[1][:, None, :])[:, None]


class ProjectedTrainer(GanTrainer):
    """A generator that learns from this discriminator, until its samples are alike.

    StyleGAN2's learns beside it, at few steps, and is what the file keeps, because photos are inverted by its features.
    Once samples are alike, it teaches as usual; with an r1_gamma of 0 it never does.
    """

    def __init__(self, config: GanTrainConfig, images: Tensor, device: torch.device, *args: Any, **more: Any) -> None:
        super().__init__(config, images, device, *args, **more)
        self.projected = ProjectedDiscriminator(config.resolution).to(device).train()
        heads = list(self.projected.heads.parameters())
        self.opt_D.add_param_group({"params": heads, "lr": RATE, "betas": (0.0, 0.99)})
        self.is_taught_by_D = False

    def step(self) -> Stats:
        stats = super().step()
        looks, before = self.num_images // LOOKS, (self.num_images - self.config.batch) // LOOKS
        if self.config.r1_gamma and not self.is_taught_by_D and looks > before > 0:
            self.is_taught_by_D = self._variety() < ALIKE
        return stats

    def _variety(self) -> float:
        photos = self.images[self.rows[torch.arange(NUM_LOOKED_AT) * len(self.rows) // NUM_LOOKED_AT]]
        return variety(generate(self.G_ema, NUM_LOOKED_AT, self.device), photos)

    def discriminator_loss(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        if self.is_taught_by_D:
            return super().discriminator_loss(real_logits, fake_logits)
        return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()

    def generator_loss(self, fake_logits: Tensor) -> Tensor:
        return super().generator_loss(fake_logits) if self.is_taught_by_D else -fake_logits.mean()

    def _judge(self, feed: Feed, classes: Tensor | None, images: Tensor) -> Tensor:
        return super()._judge(feed, classes, images) if self.is_taught_by_D else self.projected(images.float())

    def _judge_both(self, feed: Feed, classes: list[Tensor | None], images: list[Tensor]) -> list[Tensor]:
        if self.is_taught_by_D:
            return super()._judge_both(feed, classes, images)
        return [self.projected(one.float()) for one in images]  # whose normalisation looks at one batch at a time

    def _more_to_judge(self, real: Tensor, fake: Tensor) -> Tensor | float:
        if self.is_taught_by_D or self.num_steps % BESIDE:
            return 0.0
        return losses.discriminator_loss(*self._logits([None, None], [real, fake]))

    def state(self) -> dict[str, Tensor]:
        return {**super().state(), "is_taught_by_D": torch.tensor(self.is_taught_by_D)}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        super().load_state(tensors)
        self.is_taught_by_D = bool(tensors.get("is_taught_by_D", False))

    def _networks(self) -> dict[str, nn.Module]:
        return {**super()._networks(), "projected": self.projected}
