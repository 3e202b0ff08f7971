"""The StyleGAN2 discriminator (residual architecture), as in stylegan2-ada-pytorch; its state-dict names too."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan import ops
from gseg_cli.gan.stylegan2 import StyleGAN2Config


class ConvLayer(nn.Module):
    """Equalised convolution, half the resolution where down, leaky ReLU unless linear."""

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        down: bool = False,
        bias: bool = True,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.down, self.linear = down, linear
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(out_channels)) if bias else None
        self.weight_gain = 1 / math.sqrt(in_channels * kernel**2)
        if down:
            self.register_buffer("resample_filter", ops.resample_filter())

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        gain = gain if self.linear else gain * ops.LRELU_GAIN
        w = self.weight * (self.weight_gain * gain)
        if self.down:
            x = ops.conv_down(x, w, self.resample_filter)
        else:
            x = F.conv2d(x, w.to(x.dtype), padding=w.shape[-1] // 2)
        if self.bias is not None:
            x = x + (self.bias * gain).to(x.dtype)[:, None, None]
        return x if self.linear else F.leaky_relu(x, 0.2)


class DiscriminatorBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, *, first: bool) -> None:
        super().__init__()
        if first:
            self.fromrgb = ConvLayer(3, in_channels, kernel=1)
        self.first = first
        self.conv0 = ConvLayer(in_channels, in_channels, kernel=3)
        self.conv1 = ConvLayer(in_channels, out_channels, kernel=3, down=True)
        self.skip = ConvLayer(in_channels, out_channels, kernel=1, down=True, bias=False, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        if self.first:
            x = self.fromrgb(x)
        y = self.skip(x, gain=math.sqrt(0.5))
        return y + self.conv1(self.conv0(x), gain=math.sqrt(0.5))


def minibatch_std(x: Tensor, group_size: int = 4) -> Tensor:
    """Append one channel: the standard deviation over groups of images, averaged over channels and pixels."""
    n, c, h, w = x.shape
    g = math.gcd(group_size, n)
    y = x.reshape(g, -1, c, h, w)
    y = (y - y.mean(dim=0)).square().mean(dim=0).add(1e-8).sqrt().mean(dim=[1, 2, 3])  # [N/g]
    return torch.cat([x, y.reshape(-1, 1, 1, 1).repeat(g, 1, h, w)], dim=1)


class DiscriminatorEpilogue(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvLayer(channels + 1, channels, kernel=3)
        self.fc = ops.EqualLinear(channels * 16, channels, act=True)
        self.out = ops.EqualLinear(channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(minibatch_std(x.float()))
        return self.out(self.fc(x.flatten(1)))  # [N, 1]


class Discriminator(nn.Module):
    kind = "stylegan2"

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.compute_dtype = torch.float32
        self.resolutions = config.resolutions[:0:-1]  # R ... 8
        for r in self.resolutions:
            block = DiscriminatorBlock(config.channels(r), config.channels(r // 2), first=r == config.img_resolution)
            setattr(self, f"b{r}", block)
        self.b4 = DiscriminatorEpilogue(config.channels(4))

    def forward(self, image: Tensor) -> Tensor:
        """image [N, 3, R, R] in [-1, 1] -> logits [N, 1], larger for real."""
        x = image.to(self.compute_dtype, memory_format=torch.channels_last)
        for r in self.resolutions:
            x = getattr(self, f"b{r}")(x)
        return self.b4(x)
