"""What each layer of a StyleGAN3 computes: sampling rates, cutoffs, sizes and filters.

All follows from the config (Karras et al. 2021, section 3.2). Frequencies are in cycles, rates in samples per side of
the picture; sizes in samples, those beside the picture (the margin) included. Needs no PyTorch.
"""

import math
from dataclasses import dataclass

from gseg_cli.gan.networks.config import LRELU_UPSAMPLING, StyleGAN3Config


@dataclass(frozen=True)
class Lowpass:
    """A filter; lowpass.py designs it."""

    taps: int  # an even number
    cutoff: float
    half_width: float  # of the transition band
    rate: int
    is_radial: bool = False


@dataclass(frozen=True)
class Signal:
    """What flows between two layers."""

    channels: int
    size: int
    rate: int
    cutoff: float
    half_width: float  # of the transition band

    @property
    def margin(self) -> int:
        """Samples on each side that lie beside the picture."""
        return (self.size - self.rate) // 2


@dataclass(frozen=True)
class LayerPlan:
    """up, down: factors of resampling before and after the nonlinearity, 1 without filters.

    trim: samples of the upsampled signal to leave out on each side, so that `after` has its size.
    """

    name: str
    before: Signal
    after: Signal
    kernel: int  # side of the convolution
    is_torgb: bool
    up: int = 1
    down: int = 1
    trim: int = 0
    up_filter: Lowpass | None = None
    down_filter: Lowpass | None = None


def signals(config: StyleGAN3Config) -> list[Signal]:
    """Of the Fourier features, which layer 0 hands on as it gets them, and of every layer up to the colours."""
    n, last_cutoff = config.num_layers, config.img_resolution / 2
    last_stopband = last_cutoff * config.last_stopband_rel
    found = []
    for i in range(n + 1):
        progress = min(i / (n - config.num_critical), 1)
        cutoff = config.first_cutoff * (last_cutoff / config.first_cutoff) ** progress
        stopband = config.first_stopband * (last_stopband / config.first_stopband) ** progress
        rate = 2 ** math.ceil(math.log2(min(2 * stopband, config.img_resolution)))
        size = config.img_resolution if i >= n - 1 else rate + 2 * config.margin_size
        channels = config.img_channels if i == n else round(min(config.channel_base / 2 / cutoff, config.channel_max))
        found.append(Signal(channels, size, rate, cutoff, max(stopband, rate / 2) - cutoff))
    return found


def plan(config: StyleGAN3Config) -> list[LayerPlan]:
    """The layers L0, L1, ... and the colours, coarse to fine."""
    after = signals(config)
    return [_layer(config, i, after[max(i - 1, 0)], after[i]) for i in range(len(after))]


def feature_layers(config: StyleGAN3Config) -> list[tuple[int, int]]:
    """Channels and resolution of every layer whose activations are the representation, without their margins."""
    return [(signal.channels, signal.rate) for signal in signals(config)[:-1]]


def _layer(config: StyleGAN3Config, index: int, before: Signal, after: Signal) -> LayerPlan:
    name = f"L{index}_{after.size}_{after.channels}"
    if index == config.num_layers:
        return LayerPlan(name, before, after, kernel=1, is_torgb=True)
    rate = LRELU_UPSAMPLING * max(before.rate, after.rate)
    up, down = rate // before.rate, rate // after.rate
    up_taps, down_taps = config.filter_size * up, config.filter_size * down
    is_radial = config.use_radial_filters and index < config.num_layers - config.num_critical
    padded = before.size + config.conv_kernel - 1  # the convolution also sees the zeros around
    upsampled, needed = (padded - 1) * up + up_taps, (after.size - 1) * down + down_taps
    return LayerPlan(
        name, before, after, config.conv_kernel, False, up, down,
        trim=(upsampled - needed) // 2,
        up_filter=Lowpass(up_taps, before.cutoff, before.half_width, rate),
        down_filter=Lowpass(down_taps, after.cutoff, after.half_width, rate, is_radial),
    )  # fmt: skip
