"""The StyleGAN2 generator (Karras et al. 2020) in its three architectures, as in stylegan2-ada-pytorch, names included.

Shapes: N batch, L = num_ws, W = w_dim, R = img_resolution, O/I channels out/in. Pictures may be
rectangular; what leaves the generator is a square.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan.bars import with_bars
from gseg_cli.gan.generator import FeatureStack, OnLayer
from gseg_cli.gan.networks import ops
from gseg_cli.gan.networks.config import StyleGAN2Config as StyleGAN2Config
from gseg_cli.gan.networks.mapping import ClassIndex, TrackedMapping
from gseg_cli.gan.transparency import as_colours, over_board


class ModulatedConv(nn.Module):
    """Weights [O, I, k, k] scaled per image by styles [N, I]; the un-fused form (scale the input, then the output)."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(ops.normal(out_channels, in_channels, kernel, kernel))
        self.affine = ops.EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.bias = nn.Parameter(torch.zeros(out_channels))


class SynthesisLayer(ModulatedConv):
    """Modulated 3x3 convolution (twice the resolution where up), noise, bias, leaky ReLU."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, config: StyleGAN2Config, in_channels: int, resolution: int, *, up: bool) -> None:
        super().__init__(in_channels, config.channels(resolution), config.w_dim, kernel=3)
        self.up, self.resolution, self.clamp, self.use_noise = up, resolution, config.conv_clamp, config.use_noise
        if self.use_noise:
            self.noise_strength = nn.Parameter(torch.zeros([]))
            self.register_buffer("noise_const", ops.normal(*config.size_at(resolution)))
        self.register_buffer("resample_filter", ops.resample_filter())

    def forward(self, x: Tensor, w: Tensor, random_noise: bool = False, gain: float = 1.0) -> Tensor:
        """x [N, I, h, h], w [N, W]; random_noise: fresh for every image, instead of the constant one."""
        weight: Tensor = self.weight
        styles = self.affine(w)
        if x.dtype == torch.float16:
            weight, styles = _bounded(weight, styles)
        x = x * styles.to(x.dtype)[:, :, None, None]
        x = ops.conv_up(x, weight, self.resample_filter) if self.up else F.conv2d(x, weight.to(x.dtype), padding=1)
        act_gain = gain * ops.LRELU_GAIN
        scale = (_demodulation(weight, styles) * act_gain).to(x.dtype)[:, :, None, None]
        x = x * scale if torch.is_grad_enabled() else x.mul_(scale)  # in place it saves a large allocation
        x = x.add_(self._noise_and_bias(x, random_noise, act_gain))
        return ops.clamp(F.leaky_relu(x, 0.2, inplace=True), self.clamp, gain)

    def _noise_and_bias(self, x: Tensor, random_noise: bool, gain: float) -> Tensor:
        """What is added to x [N, O, H, W]: of a shape that spreads over it."""
        bias = self.bias * gain
        if not self.use_noise:
            return bias.to(x.dtype)[:, None, None]
        size = (-1, 1, *x.shape[2:])  # the constant one is the same for all images, unless inversion gave each its own
        noise = torch.randn(len(x), *size[1:], device=x.device) if random_noise else self.noise_const.view(size)
        return ops.grain_and_bias(noise.to(x.dtype), self.noise_strength * gain, bias)


def _bounded(weight: Tensor, styles: Tensor) -> tuple[Tensor, Tensor]:
    """Both scaled so that no product overflows in float16; demodulation takes the factors out again."""
    fan_in = math.sqrt(weight[0].numel())
    return weight / (fan_in * weight.abs().amax(dim=[1, 2, 3], keepdim=True)), styles / styles.abs().amax(1, True)


def _demodulation(weight: Tensor, styles: Tensor) -> Tensor:
    energy = weight.square().sum(dim=[2, 3])  # [O, I]
    return (styles.square() @ energy.t() + 1e-8).rsqrt()  # [N, O]


class ToRGBLayer(ModulatedConv):
    """Modulated 1x1 convolution to colours, without demodulation."""

    def __init__(self, config: StyleGAN2Config, in_channels: int) -> None:
        super().__init__(in_channels, config.img_channels, config.w_dim, kernel=1)
        self.weight_gain, self.clamp = 1 / math.sqrt(in_channels), config.conv_clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain
        x = x * styles.to(x.dtype)[:, :, None, None]
        return ops.clamp(F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype)), self.clamp).float()


class SynthesisBlock(nn.Module):
    """One resolution: conv0 (up) and conv1.

    skip: the sum of the upsampled picture so far and this block's colours; orig and resnet: colours in the last block.
    """

    resample_filter: Tensor

    def __init__(self, config: StyleGAN2Config, resolution: int) -> None:
        super().__init__()
        channels = config.channels(resolution)
        self.resolution = resolution
        self.num_convs = 1 if resolution == 4 else 2
        self.has_colours = config.architecture == "skip" or resolution == config.resolutions[-1]
        self.has_shortcut = config.architecture == "resnet" and resolution > 4
        self.register_buffer("resample_filter", ops.resample_filter())
        if resolution == 4:
            self.const = nn.Parameter(ops.normal(channels, *config.first_layer))
        else:
            self.conv0 = SynthesisLayer(config, config.channels(resolution // 2), resolution, up=True)
        self.conv1 = SynthesisLayer(config, channels, resolution, up=False)
        if self.has_colours:
            self.torgb = ToRGBLayer(config, channels)
        if self.has_shortcut:
            self.skip = ops.ConvLayer(config.channels(resolution // 2), channels, 1, up=True, bias=False, linear=True)

    def forward(self, x: Tensor, ws: Tensor, random_noise: bool, on_layer: OnLayer | None) -> Tensor:
        """ws [N, num_convs, W]; on_layer is given the output of each layer, of the last before its shortcut."""
        y = self.skip(x, gain=math.sqrt(0.5)) if self.has_shortcut else None
        if self.num_convs == 2:
            x = _shown(self.conv0(x, ws[:, 0], random_noise), on_layer)
        x = _shown(self.conv1(x, ws[:, -1], random_noise, math.sqrt(0.5) if self.has_shortcut else 1.0), on_layer)
        return x if y is None else y + x

    def colours(self, x: Tensor, w: Tensor, image: Tensor | None) -> Tensor:
        rgb = self.torgb(x, w)
        return rgb if image is None else ops.upsample2d(image, self.resample_filter) + rgb


def _shown(x: Tensor, on_layer: OnLayer | None) -> Tensor:
    if on_layer is not None:
        on_layer(x)
    return x


class SynthesisNetwork(nn.Module):
    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.resolutions = config.resolutions
        for r in config.resolutions:
            setattr(self, f"b{r}", SynthesisBlock(config, r))

    def blocks(self) -> list[SynthesisBlock]:
        return [getattr(self, f"b{r}") for r in self.resolutions]

    def forward(
        self, ws: Tensor, dtypes: list[torch.dtype], random_noise: bool, on_layer: OnLayer | None = None
    ) -> Tensor:
        """ws [N, L, W] -> image float32 [N, img_channels, R, R]; on_layer is given the output of every layer."""
        x = self.blocks()[0].const.expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image, i = None, 0
        for block, dtype in zip(self.blocks(), dtypes, strict=True):
            x = block(x.to(dtype), ws[:, i : i + block.num_convs], random_noise, on_layer)
            i += block.num_convs
            if block.has_colours:
                image = block.colours(x, ws[:, i], image)  # shares its w with the next block's conv0
        assert image is not None
        return image


class StyleGAN2(nn.Module):
    """Generator protocol over mapping and synthesis.

    compute_dtype is float32 unless a trainer lowers it, in the num_lowp_res highest resolutions or (None) in all.
    class_index chooses the class of a conditional GAN; trainers choose one for each image. random_noise: trainers draw
    fresh noise; samples and features keep the constant one.
    """

    kind = "stylegan2"

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.z_dim, self.w_dim, self.img_resolution = config.z_dim, config.w_dim, config.img_resolution
        self.num_ws = 2 * len(config.resolutions)
        self.feature_channels = tuple(channels for channels, _ in config.feature_layers)
        self.compute_dtype = torch.float32
        self.num_lowp_res = config.num_lowp_res
        self.class_index: ClassIndex = None
        self.random_noise = False
        self.mapping_network = TrackedMapping(
            config.z_dim, config.c_dim, config.w_dim, config.mapping_layers, config.mapping_lr_multiplier
        )
        self.synthesis_network = SynthesisNetwork(config)

    def mapping(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        """UsageError when a conditional GAN was given no class."""
        w = self.mapping_network.truncated(z, self.class_index, truncation_psi)
        return w.unsqueeze(1).expand(-1, self.num_ws, -1)

    def synthesis(self, ws: Tensor, on_layer: OnLayer | None = None) -> Tensor:
        return over_board(self.draw(ws, on_layer))

    def draw(self, ws: Tensor, on_layer: OnLayer | None = None) -> Tensor:
        """The colours [N, 3, R, R], grey ones three times, and alpha where there is one: [N, 4, R, R].

        Bars beside a rectangular picture make it, and its activations, a square.
        """
        n = len(self.config.resolutions)
        num_low = n if self.num_lowp_res is None else min(self.num_lowp_res, n)
        dtypes = [torch.float32] * (n - num_low) + [self.compute_dtype] * num_low
        shown = None if on_layer is None else lambda x: on_layer(with_bars(x))
        return with_bars(as_colours(self.synthesis_network(ws, dtypes, self.random_noise, shown)))

    def features(self, ws: Tensor) -> tuple[Tensor, FeatureStack]:
        maps: list[Tensor] = []
        image = self.synthesis(ws, maps.append)
        return image, FeatureStack(tuple(maps))

    def track(self, ws: Tensor) -> None:
        """Update the truncation centre; called by the trainer only."""
        self.mapping_network.track(ws[:, 0].detach())
