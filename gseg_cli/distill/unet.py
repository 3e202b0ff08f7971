"""The UNet in three sizes, made of operators that ONNX Runtime and TensorRT fuse."""

from typing import Literal, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.distill.joined_conv import run_joined
from gseg_cli.distill.net_config import NetConfig


class Shape(NamedTuple):
    widths: tuple[int, ...]  # channels from full resolution down, each level half the size of the one before
    upsampling: Literal["nearest", "bilinear"]


SHAPES = {
    "tiny": Shape((8, 16, 32, 64), "nearest"),
    "default": Shape((16, 32, 64, 128, 256), "nearest"),
    "paper": Shape((64, 128, 256, 512, 512), "bilinear"),
}


class UNet(nn.Module):
    """Ronneberger et al. 2015, with padding and batch normalisation.

    "paper" is the network of the published code (github.com/trolytrol/RepurposingGANs, unet/) with two differences:
    no biases in front of the normalisation, which cancels them, and bilinear upsampling with align_corners=False,
    because aligned corners shift the picture by an amount that depends on its size.
    With 10 classes, parameters and multiply-adds per image:
        tiny      0.13 M    0.04 G at 64 px    0.16 G at 128 px     0.63 G at 256 px
        default   2.08 M    0.19 G at 64 px    0.77 G at 128 px     3.10 G at 256 px
        paper    17.26 M    2.50 G at 64 px   10.00 G at 128 px    40.02 G at 256 px
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        widths, upsampling = SHAPES[config.size]
        self.encoder = nn.ModuleList(_double_conv(i, o, o) for i, o in zip((3, *widths), widths, strict=False))
        self.pool = nn.MaxPool2d(2)
        self.upsampling = upsampling
        decoder, below = [], widths[-1]
        for level in range(len(widths) - 2, -1, -1):
            joined, out = below + widths[level], widths[max(level - 1, 0)]
            decoder.append(_double_conv(joined, joined // 2, out))
            below = out
        self.decoder = nn.ModuleList(decoder)
        self.head = nn.Conv2d(below, config.num_classes, kernel_size=1)
        # Under nn.Conv2d's own start some seeds hardly tell small classes apart, and learn those late or never.
        nn.init.orthogonal_(self.head.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, num_classes, S, S] of images float [N, 3, S, S] in [-1, 1], S = config.input_size."""
        x, skips = image, []
        for level, conv in enumerate(self.encoder):
            x = conv(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()  # the lowest level is x itself
        for conv in self.decoder:
            x = self._joined(cast(nn.Sequential, conv), skips.pop(), x)
        return self.head(x)

    def _joined(self, layers: nn.Sequential, skip: Tensor, below: Tensor) -> Tensor:
        """A level of the decoder."""
        if self.upsampling == "nearest":
            return run_joined(layers, skip, below, self.training)
        # False is what ONNX calls half_pixel.
        enlarged = F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=False)
        return layers(torch.cat([skip, enlarged], dim=1))


def _double_conv(in_channels: int, mid_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(*conv_layers(in_channels, mid_channels), *conv_layers(mid_channels, out_channels))


def conv_layers(in_channels: int, out_channels: int, kernel_size: int = 3) -> list[nn.Module]:
    """A convolution that keeps height and width, normalised and rectified."""
    # No bias: the normalisation behind would cancel it.
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
