"""What inverting photos needs of a GAN, made ready once: its networks, its samples, and what it calls a photo."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gseg_cli.device import send
from gseg_cli.gan.bars import outside
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.domain import Domain
from gseg_cli.gan.inversion.drawn_samples import Sampled, draw_samples, look_at
from gseg_cli.gan.inversion.image_distance import Features, discriminator_features, lpips_features
from gseg_cli.gan.inversion.invert import Inversion, OnStep, default_batch, invert
from gseg_cli.gan.load import load_gan, read_gan
from gseg_runtime.label_map import Pixels

# The step, and the images' mean distance from their photos, as it was when it was last read.
OnGap = Callable[[int, float], None]
GAP_STEPS = 10  # between two readings, each of which waits for the GPU


@dataclass(frozen=True)
class Fitted:
    """N photos, inverted. images: as the GAN draws them, uint8 [N, R, R, 3].

    errors [N]: root mean square of the difference to the photo, in levels of 255. distances [N]: from what the GAN
    draws, 1 is the limit (domain.py); None where the GAN's file holds no discriminator.
    """

    inversion: Inversion
    images: Pixels
    errors: npt.NDArray[np.float32]
    distances: npt.NDArray[np.float32] | None


@dataclass(frozen=True)
class Inverter:
    generator: Any
    discriminator: Any | None
    features: Features | None
    samples: Sampled
    domain: Domain | None
    config: InvertConfig
    device: torch.device

    @classmethod
    def load(
        cls,
        gan: Path,
        config: InvertConfig,
        device: torch.device,
        *,
        seed: int = 0,
        class_index: int | None = None,
        lpips: Path | None = None,
    ) -> "Inverter":
        """seed: the first of the samples that photos are compared with. lpips: weights of VGG16, see `lpips_features`.

        Without it the loss takes features from the GAN's discriminator, and without that pixels alone.
        """
        features = lpips_features(lpips, device) if lpips else None
        generator, discriminator = load_gan(gan, device, class_index)
        for network in (generator, discriminator):
            network.eval().requires_grad_(False)
        judge = discriminator if read_gan(gan).has_discriminator else None
        if judge and not features:
            features = discriminator_features(judge)
        samples = draw_samples(generator, judge, seed, device)
        domain = Domain.of(samples.look) if judge else None
        return cls(generator, judge, features, samples, domain, config, device)

    @property
    def size(self) -> int:
        """The side of the squares in pixels."""
        return self.generator.img_resolution

    @property
    def batch(self) -> int:
        """Photos at once, where nobody says."""
        return default_batch(self.size, self.device.type)

    def fit(self, photos: Pixels, inside: npt.NDArray[np.bool_], on_gap: OnGap = lambda step, gap: None) -> Fitted:
        """Photos uint8 [N, R, R, 3]; inside [N, R, R], False in the bars of a letterbox.

        What of a photo lies in the bars of a rectangular GAN is not looked at either.
        """
        if (bars := outside(self.generator, self.size)) is not None:
            inside = inside & ~bars.numpy()
        target = send(torch.from_numpy(photos), self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        mask = send(torch.from_numpy(inside), self.device)[:, None]
        inversion = invert(
            self.generator, target, self.samples, self.features, self.config, inside=mask,
            on_step=_now_and_then(on_gap, self.config.steps),
        )  # fmt: skip
        images = self._draw(inversion)
        errors = _errors(images, photos, inside)
        return Fitted(inversion, images, errors, self._distances(target))

    @torch.no_grad()
    def _draw(self, inversion: Inversion) -> Pixels:
        with inversion.drawn_by(self.generator):
            return to_uint8(self.generator.synthesis(inversion.ws)).cpu().numpy()

    def _distances(self, target: Tensor) -> npt.NDArray[np.float32] | None:
        if self.domain is None:
            return None
        return self.domain.distance_of(look_at(target, self.discriminator)).cpu().numpy()


def _now_and_then(on_gap: OnGap, steps: int) -> OnStep:
    """Called at each step, it reads the first distance, every tenth and the last."""
    read = math.nan

    def on_step(step: int, gap: Tensor) -> None:
        nonlocal read
        if step == 1 or step % GAP_STEPS == 0 or step == steps:
            read = float(gap.mean())
        on_gap(step, read)

    return on_step


def _errors(images: Pixels, photos: Pixels, inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    squares = np.square(images.astype(np.float32) - photos).mean(axis=3) * inside
    return np.sqrt(squares.sum(axis=(1, 2)) / inside.sum(axis=(1, 2)))
