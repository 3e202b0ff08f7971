"""The StyleGAN2 generator (Karras et al. 2020), skip architecture, exactly as in stylegan2-ada-pytorch, names included.

Shapes: N batch, L = num_ws, W = w_dim, R = img_resolution, O/I channels out/in.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan import ops
from gseg_cli.gan.generator import FeatureStack
from gseg_runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class StyleGAN2Config:
    """Everything that decides the shape of the networks; it travels in the checkpoint."""

    img_resolution: int = 64
    z_dim: int = 128
    w_dim: int = 128
    mapping_layers: int = 2
    channel_base: int = 2048  # a layer at resolution r has min(channel_base / r, channel_max) channels
    channel_max: int = 128

    def __post_init__(self) -> None:
        if self.img_resolution < 8 or self.img_resolution & (self.img_resolution - 1):
            raise ConfigError(f"img_resolution: expected a power of two, 8 or more, got {self.img_resolution}")

    def channels(self, resolution: int) -> int:
        return min(self.channel_base // resolution, self.channel_max)

    @property
    def resolutions(self) -> list[int]:
        return [2**i for i in range(2, int(math.log2(self.img_resolution)) + 1)]


class MappingNetwork(nn.Module):
    """z -> w; keeps w_avg, the running mean of w, as the centre of truncation."""

    def __init__(self, z_dim: int, w_dim: int, num_layers: int, lr_multiplier: float = 0.01) -> None:
        super().__init__()
        self.num_layers = num_layers
        for i in range(num_layers):
            layer = ops.EqualLinear(z_dim if i == 0 else w_dim, w_dim, lr_multiplier=lr_multiplier, act=True)
            setattr(self, f"fc{i}", layer)
        self.w_avg: Tensor
        self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(self, z: Tensor) -> Tensor:
        x = ops.normalize_2nd_moment(z.float())
        for i in range(self.num_layers):
            x = getattr(self, f"fc{i}")(x)
        return x  # [N, W]

    @torch.no_grad()
    def track(self, w: Tensor, beta: float = 0.998) -> None:
        self.w_avg.copy_(w.float().mean(dim=0).lerp(self.w_avg, beta))


class ModulatedConv(nn.Module):
    """Weights [O, I, k, k] scaled per image by styles [N, I]; the un-fused form (scale the input, then the output)."""

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.affine = ops.EqualLinear(w_dim, in_channels, bias_init=1.0)
        self.bias = nn.Parameter(torch.zeros(out_channels))

    def demodulation(self, styles: Tensor) -> Tensor:
        energy = self.weight.square().sum(dim=[2, 3])  # [O, I]
        return (styles.square() @ energy.t() + 1e-8).rsqrt()  # [N, O]


class SynthesisLayer(ModulatedConv):
    """Modulated 3x3 convolution (twice the resolution where up), noise, bias, leaky ReLU."""

    noise_const: Tensor
    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int, *, up: bool) -> None:
        super().__init__(in_channels, out_channels, w_dim, kernel=3)
        self.up = up
        self.noise_strength = nn.Parameter(torch.zeros([]))
        self.register_buffer("noise_const", torch.randn(resolution, resolution))
        self.register_buffer("resample_filter", ops.resample_filter())

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None = None) -> Tensor:
        """x [N, I, h, h], w [N, W]; noise: [N, 1, R, R] or None for the constant noise."""
        styles = self.affine(w)
        x = x * styles.to(x.dtype)[:, :, None, None]
        x = ops.conv_up(x, self.weight, self.resample_filter) if self.up else self._conv(x)
        scale = self.demodulation(styles) * ops.LRELU_GAIN
        noise = (self.noise_const if noise is None else noise) * (self.noise_strength * ops.LRELU_GAIN)
        x = torch.addcmul(noise.to(x.dtype), x, scale.to(x.dtype)[:, :, None, None])
        return F.leaky_relu(x + (self.bias * ops.LRELU_GAIN).to(x.dtype)[:, None, None], 0.2)

    def _conv(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight.to(x.dtype), padding=1)


class ToRGBLayer(ModulatedConv):
    """Modulated 1x1 convolution to colours, without demodulation."""

    def __init__(self, in_channels: int, w_dim: int) -> None:
        super().__init__(in_channels, 3, w_dim, kernel=1)
        self.weight_gain = 1 / math.sqrt(in_channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        styles = self.affine(w) * self.weight_gain
        x = x * styles.to(x.dtype)[:, :, None, None]
        return F.conv2d(x, self.weight.to(x.dtype), self.bias.to(x.dtype)).float()


class SynthesisBlock(nn.Module):
    """One resolution: conv0 (up) and conv1, then the sum of the upsampled picture so far and this block's colours."""

    resample_filter: Tensor

    def __init__(self, in_channels: int, out_channels: int, w_dim: int, resolution: int) -> None:
        super().__init__()
        self.num_convs = 1 if in_channels == 0 else 2
        self.register_buffer("resample_filter", ops.resample_filter())
        if in_channels == 0:
            self.const = nn.Parameter(torch.randn(out_channels, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(in_channels, out_channels, w_dim, resolution, up=True)
        self.conv1 = SynthesisLayer(out_channels, out_channels, w_dim, resolution, up=False)
        self.torgb = ToRGBLayer(out_channels, w_dim)

    def layers(self) -> list[SynthesisLayer]:
        return [self.conv1] if self.num_convs == 1 else [self.conv0, self.conv1]

    def colours(self, x: Tensor, w: Tensor, image: Tensor | None) -> Tensor:
        rgb = self.torgb(x, w)
        return rgb if image is None else ops.upsample2d(image, self.resample_filter) + rgb


class SynthesisNetwork(nn.Module):
    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        in_channels = 0
        self.resolutions = config.resolutions
        for r in config.resolutions:
            block = SynthesisBlock(in_channels, config.channels(r), config.w_dim, r)
            setattr(self, f"b{r}", block)
            in_channels = config.channels(r)

    def blocks(self) -> list[SynthesisBlock]:
        return [getattr(self, f"b{r}") for r in self.resolutions]

    def forward(self, ws: Tensor, dtype: torch.dtype, random_noise: bool) -> tuple[Tensor, list[Tensor]]:
        """ws [N, L, W] -> image float32 [N, 3, R, R] and the output of every layer, coarse to fine."""
        x = self.blocks()[0].const.to(dtype).expand(len(ws), -1, -1, -1)
        x = x.contiguous(memory_format=torch.channels_last)
        image, maps, i = None, [], 0
        for block in self.blocks():
            for layer in block.layers():
                x = layer(x, ws[:, i], _noise_like(ws, layer) if random_noise else None)
                maps.append(x)
                i += 1
            image = block.colours(x, ws[:, i], image)  # shares its w with the next block's conv0
        assert image is not None
        return image, maps


def _noise_like(ws: Tensor, layer: SynthesisLayer) -> Tensor:
    return torch.randn(len(ws), 1, *layer.noise_const.shape, device=ws.device)


class StyleGAN2(nn.Module):
    """Generator protocol over mapping and synthesis. `compute_dtype` is float32 unless a trainer lowers it."""

    kind = "stylegan2"

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.z_dim, self.w_dim, self.img_resolution = config.z_dim, config.w_dim, config.img_resolution
        self.num_ws = 2 * len(config.resolutions)
        self.feature_channels = tuple(config.channels(r) for r in config.resolutions for _ in range(1 if r == 4 else 2))
        self.compute_dtype = torch.float32
        self.random_noise = False  # trainers draw fresh noise; samples and features keep the constant one
        self.mapping_network = MappingNetwork(config.z_dim, config.w_dim, config.mapping_layers)
        self.synthesis_network = SynthesisNetwork(config)

    def mapping(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        w = self.mapping_network(z)
        if truncation_psi != 1:
            w = self.mapping_network.w_avg.lerp(w, truncation_psi)
        return w.unsqueeze(1).expand(-1, self.num_ws, -1)

    def synthesis(self, ws: Tensor) -> Tensor:
        return self.synthesis_network(ws, self.compute_dtype, self.random_noise)[0]

    def features(self, ws: Tensor) -> tuple[Tensor, FeatureStack]:
        image, maps = self.synthesis_network(ws, self.compute_dtype, self.random_noise)
        return image, FeatureStack(tuple(maps))

    def track(self, ws: Tensor) -> None:
        """Update the truncation centre; called by the trainer only."""
        self.mapping_network.track(ws[:, 0].detach())
