"""The StyleGAN2 objectives: non-saturating logistic loss, R1 and path length (Karras et al. 2020, section 3)."""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.gan.load import GanModule
from gseg_cli.gan.transparency import draw


def generator_loss(fake_logits: Tensor) -> Tensor:
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    return F.softplus(fake_logits).mean() + F.softplus(-real_logits).mean()


def r1_penalty(discriminator: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Mean squared norm of the gradient of D at real images [N, 3, R, R]."""
    real = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    return gradient.float().square().sum(dim=[1, 2, 3]).mean()


def path_length_penalty(generator: GanModule, ws: Tensor, mean: Tensor, decay: float = 0.01) -> tuple[Tensor, Tensor]:
    """Squared deviation of the image's sensitivity to w from its running mean []; and that mean, moved on."""
    image = draw(generator, ws)
    noise = torch.randn_like(image) / math.sqrt(image.shape[2] * image.shape[3])
    (gradient,) = torch.autograd.grad((image * noise).sum(), ws, create_graph=True)
    lengths = gradient.float().square().sum(dim=2).mean(dim=1).sqrt()  # [N]
    mean = mean.lerp(lengths.mean().detach(), decay)
    return (lengths - mean).square().mean(), mean


def draw_kept(num_ws: int, probability: float) -> Tensor:
    """bool [1, L, 1], on the CPU: the layers before a random crossover with this probability, otherwise all."""
    is_mixed = torch.rand([]) < probability
    cutoff = int(torch.randint(1, num_ws, [])) if is_mixed else num_ws
    return (torch.arange(num_ws) < cutoff)[None, :, None]


def mix_styles(ws: Tensor, other: Tensor, kept: Tensor) -> Tensor:
    """The layers that are not `kept`, bool [1, L, 1], from another latent: both [N, L, W]."""
    return torch.where(kept, ws, other)
