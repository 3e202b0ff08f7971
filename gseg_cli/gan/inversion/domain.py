"""Is a photo of the kind that the GAN draws? One pass through the GAN's own discriminator tells.

The discriminator's features of generated samples are taken as normally distributed (Lee et al. 2018, *A Simple Unified
Framework for Detecting Out-of-Distribution Samples*), which gives each picture a distance. A discriminator's logit
estimates log p(real) - log p(generated), so it corrects that distance for what photos have and the GAN lacks. Both
are counted in deviations of samples that had no part in the fit; nothing else is tuned, and no photo is needed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gseg_cli.gan.inversion.drawn_samples import Look

_HELD_OUT = 6  # one sample in so many calibrates, the others fit
_SHRINK = 0.1  # added to the variances of standardised features
LIMIT = 2.7  # deviations; of a normal distribution one in 300 lies beyond


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution of vectors [D], all directions outside its axes being of variance _SHRINK."""

    mean: Tensor
    std: Tensor
    axes: Tensor  # [D, K]
    variances: Tensor  # [K]

    @classmethod
    def of(cls, x: Tensor) -> "Gaussian":
        """Of fewer vectors [N, D] than dimensions, usually: the axes come from the products between vectors."""
        mean, std = x.mean(dim=0), x.std(dim=0) + 1e-6
        z = (x - mean) / std
        variances, vectors = torch.linalg.eigh(z @ z.T / len(z))
        kept = variances > 1e-5 * variances.max()
        axes = z.T @ vectors[:, kept]
        return cls(mean, std, axes / axes.norm(dim=0), variances[kept])

    def distance(self, x: Tensor) -> Tensor:
        """Mahalanobis' distance [N] of vectors [N, D], per dimension."""
        z = (x - self.mean) / self.std
        along = (z @ self.axes).square()
        beside = (z.square().sum(dim=1) - along.sum(dim=1)).clamp_min(0)
        return (((along / (self.variances + _SHRINK)).sum(dim=1) + beside / _SHRINK) / x.shape[1]).sqrt()


@dataclass(frozen=True)
class Standard:
    """Counts a figure in deviations of held-out samples from their mean."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, x: Tensor) -> "Standard":
        return cls(x.mean(), x.std() + 1e-6)

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


@dataclass(frozen=True)
class Domain:
    """What a GAN draws, and how far from that a picture may be."""

    gaussians: tuple[Gaussian, ...]  # one per block of the discriminator
    standards: tuple[Standard, ...]  # of their distances
    distance: Standard  # of the mean of these
    logit: Standard
    total: Standard

    @classmethod
    def of(cls, samples: Look) -> "Domain":
        """samples: the `look` of `draw_samples`, by a discriminator; without one a photo cannot be told from others."""
        n = len(samples.thumbnails) * (_HELD_OUT - 1) // _HELD_OUT
        held_out = samples[n:]
        gaussians = tuple(Gaussian.of(x) for x in samples[:n].features)
        distances = [g.distance(x) for g, x in zip(gaussians, held_out.features, strict=True)]
        standards = tuple(Standard.of(d) for d in distances)
        mean = torch.stack([s(d) for s, d in zip(standards, distances, strict=True)]).mean(dim=0)
        distance, logit = Standard.of(mean), Standard.of(held_out.logits)
        return cls(gaussians, standards, distance, logit, Standard.of(distance(mean) - logit(held_out.logits)))

    def distance_of(self, photos: Look) -> Tensor:
        """How far photos are from what the GAN draws [N]: samples are about 0, and 1 is the limit."""
        parts = zip(self.gaussians, self.standards, photos.features, strict=True)
        mean = torch.stack([standard(gaussian.distance(x)) for gaussian, standard, x in parts]).mean(dim=0)
        return self.total(self.distance(mean) - self.logit(photos.logits)) / LIMIT
