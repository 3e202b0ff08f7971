"""Photos to latents, by optimisation: which latent makes the GAN draw this photo?

Adam with rosinality's ramps (github.com/rosinality/stylegan2-pytorch, projector.py), started from the most similar of
some hundred samples, and pulled towards the latents that the mapping network makes. Three spaces, each holding the
one before: `w`, one latent per image; `w+`, one per style input; `f`, `w+` and a change of the features at 8 x 8 (Kang,
Kim and Cho 2021, *GAN Inversion for Out-of-Range Images with Geometric Transformations*), for what no latent draws.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.drawn_samples import Sampled
from gseg_cli.gan.inversion.image_distance import Features, ImageDistance
from gseg_cli.gan.networks.noise_maps import NoiseMaps, copy_noise, renormalize, structure, with_noise
from gseg_runtime.errors import ConfigError

# Optimised at once; an image of 1024 px takes some 3 GB. With as little as suits a CPU, a GPU is idle.
MAX_PIXELS, GPU_PIXELS = 2**16, 2**21
MAX_BATCH = 16
_RAMP_UP, _RAMP_DOWN = 0.05, 0.25  # shares of the steps

OnStep = Callable[[int, Tensor], None]  # the step, from 1, and the distance of each image from its photo [N]


@dataclass(frozen=True)
class Inversion:
    """N photos as the GAN draws them: latents ws [N, L, W], noise maps, and the change of features in space f."""

    ws: Tensor
    noise: NoiseMaps
    offset: Tensor | None

    def detached(self) -> "Inversion":
        offset = None if self.offset is None else self.offset.detach()
        return Inversion(self.ws.detach(), {name: x.detach() for name, x in self.noise.items()}, offset)

    @contextmanager
    def drawn_by(self, generator: Any) -> Iterator[None]:
        """Inside, `generator.synthesis(self.ws)` and `generator.features(self.ws)` are of the inverted photos."""
        offset = self.offset
        hook = nullcontext() if offset is None else _hooked(generator, lambda x: x + offset)
        with with_noise(generator, self.noise), hook:
            yield


def default_batch(resolution: int, kind: str = "cpu") -> int:
    """Photos at once on a device of this kind. Not by its free memory: work that was begun is gone on with in kind."""
    return max(1, min(MAX_BATCH, (GPU_PIXELS if kind == "cuda" else MAX_PIXELS) // resolution**2))


def check_space(kind: str, space: str) -> None:
    """ConfigError for a space of other kinds of GANs. `invert` finds it too, when all samples are drawn."""
    if space == "f" and kind != "stylegan2":
        raise ConfigError(f"space: f is for StyleGAN2, this is a {kind}", "choose w+ or w")


def invert(
    generator: Any,
    photos: Tensor,
    samples: Sampled,
    features: Features | None,
    config: InvertConfig,
    *,
    inside: Tensor | None = None,
    on_step: OnStep = lambda step, gap: None,
) -> Inversion:
    """Photos [N, 3, R, R] in [-1, 1], each optimised for itself, whatever is beside it.

    generator: its parameters need no gradients. samples: of `draw_samples`. features: see ImageDistance. inside
    [N, 1, R, R] is True where the photo is; what lies beside it (the bars of a letterbox) counts for nothing.
    ConfigError for a space that the generator does not have.
    """
    inside = torch.ones_like(photos[:, :1], dtype=torch.bool) if inside is None else inside
    distance = ImageDistance(photos, features)
    search = _Search(generator, samples.nearest(photos), config)
    optimizer = search.optimizer()
    for step in range(config.steps):
        _set_rates(optimizer, step / config.steps)
        found = search.inversion()
        with found.drawn_by(generator):
            images = torch.where(inside, generator.synthesis(found.ws), photos)
        gap = distance(images)
        loss = gap + config.prior * samples.space.distance(search.latents) + search.penalty()
        optimizer.zero_grad(set_to_none=True)
        loss.sum().backward()
        optimizer.step()
        renormalize(search.noise)
        on_step(step + 1, gap.detach())
    return search.inversion().detached()


class _Search:
    """What is optimised: latents [N, 1 or L, W], noise maps, and the features' change, in their deviations."""

    def __init__(self, generator: Any, start: Tensor, config: InvertConfig) -> None:
        """start: latents [N, W]."""
        self.config, self.num_ws = config, generator.num_ws
        num_latents = 1 if config.space == "w" else generator.num_ws
        self.latents = start[:, None].repeat(1, num_latents, 1).requires_grad_()
        self.noise = copy_noise(generator, len(start)) if config.noise else {}
        for noise in self.noise.values():
            noise.requires_grad_()
        self.change: Tensor | None = None
        if config.space == "f":
            layer = _output_of_layer(generator, self._ws())
            self.deviation = layer.std(dim=[1, 2, 3], keepdim=True)
            self.change = torch.zeros_like(layer).requires_grad_()

    def _ws(self) -> Tensor:
        return self.latents.expand(-1, self.num_ws, -1)

    def inversion(self) -> Inversion:
        offset = None if self.change is None else self.change * self.deviation
        return Inversion(self._ws(), self.noise, offset)

    def penalty(self) -> Tensor | float:
        """[N]: noise that is none, and features that are far from what the latents make."""
        penalty = self.config.noise_weight * structure(self.noise)
        if self.change is not None:
            penalty = penalty + self.config.change_weight * self.change.square().mean(dim=[1, 2, 3])
        return penalty

    def optimizer(self) -> torch.optim.Optimizer:
        """Each group keeps the peak of its rate."""
        groups: list[dict[str, Any]] = [{"params": [self.latents, *self.noise.values()], "peak": self.config.lr}]
        if self.change is not None:
            groups.append({"params": [self.change], "peak": self.config.change_lr})
        return torch.optim.Adam(groups)


def _set_rates(optimizer: torch.optim.Optimizer, progress: float) -> None:
    """A linear start and a cosine end."""
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - progress) / _RAMP_DOWN))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * down * min(1.0, progress / _RAMP_UP)


@contextmanager
def _hooked(generator: Any, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Inside, the output of the last convolution at 8 x 8 is changed. ConfigError when there is none of StyleGAN2's."""
    try:
        layer = generator.get_submodule("synthesis_network.b8.conv1")
    except AttributeError as error:
        raise ConfigError(f"space: f is for StyleGAN2, this is a {generator.kind}", "choose w+ or w") from error
    handle = layer.register_forward_hook(lambda _layer, _inputs, x: change(x))
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def _output_of_layer(generator: Any, ws: Tensor) -> Tensor:
    seen: list[Tensor] = []

    def keep(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return x

    with _hooked(generator, keep):
        generator.synthesis(ws)
    return seen[0]
