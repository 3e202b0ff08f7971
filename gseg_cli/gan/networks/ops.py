"""Filtered resampling and the equalised layers of StyleGAN2 (Karras et al. 2020; stylegan2-ada-pytorch).

Compute dtype follows the activations: weights are cast to x.dtype where they are used, so that one network runs in
float32, bfloat16 or float16 without copies of its parameters.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan.networks import polyphase

# Keeps the variance through a leaky ReLU of slope 0.2. Applied before the ReLU, on the weights, where it costs nothing.
LRELU_GAIN = math.sqrt(2)
FEW_CHANNELS = 4  # colours


def resample_filter() -> Tensor:
    """The separable binomial filter [1, 3, 3, 1], normalised to sum 1: [4, 4]."""
    return torch.tensor([[a * b / 64 for b in (1, 3, 3, 1)] for a in (1, 3, 3, 1)])


def normal(*shape: int, std: float = 1.0) -> Tensor:
    """As torch.randn, which on the meta device (gseg_cli/gan/networks/build.py) takes a second to load."""
    return torch.normal(0.0, std, shape)


def _depthwise(f: Tensor, x: Tensor) -> Tensor:
    return f.to(x.dtype).expand(x.shape[1], 1, *f.shape)


class _Blur(torch.autograd.Function):
    """Depthwise convolution with a symmetric 4x4 filter; its gradient is the same with the complementary padding.

    PyTorch's own backward of a depthwise convolution is five times slower on CPUs.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Tensor, padding: int) -> Tensor:
        ctx.save_for_backward(f)
        ctx.padding = padding
        return F.conv2d(x, _depthwise(f, x), padding=padding, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (f,) = ctx.saved_tensors
        return _Blur.apply(gradients[0], f, 3 - ctx.padding), None, None


def blur(x: Tensor, f: Tensor, *, padding: int, gain: float = 1.0) -> Tensor:
    return _Blur.apply(x, f * gain, padding)


class _Halve(torch.autograd.Function):
    """The symmetric 4x4 filter at every second pixel; its gradient is `_Double`, and the other way round."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Tensor) -> Tensor:
        ctx.save_for_backward(f)
        return F.conv2d(x, _depthwise(f, x), stride=2, padding=1, groups=x.shape[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Double.apply(gradients[0], *ctx.saved_tensors), None


class _Double(torch.autograd.Function):
    """Zero insertion, then the symmetric 4x4 filter: a strided transposed convolution."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, f: Tensor) -> Tensor:
        ctx.save_for_backward(f)
        # On a CPU this convolution is eight times slower in bfloat16 than in float32.
        wide = x.float() if x.device.type == "cpu" and x.dtype == torch.bfloat16 else x
        doubled = F.conv_transpose2d(wide, _depthwise(f, wide), stride=2, padding=1, groups=x.shape[1])
        return doubled.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Halve.apply(gradients[0], *ctx.saved_tensors), None


def upsample2d(x: Tensor, f: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, 2H, 2W], the filter with gain 4 and padding (2, 1)."""
    if x.is_cuda and x.shape[1] <= FEW_CHANNELS:
        return polyphase.upsample2d(x)
    return _Double.apply(x, f * 4)


def downsample2d(x: Tensor, f: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, C, H/2, W/2], H and W even, padding (1, 1)."""
    return _Halve.apply(x, f)


def conv_up(x: Tensor, weight: Tensor, f: Tensor) -> Tensor:
    """3x3 convolution that doubles the resolution: transposed convolution, weight as stored, then the filter."""
    if x.is_cuda:
        return polyphase.conv_up(x, weight)
    x = F.conv_transpose2d(x, weight.transpose(0, 1).to(x.dtype), stride=2)  # [N, O, 2H+1, 2W+1]
    return blur(x, f, padding=1, gain=4)


def conv_down(x: Tensor, weight: Tensor, f: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution that halves the resolution: the filter, then a strided convolution (1x1 or 3x3)."""
    if x.is_cuda:
        return polyphase.conv_down(x, weight, bias)
    if weight.shape[-1] == 1:
        return F.conv2d(downsample2d(x, f), weight.to(x.dtype), bias)
    return F.conv2d(blur(x, f, padding=2), weight.to(x.dtype), bias, stride=2)


def grain_and_bias(noise: Tensor, strength: Tensor, bias: Tensor) -> Tensor:
    """noise [N, 1, H, W] * strength [] + bias [C]: [N, C, H, W], channels last.

    A matrix product, because bfloat16 sums that broadcast over 16 channels are four times slower than it on a CPU.
    """
    weight = strength.expand(len(bias), 1)
    return F.linear(noise.permute(0, 2, 3, 1), weight.to(noise.dtype), bias.to(noise.dtype)).permute(0, 3, 1, 2)


def clamp(x: Tensor, limit: float | None, gain: float = 1.0) -> Tensor:
    """Within +-limit * gain; None is no limit. Networks trained in float16 were trained with one."""
    return x if limit is None else x.clamp(-limit * gain, limit * gain)


def normalize_2nd_moment(x: Tensor) -> Tensor:
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


class EqualLinear(nn.Module):
    """Fully connected layer whose scale is applied at run time (equalised learning rate)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias_init: float = 0.0,
        lr_multiplier: float = 1.0,
        act: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(normal(out_features, in_features, std=1 / lr_multiplier))
        self.bias = nn.Parameter(torch.full((out_features,), bias_init))
        self.weight_gain = lr_multiplier / math.sqrt(in_features)
        self.bias_gain = lr_multiplier
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        gain = LRELU_GAIN if self.act else 1.0
        x = F.linear(x, self.weight * (self.weight_gain * gain), self.bias * (self.bias_gain * gain))
        return F.leaky_relu(x, 0.2) if self.act else x


class ConvLayer(nn.Module):
    """Equalised convolution of odd size; half the resolution where down, twice (1x1 without bias only) where up.

    Leaky ReLU unless linear. clamp: the output, before `gain`, is held within +-clamp.
    """

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        up: bool = False,
        down: bool = False,
        bias: bool = True,
        linear: bool = False,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.up, self.down, self.linear, self.clamp = up, down, linear, clamp
        self.weight = nn.Parameter(normal(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel**2)
        if up or down:
            self.register_buffer("resample_filter", resample_filter())

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        act_gain = gain if self.linear else gain * LRELU_GAIN
        w = self.weight * (self.weight_gain * act_gain)
        bias = None if self.bias is None else (self.bias * act_gain).to(x.dtype)
        if self.down:
            x = conv_down(x, w, self.resample_filter, bias)
        else:
            x = F.conv2d(x, w.to(x.dtype), bias, padding=w.shape[-1] // 2)
        if self.up:
            x = upsample2d(x, self.resample_filter)
        return clamp(x if self.linear else F.leaky_relu(x, 0.2, inplace=True), self.clamp, gain)
