"""Some hundred samples of a GAN, looked at once: where photos are compared with what the GAN draws."""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.gan.generator import Generator
from gseg_cli.gan.inversion.latent_space import LatentSpace
from gseg_cli.seeding import z_for_seeds

MAX_PIXELS = 2**25  # drawn in all, but at least MIN_SAMPLES
MIN_SAMPLES, MAX_SAMPLES = 256, 1536
BATCH_PIXELS = 2**17
_THUMBNAIL, _CELLS = 8, 4  # sides in pixels, and in cells over which a feature map is averaged


@dataclass(frozen=True)
class Look:
    """What is seen of N pictures.

    thumbnails [N, 192]; features [N, D] per block of the discriminator, and its logits [N]: empty where there is none.
    """

    thumbnails: Tensor
    features: tuple[Tensor, ...]
    logits: Tensor

    def __getitem__(self, rows: slice) -> "Look":
        return Look(self.thumbnails[rows], tuple(f[rows] for f in self.features), self.logits[rows])

    @classmethod
    def join(cls, parts: list["Look"]) -> "Look":
        features = tuple(torch.cat(block) for block in zip(*(p.features for p in parts), strict=True))
        return cls(torch.cat([p.thumbnails for p in parts]), features, torch.cat([p.logits for p in parts]))


@dataclass(frozen=True)
class Sampled:
    """ws [N, W] of the samples, what is seen of them, and where latents lie."""

    ws: Tensor
    look: Look
    space: LatentSpace

    def nearest(self, photos: Tensor) -> Tensor:
        """The latents [M, W] of the samples that look most like the photos [M, 3, R, R] from afar."""
        gaps = torch.cdist(_thumbnails(photos), self.look.thumbnails)
        return self.ws[gaps.argmin(dim=1)]


@torch.no_grad()
def look_at(images: Tensor, discriminator: Any | None) -> Look:
    """Images [N, 3, R, R] in [-1, 1]; those of a generator may go beyond, pictures do not."""
    images = images.float().clamp(-1, 1)
    thumbnails = _thumbnails(images)
    if discriminator is None:
        return Look(thumbnails, (), images.new_zeros(0))
    maps = discriminator.features(images)
    features = tuple(F.adaptive_avg_pool2d(x, min(_CELLS, x.shape[-1])).flatten(1).float() for x in maps)
    # One by one, because a discriminator compares the pictures of a batch with each other.
    logits = torch.cat([discriminator.judge(x) for x in maps[-1].split(1)]).flatten()
    return Look(thumbnails, features, logits)


@torch.no_grad()
def draw_samples(generator: Generator, discriminator: Any | None, seed: int, device: torch.device) -> Sampled:
    """The samples of the seeds from `seed` on, without truncation; fewer of large ones."""
    side = generator.img_resolution
    n = min(MAX_SAMPLES, max(MIN_SAMPLES, MAX_PIXELS // side**2))
    ws = generator.mapping(z_for_seeds(range(seed, seed + n), generator.z_dim).to(device))
    looks = [look_at(generator.synthesis(part), discriminator) for part in ws.split(max(1, BATCH_PIXELS // side**2))]
    return Sampled(ws[:, 0], Look.join(looks), LatentSpace.of(generator, seed, device))


def _thumbnails(images: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(images, _THUMBNAIL).flatten(1)
