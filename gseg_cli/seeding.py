"""One seed = one latent = one image, whatever the batch size or the device."""

from collections.abc import Sequence

import numpy as np
import torch


def z_for_seeds(seeds: Sequence[int], z_dim: int) -> torch.Tensor:
    """Latents float32 [N, z_dim] of the seeds, drawn one by one as NVIDIA's StyleGAN scripts draw them."""
    rows = [np.random.RandomState(seed).randn(1, z_dim) for seed in seeds]
    return torch.from_numpy(np.concatenate([np.zeros((0, z_dim)), *rows]).astype(np.float32))


def seed_step(seed: int, *step: int) -> None:
    """Seed all of torch's generators for one training step, or one part of it.

    A step's random numbers then depend on nothing that came before, which makes resumed training exact.
    """
    torch.manual_seed(int(np.random.SeedSequence([seed, *step]).generate_state(1, np.uint64)[0]))
