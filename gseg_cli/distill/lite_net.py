"""The pretrained student: EfficientNet-Lite0 below, a light decoder on top."""

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.distill.joined_conv import run_joined
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.unet import conv_layers
from gseg_cli.pretrained.lite0 import STRIDES, WIDTHS, Lite0

BOTTOM = 128  # channels of the lowest features in the decoder
DECODED = (32, 48, 64, 96)  # channels behind the features at STRIDES[0] up
ENCODER_RATE = 0.1  # of the learning rate: what the encoder knows should bend, not break


class LiteNet(nn.Module):
    """A U-shaped network (Ronneberger et al. 2015) on pretrained features; it decides at half the input's resolution.

    With 10 classes 3.7 M parameters; multiply-adds per image 0.29 G at 128 px, 1.15 G at 256 px.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Lite0()
        self.bottom = nn.Sequential(*conv_layers(WIDTHS[-1], BOTTOM, kernel_size=1))
        decoder, below = [], BOTTOM
        for skip, out in zip(WIDTHS[-2::-1], DECODED[::-1], strict=True):
            decoder.append(nn.Sequential(*conv_layers(below + skip, out)))
            below = out
        self.decoder = nn.ModuleList(decoder)
        self.head = nn.Conv2d(below, config.num_classes, kernel_size=1)
        nn.init.orthogonal_(self.head.weight)  # as the UNet's

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, num_classes, S, S] of images float [N, 3, S, S] in [-1, 1], S = config.input_size."""
        *skips, lowest = self.encoder(image)
        x = self.bottom(lowest)
        for conv in self.decoder:
            x = run_joined(cast(nn.Sequential, conv), skips.pop(), x, self.training)
        return F.interpolate(self.head(x), scale_factor=float(STRIDES[0]), mode="bilinear", align_corners=False)
