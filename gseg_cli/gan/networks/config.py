"""What decides the shape of a GAN's networks; it travels in the checkpoint. Needs no PyTorch."""

import math
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args

from gseg_runtime.errors import ConfigError

Architecture = Literal["skip", "orig", "resnet"]
MAX_RESOLUTION = 4096
MAX_WIDTH = 16384
MAX_FIRST = 64  # pixels
MAX_BASE = MAX_WIDTH * MAX_RESOLUTION
# Least and most of the whole numbers. Beyond them a file is broken, or made to cost time and memory.
_LIMITS = {
    "z_dim": (1, MAX_WIDTH),
    "w_dim": (1, MAX_WIDTH),
    "c_dim": (0, MAX_WIDTH),
    "cmap_dim": (1, MAX_WIDTH),
    "mapping_layers": (1, 100),
    "channel_base": (1, MAX_BASE),
    "channel_max": (1, MAX_WIDTH),
    "num_lowp_res": (0, MAX_RESOLUTION),
    "mbstd_group_size": (1, 2**31),
    "mbstd_num_channels": (0, MAX_WIDTH),
    "num_layers": (2, 100),
    "num_critical": (1, 99),
    "margin_size": (0, 256),
}
_POSITIVE = (
    "conv_clamp", "mapping_lr_multiplier", "output_scale", "first_cutoff", "first_stopband", "last_stopband_rel",
)  # fmt: skip
LRELU_UPSAMPLING = 2  # of StyleGAN3: how much finer than its signals the leaky ReLU is computed


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Where a discriminator is not decided by its generator's config."""

    architecture: Architecture = "resnet"
    channel_base: int | None = None  # None: the generator's; so is channel_max
    channel_max: int | None = None
    conv_clamp: float | None = None
    cmap_dim: int | None = None  # width of an embedded class; None: as many as channels at 4 x 4
    mapping_layers: int = 8  # of an embedded class
    mapping_lr_multiplier: float = 0.01
    mbstd_group_size: int | None = 4  # None: the whole batch
    mbstd_num_channels: int = 1

    def __post_init__(self) -> None:
        _check_choice("discriminator architecture", self.architecture, get_args(Architecture))
        _check_numbers(self)


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config:
    """Everything that decides the shape of the networks. discriminator: also taken as a mapping, as JSON has it."""

    img_resolution: int = 64  # the longer side
    first_layer: tuple[int, int] = (4, 4)  # height and width of the constant; others make rectangular pictures
    img_channels: int = 3  # or 1: grey, which the rest of gseg sees as three equal colours; 2 and 4: with alpha
    z_dim: int = 128
    w_dim: int = 128
    c_dim: int = 0  # classes of a conditional GAN, 0 for none
    mapping_layers: int = 2
    mapping_lr_multiplier: float = 0.01
    channel_base: int = 2048  # a layer at resolution r has min(channel_base / r, channel_max) channels
    channel_max: int = 128
    architecture: Architecture = "skip"
    conv_clamp: float | None = None  # activations and colours are clamped to +-this
    use_noise: bool = True
    num_lowp_res: int | None = None  # how many of the highest resolutions a lowered precision is for; None: all
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        self._check_size()
        _check_choice("img_channels", self.img_channels, (1, 2, 3, 4))
        _check_choice("architecture", self.architecture, get_args(Architecture))
        _check_choice("use_noise", self.use_noise, (True, False))
        _check_numbers(self)
        if isinstance(self.discriminator, Mapping):
            object.__setattr__(self, "discriminator", DiscriminatorConfig(**self.discriminator))
        if not isinstance(self.discriminator, DiscriminatorConfig):
            raise ConfigError(f"discriminator: expected a table, got {reprlib.repr(self.discriminator)}")
        r = self.resolutions[-1]
        if min(self.channels(r), self.channels_of_discriminator(r)) < 1:
            raise ConfigError(f"channel_base: expected {r}, the resolution, or more, got {self.channel_base}")

    def _check_size(self) -> None:
        """ConfigError when doubling the constant does not come to the resolution."""
        first, r = self.first_layer, self.img_resolution
        pair = tuple(first) if isinstance(first, list | tuple) else ()
        if len(pair) != 2 or not all(type(side) is int and 1 <= side <= MAX_FIRST for side in pair):
            raise ConfigError(f"first_layer: expected height and width up to {MAX_FIRST}, got {reprlib.repr(first)}")
        object.__setattr__(self, "first_layer", pair)
        times, rest = divmod(r, max(pair)) if type(r) is int else (0, 1)
        if rest or times < 2 or times & (times - 1) or r > MAX_RESOLUTION:
            expected = "a power of two, 8 or more" if pair == (4, 4) else f"{max(pair)} times 2, 4, 8 ..."
            got = f"img_resolution: expected {expected}, got {reprlib.repr(r)}"
            raise ConfigError(f"{got}; {MAX_RESOLUTION} is the most")

    def size_at(self, resolution: int) -> tuple[int, int]:
        """Height and width of the layers of a block."""
        height, width = self.first_layer
        return height * resolution // 4, width * resolution // 4

    def channels(self, resolution: int) -> int:
        return min(self.channel_base // resolution, self.channel_max)

    def channels_of_discriminator(self, resolution: int) -> int:
        d = self.discriminator
        return min((d.channel_base or self.channel_base) // resolution, d.channel_max or self.channel_max)

    @property
    def resolutions(self) -> list[int]:
        """The names of the blocks, 4, 8 ...; of a square picture also their sizes."""
        return [4 * 2**i for i in range(int(math.log2(self.img_resolution // max(self.first_layer))) + 1)]

    @property
    def feature_layers(self) -> list[tuple[int, int]]:
        """Channels and longer side of every layer whose activations are the representation, coarse to fine."""
        return [(self.channels(r), max(self.size_at(r))) for r in self.resolutions for _ in range(1 if r == 4 else 2)]


@dataclass(frozen=True, kw_only=True)
class StyleGAN3Config:
    """Everything that decides the networks of a StyleGAN3: by default configuration T; R has conv_kernel 1,
    use_radial_filters, and twice the channels. Its discriminator is StyleGAN2's.
    """

    img_resolution: int = 64
    img_channels: int = 3  # or 1: grey
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    mapping_layers: int = 2
    mapping_lr_multiplier: float = 0.01
    channel_base: int = 32768  # a layer of cutoff f has min(channel_base / 2f, channel_max) channels
    channel_max: int = 512
    num_layers: int = 14  # without the colours
    num_critical: int = 2  # of the last layers, sampled as coarsely as their cutoff allows
    first_cutoff: float = 2.0  # cycles per side of the picture; the last is that of the picture's pixels
    first_stopband: float = 2**2.1
    last_stopband_rel: float = 2**0.3  # to the last cutoff
    margin_size: int = 10  # samples beside the picture, on each side
    conv_kernel: int = 3
    filter_size: int = 6  # taps for each sample of the coarser signal
    use_radial_filters: bool = False
    conv_clamp: float | None = 256.0
    output_scale: float = 0.25
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def __post_init__(self) -> None:
        _check_numbers(self)
        judged = self.of_discriminator()  # refuses what both have in common
        object.__setattr__(self, "discriminator", judged.discriminator)
        _check_choice("img_channels", self.img_channels, (1, 3))
        _check_choice("conv_kernel", self.conv_kernel, (1, 3))
        _check_choice("filter_size", self.filter_size, tuple(range(2, 65, 2)))
        _check_choice("use_radial_filters", self.use_radial_filters, (True, False))
        if self.num_critical >= self.num_layers:
            raise ConfigError(f"num_critical: expected less than num_layers {self.num_layers}, got {self.num_critical}")
        last_cutoff = self.img_resolution / 2
        rising = [1, self.first_cutoff, self.first_stopband, last_cutoff, last_cutoff * self.last_stopband_rel]
        if sorted(set(rising)) != rising or rising[-1] > self.img_resolution:
            got = ", ".join(f"{f:g}" for f in rising[1:])
            raise ConfigError(f"expected first cutoff and stopband, last cutoff and stopband that rise, got {got}")

    def of_discriminator(self) -> StyleGAN2Config:
        """What `Discriminator` takes."""
        names = ("img_resolution", "img_channels", "c_dim", "channel_base", "channel_max", "discriminator")
        return StyleGAN2Config(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True, kw_only=True)
class DCGANConfig:
    """ConfigError for a resolution that doubling 4 pixels does not come to."""

    img_resolution: int = 32
    z_dim: int = 64
    channel_base: int = 1024  # a layer at resolution r has min(channel_base / r, channel_max) channels
    channel_max: int = 128

    def __post_init__(self) -> None:
        if self.img_resolution < 8 or self.img_resolution & (self.img_resolution - 1):
            raise ConfigError(f"img_resolution: expected a power of two, 8 or more, got {self.img_resolution}")

    def channels(self, resolution: int) -> int:
        return min(self.channel_base // resolution, self.channel_max)

    @property
    def widths(self) -> list[int]:
        """Channels at 4, 8, ... R."""
        r, out = 4, []
        while r <= self.img_resolution:
            out.append(self.channels(r))
            r *= 2
        return out


GanConfig = StyleGAN2Config | StyleGAN3Config | DCGANConfig
CONFIGS: dict[str, type[StyleGAN2Config] | type[StyleGAN3Config] | type[DCGANConfig]] = {
    "stylegan2": StyleGAN2Config,
    "stylegan3": StyleGAN3Config,
    "dcgan": DCGANConfig,
}


def make_config(arch: str, values: Mapping[str, Any]) -> GanConfig:
    """ConfigError for an unknown architecture, or a resolution it cannot have."""
    if arch not in CONFIGS:
        raise ConfigError(f"arch: expected one of {', '.join(CONFIGS)}, got {arch!r}")
    return CONFIGS[arch](**values)


def _check_choice(name: str, value: Any, choices: tuple[Any, ...]) -> None:
    if value not in choices:
        raise ConfigError(f"{name}: expected one of {', '.join(map(str, choices))}, got {reprlib.repr(value)}")


def _check_numbers(config: Any) -> None:
    """ConfigError for a number that no network has. None is allowed where it is the default."""
    for each in fields(config):
        name, value = each.name, getattr(config, each.name)
        if value is None and each.default is None:
            continue
        least, most = _LIMITS.get(name, (0, 0))
        if name in _LIMITS and (type(value) is not int or not least <= value <= most):
            raise ConfigError(f"{name}: expected a whole number from {least} to {most}, got {reprlib.repr(value)}")
        if name in _POSITIVE and (type(value) not in (int, float) or not value > 0):
            raise ConfigError(f"{name}: expected a number above 0, got {reprlib.repr(value)}")
