"""A discriminator on pretrained features, as in Projected GAN (Sauer et al. 2021): alone, or beside StyleGAN2's.

For `discriminators.py`. What it knows is EfficientNet-Lite0's features of ImageNet, mixed at random over channels and
scales, of pictures that DiffAugment (Zhao et al. 2020) changed.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmarks.pretrained import resized
from gseg_cli.gan.training import loss as losses
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.graphs import Feed
from gseg_cli.gan.training.trainer import MAIN_D, MAIN_G, GanTrainer, Stats
from gseg_cli.gan.transparency import draw
from gseg_cli.pretrained.lite0 import STRIDES, WIDTHS, load_lite0

RATE = 0.002  # of Adam
MIXED = 64  # channels


class ProjectedDiscriminator(nn.Module):
    """Logits [N, L] of pictures [N, 3, S, S] in [-1, 1], enlarged to `side` pixels: of the places of four scales."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side
        self.encoder = load_lite0().requires_grad_(False)
        self.across = nn.ModuleList(nn.Conv2d(width, MIXED, 1) for width in WIDTHS[1:]).requires_grad_(False)
        self.down = nn.ModuleList(nn.Conv2d(MIXED, MIXED, 3, padding=1) for _ in WIDTHS[1:]).requires_grad_(False)
        self.heads = nn.ModuleList(_head(side // stride) for stride in STRIDES[1:])

    def forward(self, images: Tensor) -> Tensor:
        _, *features = self.encoder(resized(diff_augment(images), self.side))
        scales = list(zip(features, self.across, self.down, self.heads, strict=True))
        mixed, logits = None, []
        for feature, across, down, head in reversed(scales):
            own = across(feature)
            mixed = down(own if mixed is None else own + resized(mixed, own.shape[-1]))
            logits.append(head(mixed).flatten(1))
        return torch.cat(logits, dim=1)


def _head(side: int) -> nn.Sequential:
    """Halved until it is 4 pixels wide; then every place is judged."""
    layers: list[nn.Module] = []
    while side > 4:
        layers += [spectral_norm(nn.Conv2d(MIXED, MIXED, 4, 2, 1, bias=False)), nn.BatchNorm2d(MIXED)]
        layers += [nn.LeakyReLU(0.2)]
        side //= 2
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(MIXED, 1, min(side, 4))))


def diff_augment(x: Tensor) -> Tensor:
    """Brightness, saturation and contrast; a shift of up to an eighth; and a square of half the side cut out."""
    n, _, _, side = x.shape
    amounts = torch.rand(3, n, 1, 1, 1)
    x = x + amounts[0] - 0.5
    grey = x.mean(dim=1, keepdim=True)
    x = grey + (x - grey) * 2 * amounts[1]
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    x = middle + (x - middle) * (0.5 + amounts[2])
    places, most = torch.arange(side), side // 8
    rows, columns = places + most + torch.randint(-most, most + 1, (2, n, 1))
    padded = nn.functional.pad(x, [most] * 4).permute(0, 2, 3, 1)
    x = padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    near = (places - torch.randint(side, (2, n, 1))).abs() < side // 4
    return x * ~(near[0][:, :, None] & near[1][:, None, :])[:, None]


class BesideTrainer(GanTrainer):
    """Both discriminators, their losses added, as in Vision-aided GAN (Kumari et al. 2022)."""

    is_alone = False
    side = 64

    def __init__(self, config: GanTrainConfig, images: Tensor, device: torch.device, *args: Any, **more: Any) -> None:
        super().__init__(config, images, device, *args, **more)
        self.projected = ProjectedDiscriminator(self.side).to(device).train()
        heads = list(self.projected.heads.parameters())
        self.opt_D.add_param_group({"params": heads, "lr": RATE, "betas": (0.0, 0.99)})

    def _networks(self) -> dict[str, nn.Module]:
        return {**super()._networks(), "projected": self.projected}

    def _discriminator_loss(self, chunk: int, feed: Feed) -> tuple[Tensor, Stats]:
        real, classes = self._reals(chunk, feed)
        self._seed(MAIN_D, chunk, feed)
        with torch.no_grad():
            fake = draw(self.G, self._latents(len(real), feed)[0]).float()
        of_real, of_fake = self.projected(real), self.projected(fake)
        value = nn.functional.relu(1 - of_real).mean() + nn.functional.relu(1 + of_fake).mean()
        if not self.is_alone:
            of_real = self._judge(feed, classes, real)
            value = value + losses.discriminator_loss(of_real, self._judge(feed, classes, fake))
        return value, {"loss_D": value, "real_sign": of_real.sign().mean()}

    def _generator_loss(self, chunk: int, feed: Feed) -> tuple[Tensor, Stats]:
        self._seed(MAIN_G, chunk, feed)
        ws, classes = self._latents(self.chunk_size, feed)
        fake = draw(self.G, ws)
        value = -self.projected(fake.float()).mean()
        if not self.is_alone:
            value = value + losses.generator_loss(self._judge(feed, classes, fake))
        return value, {"loss_G": value}


class AloneTrainer(BesideTrainer):
    """Projected GAN as published: no other discriminator, and pictures enlarged to twice their side."""

    is_alone = True
    side = 128
