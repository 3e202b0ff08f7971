"""What decides the shape of a StyleGAN2; it travels in the checkpoint. Needs no PyTorch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gseg_runtime.errors import ConfigError

ARCHITECTURES = ("skip", "orig", "resnet")
MAX_RESOLUTION = 4096


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Where a discriminator is not decided by its generator's config."""

    architecture: str = "resnet"
    channel_base: int | None = None  # None: the generator's; so is channel_max
    channel_max: int | None = None
    conv_clamp: float | None = None
    cmap_dim: int | None = None  # width of an embedded class; None: as many as channels at 4 x 4
    mapping_layers: int = 8  # of an embedded class
    mapping_lr_multiplier: float = 0.01
    mbstd_group_size: int | None = 4  # None: the whole batch
    mbstd_num_channels: int = 1

    def __post_init__(self) -> None:
        _check_choice("discriminator architecture", self.architecture, ARCHITECTURES)


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config:
    """Everything that decides the shape of the networks. discriminator: also taken as a mapping, as JSON has it."""

    img_resolution: int = 64
    img_channels: int = 3  # or 1: grey, which the rest of gseg sees as three equal colours
    z_dim: int = 128
    w_dim: int = 128
    c_dim: int = 0  # classes of a conditional GAN, 0 for none
    mapping_layers: int = 2
    mapping_lr_multiplier: float = 0.01
    channel_base: int = 2048  # a layer at resolution r has min(channel_base / r, channel_max) channels
    channel_max: int = 128
    architecture: str = "skip"
    conv_clamp: float | None = None  # activations and colours are clamped to +-this
    use_noise: bool = True
    num_lowp_res: int | None = None  # how many of the highest resolutions a lowered precision is for; None: all
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        r = self.img_resolution
        if not 8 <= r <= MAX_RESOLUTION or r & (r - 1):
            raise ConfigError(
                f"img_resolution: expected a power of two, 8 or more, got {r}",
                f"{MAX_RESOLUTION} is the most" if r > 8 else None,
            )
        _check_choice("img_channels", self.img_channels, (1, 3))
        _check_choice("architecture", self.architecture, ARCHITECTURES)
        if isinstance(self.discriminator, Mapping):
            object.__setattr__(self, "discriminator", DiscriminatorConfig(**self.discriminator))

    def channels(self, resolution: int) -> int:
        return min(self.channel_base // resolution, self.channel_max)

    def channels_of_discriminator(self, resolution: int) -> int:
        d = self.discriminator
        return min((d.channel_base or self.channel_base) // resolution, d.channel_max or self.channel_max)

    @property
    def resolutions(self) -> list[int]:
        return [2**i for i in range(2, int(math.log2(self.img_resolution)) + 1)]

    @property
    def feature_layers(self) -> list[tuple[int, int]]:
        """Channels and resolution of every layer whose activations are the representation, coarse to fine."""
        return [(self.channels(r), r) for r in self.resolutions for _ in range(1 if r == 4 else 2)]


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name}: expected one of {', '.join(map(str, choices))}, got {value!r}")
