"""Training a GAN: the loop of StyleGAN2 (Karras et al. 2020) with lazy regularisation and an averaged generator.

Every random number of a step follows from (seed, step), so a resumed run takes the very steps of an uninterrupted one.
"""

import copy
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gseg_cli.checkpoint import load_checkpoint, parent_of, save_checkpoint
from gseg_cli.device import cpu_has_bf16
from gseg_cli.gan import loss as losses
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.grow import load_start
from gseg_cli.gan.networks import GanModule, make_config, make_networks, save_gan
from gseg_cli.runs import Run
from gseg_cli.seeding import seed_step, z_for_seeds
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.errors import ConfigError, GsegError

STATE = "state.safetensors"
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass(frozen=True, kw_only=True)
class GanTrainConfig:
    """Defaults are for 64 px on a CPU; lengths are in thousands of real images shown (kimg).

    batch, lr and r1_gamma were chosen by eye, from one run each on toy faces: with these values the samples had hair
    and faces at 21 kimg; with batch 16, lr 0.002 and gamma 0.5 they were rings around a blob at 22 kimg. The three
    were changed together, so which of them mattered is not known. NVIDIA's rule of thumb for gamma,
    0.0002 * resolution^2 / batch, says 0.1; it was not tried.
    """

    arch: str = "stylegan2"
    resolution: int = 64
    channel_base: int = 2048
    channel_max: int = 128
    z_dim: int = 128
    mapping_layers: int = 2
    kimg: float = 200.0
    batch: int = 8
    lr: float = 0.0025
    r1_gamma: float = 1.0
    r1_interval: int = 16  # steps between R1 penalties
    pl_weight: float = 0.0  # path length; off, as for NVIDIA's smallest configurations: a quarter more time
    pl_interval: int = 4
    style_mixing: float = 0.9
    ema_kimg: float = 5.0  # half-life of the weight average
    ema_rampup: float = 0.05  # at most this share of the images shown so far
    mirror: bool = True
    precision: str = "auto"  # auto | fp32 | bf16
    seed: int = 0
    snapshot_minutes: float = 5.0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ConfigError(f"precision: expected one of {', '.join(PRECISIONS)}, got {self.precision!r}")
        make_config(self.arch, self.network())  # raises before anything is read or written

    def network(self) -> dict[str, Any]:
        """The arguments of the generator's own config."""
        names = {"img_resolution": self.resolution, "channel_base": self.channel_base, "channel_max": self.channel_max}
        mapping = {"w_dim": self.z_dim, "mapping_layers": self.mapping_layers} if self.arch == "stylegan2" else {}
        return {**names, "z_dim": self.z_dim, **mapping}

    def like(self, generator: GanModule) -> "GanTrainConfig":
        """The same training, of networks as wide and deep as this one."""
        names = ("channel_base", "channel_max", "z_dim", "mapping_layers")
        given = {name: getattr(generator.config, name) for name in names if hasattr(generator.config, name)}
        return replace(self, arch=generator.kind, **given)


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """auto: bfloat16 where the processor has it."""
    has_bf16 = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bf16()
    return torch.bfloat16 if precision == "bf16" or (precision == "auto" and has_bf16) else torch.float32


class GanTrainer:
    """Networks, optimisers and the average; `step` shows the discriminator one batch of reals."""

    def __init__(self, config: GanTrainConfig, images: Tensor, device: torch.device, init_from: Path | None = None):
        self.config, self.images, self.device = config, images, device
        seed_step(config.seed, 0)
        if init_from:
            self.G, self.D = load_start(init_from, images.shape[-1])
        else:
            self.G, self.D = make_networks(config.arch, make_config(config.arch, config.network()))
        for net in (self.G, self.D):
            net.train().requires_grad_(True).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.G_ema = copy.deepcopy(self.G).eval().requires_grad_(False)
        self.G.compute_dtype = self.D.compute_dtype = pick_dtype(config.precision, device)  # type: ignore[assignment]
        self.G.random_noise = True
        self.opt_G = _adam(self.G, config, config.pl_interval if config.pl_weight else None)
        self.opt_D = _adam(self.D, config, config.r1_interval if config.r1_gamma else None)
        self.pl_mean = torch.zeros([], device=device)
        self.num_steps = 0

    @property
    def num_images(self) -> int:
        return self.num_steps * self.config.batch

    def step(self) -> dict[str, Tensor]:
        """One update of D and of G, and the regularisers when they are due; returns losses, not yet synchronised."""
        self.num_steps += 1
        seed_step(self.config.seed, self.num_steps)
        real = self._reals()
        stats = self._train_discriminator(real) | self._train_generator()
        if self.config.r1_gamma and self.num_steps % self.config.r1_interval == 0:
            stats |= self._regularize_discriminator(real)
        if self.config.pl_weight and self.num_steps % self.config.pl_interval == 0:
            stats |= self._regularize_generator()
        self._average()
        return stats

    def _reals(self) -> Tensor:
        real = self.images[torch.randint(len(self.images), [self.config.batch])]
        if self.config.mirror:
            real = torch.where(torch.rand(len(real), 1, 1, 1) < 0.5, real.flip(3), real)
        if self.device.type == "cuda":
            real = real.pin_memory()  # only from pinned memory does the copy run beside the computation
        return real.to(self.device, non_blocking=True).float() / 127.5 - 1

    def _latents(self, n: int) -> Tensor:
        z = torch.randn(2, n, self.G.z_dim).to(self.device)
        ws = self.G.mapping(z[0])
        self.G.track(ws)
        return losses.mix_styles(ws, self.G.mapping(z[1]), self.config.style_mixing)

    def _train_discriminator(self, real: Tensor) -> dict[str, Tensor]:
        with torch.no_grad():
            fake = self.G.synthesis(self._latents(len(real)))
        real_logits = self.D(real)
        value = losses.discriminator_loss(real_logits, self.D(fake))
        _update(self.opt_D, value)
        return {"loss_D": value.detach(), "real_sign": real_logits.detach().sign().mean()}

    def _train_generator(self) -> dict[str, Tensor]:
        self.D.requires_grad_(False)
        value = losses.generator_loss(self.D(self.G.synthesis(self._latents(self.config.batch))))
        _update(self.opt_G, value)
        self.D.requires_grad_(True)
        return {"loss_G": value.detach()}

    def _regularize_discriminator(self, real: Tensor) -> dict[str, Tensor]:
        r1 = losses.r1_penalty(self.D, real)
        _update(self.opt_D, r1 * (self.config.r1_gamma / 2 * self.config.r1_interval))
        return {"r1": r1.detach()}

    def _regularize_generator(self) -> dict[str, Tensor]:
        ws = self._latents(max(self.config.batch // 2, 1))
        penalty = losses.path_length_penalty(self.G, ws, self.pl_mean)
        _update(self.opt_G, penalty * (self.config.pl_weight * self.config.pl_interval))
        return {"path_length": self.pl_mean.clone()}

    @torch.no_grad()
    def _average(self) -> None:
        half_life = min(self.config.ema_kimg * 1000, self.num_images * self.config.ema_rampup)
        beta = 0.5 ** (self.config.batch / max(half_life, 1e-8))
        for average, p in zip(self.G_ema.parameters(), self.G.parameters(), strict=True):
            average.lerp_(p, 1 - beta)
        for copied, b in zip(self.G_ema.buffers(), self.G.buffers(), strict=True):
            copied.copy_(b)

    # Saving and resuming: everything a step depends on, as flat tensors.
    def state(self) -> dict[str, Tensor]:
        tensors = {"pl_mean": self.pl_mean, "num_steps": torch.tensor(self.num_steps)}
        for name, net in self._networks().items():
            tensors |= {f"{name}.{k}": v for k, v in net.state_dict().items()}
        for name, opt in (("opt_G", self.opt_G), ("opt_D", self.opt_D)):
            for i, moments in opt.state_dict()["state"].items():
                tensors |= {f"{name}.{i}.{k}": v for k, v in moments.items()}
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.num_steps = int(tensors["num_steps"])
        self.pl_mean.copy_(tensors["pl_mean"])
        for name, net in self._networks().items():
            prefix = name + "."
            net.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})
        for name, opt in (("opt_G", self.opt_G), ("opt_D", self.opt_D)):
            state = _moments(opt, name + ".", tensors)
            opt.load_state_dict({"state": state, "param_groups": opt.state_dict()["param_groups"]})

    def _networks(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D, "G_ema": self.G_ema}


def _adam(net: GanModule | nn.Module, config: GanTrainConfig, interval: int | None) -> torch.optim.Adam:
    """Lazy regularisation takes an extra step every `interval`; lr and betas are corrected for it (appendix B)."""
    ratio = interval / (interval + 1) if interval else 1.0
    return torch.optim.Adam(net.parameters(), lr=config.lr * ratio, betas=(0.0, 0.99**ratio), eps=1e-8, fused=True)


def _moments(optimizer: torch.optim.Adam, prefix: str, tensors: dict[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state among flat tensors, each moment in the memory order of its parameter.

    Fused Adam walks the two side by side in memory: of other strides, it would move the wrong weights.
    """
    parameters = optimizer.param_groups[0]["params"]
    state: dict[int, dict[str, Tensor]] = {i: {} for i in range(len(parameters))}
    for key, value in tensors.items():
        if key.startswith(prefix):
            i, name = key.removeprefix(prefix).split(".")
            is_moment = name != "step"
            state[int(i)][name] = torch.empty_like(parameters[int(i)]).copy_(value) if is_moment else value
    return {i: moments for i, moments in state.items() if moments}


def _update(optimizer: torch.optim.Optimizer, value: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    optimizer.step()


def train_gan(
    images: Tensor,
    config: GanTrainConfig,
    run: Run,
    device: torch.device,
    *,
    init_from: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    on_step: OnStep = ignore_step,
) -> Path:
    """Train until config.kimg thousand images or `minutes` have passed; the checkpoint's path.

    images: uint8 [N, 3, R, R]. Writes a checkpoint, a state to resume from and a grid of samples every
    config.snapshot_minutes and at the end. Raises GsegError when a loss is no longer finite.
    """
    trainer = GanTrainer(config, images, device, init_from)
    if resume:
        trainer.load_state(load_checkpoint(run.dir / STATE, "gan-state")[0])
    meta = {
        "trained": {**asdict(config), "num_photos": len(images)},
        "parents": [parent_of(init_from, trainer.G.kind)] if init_from else [],
    }
    start_s = snapshot_s = time.monotonic()
    while trainer.num_images < config.kimg * 1000:
        stats = trainer.step()
        if trainer.num_steps % 20 == 0 or trainer.num_images >= config.kimg * 1000:
            _report(trainer, stats, run, on_step)
        if time.monotonic() - snapshot_s > config.snapshot_minutes * 60:
            _snapshot(trainer, run, meta)
            snapshot_s = time.monotonic()
        if minutes is not None and time.monotonic() - start_s > minutes * 60:
            break
    return _snapshot(trainer, run, meta)


def _report(trainer: GanTrainer, stats: dict[str, Tensor], run: Run, on_step: OnStep) -> None:
    values = {k: float(v) for k, v in stats.items()}
    if not all(np.isfinite(v) for v in values.values()):
        raise _diverged(trainer, str(values))
    run.metric(trainer.num_images, **values)
    on_step(Step(trainer.num_images, int(trainer.config.kimg * 1000), values))


def _diverged(trainer: GanTrainer, what: str) -> GsegError:
    return GsegError(
        f"training diverged after {trainer.num_images} images: {what}",
        hint="lower --lr, raise --r1-gamma, or use --precision fp32; the last snapshot is kept",
    )


def _snapshot(trainer: GanTrainer, run: Run, meta: dict[str, Any]) -> Path:
    state = trainer.state()
    if not all(bool(tensor.isfinite().all()) for tensor in state.values()):  # the loss shows it a step later
        raise _diverged(trainer, "its weights are no longer finite")
    save_gan(run.checkpoint, trainer.G_ema, trainer.D, {**meta, "num_images": trainer.num_images})
    save_checkpoint(run.dir / STATE, state, {"kind": "gan-state"})
    run.preview(f"fakes-{trainer.num_images:08d}", sample_grid(trainer.G_ema, trainer.device))
    return run.checkpoint


@torch.no_grad()
def sample_grid(generator: GanModule, device: torch.device, rows: int = 6, columns: int = 10) -> np.ndarray:
    """The first seeds without truncation, as one picture uint8 [rows * R, columns * R, 3]."""
    z = z_for_seeds(range(rows * columns), generator.z_dim).to(device)
    images = to_uint8(generator.synthesis(generator.mapping(z)))
    r = generator.img_resolution
    grid = images.reshape(rows, columns, r, r, 3).permute(0, 2, 1, 3, 4)
    return grid.reshape(rows * r, columns * r, 3).cpu().numpy()
