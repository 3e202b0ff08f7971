"""Where the latents of a GAN lie: what keeps an optimised latent among those its mapping network makes."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gseg_cli.gan.generator import Generator
from gseg_cli.seeding import z_for_seeds

NUM_LATENTS = 4096
_FLOOR = 1e-3  # of the largest variance: directions that no latent goes in count as narrow, not as forbidden


@dataclass(frozen=True)
class LatentSpace:
    """The principal axes of the mapped latents. mean [W]; whitening [W, W], its columns are axes over deviations."""

    mean: Tensor
    whitening: Tensor

    @classmethod
    def of(cls, generator: Generator, seed: int, device: torch.device) -> "LatentSpace":
        ws = generator.mapping(z_for_seeds(range(seed, seed + NUM_LATENTS), generator.z_dim).to(device))[:, 0]
        variances, axes = torch.linalg.eigh(torch.cov(ws.T))
        return cls(ws.mean(dim=0), axes * variances.clamp_min(_FLOOR * variances.max()).rsqrt())

    def distance(self, ws: Tensor) -> Tensor:
        """The mean squared coordinate of latents [N, L, W] along the axes, in deviations: [N], about 1 for samples."""
        return ((ws - self.mean) @ self.whitening).square().mean(dim=[1, 2])
