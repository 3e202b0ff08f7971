"""The networks and losses of stylegan2-ada-pytorch in a minimal training loop, to measure ours against.

Without data loading, statistics and distribution. Their custom operations are left out: everything is plain PyTorch, on
CPUs and GPUs. Needs a checkout of github.com/NVlabs/stylegan2-ada-pytorch, and `requests`, which it imports.
"""

import copy
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gseg_cli.gan.training.config import CLAMP, NUM_FP16_RES, GanTrainConfig


class _Bfloat16:
    """The torch module with bfloat16 for float16."""

    def __getattr__(self, name: str) -> Any:
        return torch.bfloat16 if name == "float16" else getattr(torch, name)


def add_checkout(path: Path) -> None:
    """Make the checkout importable, and keep it from compiling its operations."""
    sys.path.insert(0, str(path))
    warnings.simplefilter("ignore")  # of code written for PyTorch 1.7
    from torch_utils.ops import bias_act, upfirdn2d

    bias_act._init = upfirdn2d._init = lambda: False


class TheirTrainer:
    """`step` takes one step of the training that a `GanTrainConfig` describes, augmentation apart.

    images: uint8 [N, 3, R, R] on the CPU. precision fp16 is their mixed precision; bf16 is the same with bfloat16.
    """

    def __init__(self, config: GanTrainConfig, images: Tensor, device: torch.device) -> None:
        from training import networks
        from training.loss import StyleGAN2Loss

        networks.torch = _Bfloat16() if config.precision == "bf16" else torch
        self.config, self.images, self.device = config, images, device
        size = {"img_resolution": config.resolution, "img_channels": 3, "c_dim": 0}
        width: dict[str, Any] = {"channel_base": config.channel_base, "channel_max": config.channel_max}
        if config.precision != "fp32":
            width |= {"num_fp16_res": NUM_FP16_RES}
        if config.precision == "fp16":
            width |= {"conv_clamp": CLAMP}
        mapping = {"num_layers": config.mapping_layers}
        latents = {"z_dim": config.z_dim, "w_dim": config.z_dim}
        G = networks.Generator(**size, **latents, mapping_kwargs=mapping, synthesis_kwargs=width)
        D = networks.Discriminator(**size, **width, epilogue_kwargs={"mbstd_group_size": 4})
        self.G, self.D = (net.train().requires_grad_(False).to(device) for net in (G, D))
        self.G_ema = copy.deepcopy(self.G).eval()
        self.loss = StyleGAN2Loss(
            device, self.G.mapping, self.G.synthesis, self.D, r1_gamma=config.r1_gamma, pl_weight=config.pl_weight
        )
        self.opt_G = _adam(self.G, config.lr, config.pl_interval if config.pl_weight else None)
        self.opt_D = _adam(self.D, config.lr, config.r1_interval)
        self.num_steps = 0

    def step(self) -> None:
        """Both networks, and their regularisers when they are due, as in training_loop.py."""
        config = self.config
        self.num_steps += 1
        rows = torch.randint(len(self.images), [config.batch])
        real = self.images[rows].to(self.device).float() / 127.5 - 1
        self._phase("Gmain", self.G, self.opt_G, real, 1)
        if config.pl_weight and self.num_steps % config.pl_interval == 0:
            self._phase("Greg", self.G, self.opt_G, real, config.pl_interval)
        self._phase("Dmain", self.D, self.opt_D, real, 1)
        if self.num_steps % config.r1_interval == 0:
            self._phase("Dreg", self.D, self.opt_D, real, config.r1_interval)
        self._average()

    def _phase(
        self, name: str, net: torch.nn.Module, optimizer: torch.optim.Optimizer, real: Tensor, gain: float
    ) -> None:
        optimizer.zero_grad(set_to_none=True)
        net.requires_grad_(True)
        z, no_class = torch.randn(len(real), self.config.z_dim, device=self.device), real.new_zeros(len(real), 0)
        self.loss.accumulate_gradients(name, real, no_class, z, no_class, sync=True, gain=gain)
        net.requires_grad_(False)
        for p in net.parameters():
            if p.grad is not None:
                torch.nan_to_num(p.grad, nan=0, posinf=1e5, neginf=-1e5, out=p.grad)
        optimizer.step()

    @torch.no_grad()
    def _average(self) -> None:
        for averaged, p in zip(self.G_ema.parameters(), self.G.parameters(), strict=True):
            averaged.copy_(p.lerp(averaged, 0.998))
        for averaged, p in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
            averaged.copy_(p)


def _adam(net: torch.nn.Module, lr: float, interval: int | None) -> torch.optim.Adam:
    ratio = interval / (interval + 1) if interval else 1.0
    return torch.optim.Adam(net.parameters(), lr=lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8)
