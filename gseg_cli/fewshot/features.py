"""Hypercolumn features without the hypercolumns.

The paper's representation of a pixel is the concatenation of every layer's activations, upsampled to the image: 5 GB
for one 512-px image. It is never built here. The first layer of each teacher is linear, and a linear map over channels
commutes with a resize over pixels, W concat(up f_l) = sum_l up(W_l f_l), so each layer is projected at its own size.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan.generator import FeatureStack


def resize_map(x: Tensor, size: int) -> Tensor:
    """[N, C, h, h] -> [N, C, size, size]: bilinear where enlarged (half-pixel centres), area where reduced."""
    if x.shape[-1] > size:
        return F.interpolate(x, size=(size, size), mode="area")
    return x if x.shape[-1] == size else F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False)


class ProjectedFeatures(nn.Module):
    """A linear layer over standardised hypercolumns, sum(channels) -> out_features, applied layer by layer."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: tuple[int, ...], out_features: int) -> None:
        super().__init__()
        self.channels = channels
        self.linear = nn.Linear(sum(channels), out_features)
        self.register_buffer("mean", torch.zeros(sum(channels)))
        self.register_buffer("std", torch.ones(sum(channels)))

    @torch.no_grad()
    def standardize(self, stack: FeatureStack) -> None:
        """Take each channel's mean and deviation from these images; they fold into the linear layer."""
        self.mean.copy_(torch.cat([m.float().mean(dim=[0, 2, 3]) for m in stack.maps]))
        self.std.copy_(torch.cat([m.float().std(dim=[0, 2, 3]) for m in stack.maps]).clamp_min(1e-6))

    def forward(self, stack: FeatureStack, size: int) -> Tensor:
        """[N, out_features, size, size]; each layer in the cheaper order, project first where it is enlarged."""
        weight = self.linear.weight / self.std  # [out, sum C]
        bias = self.linear.bias - weight @ self.mean
        total: Tensor | None = None
        for x, w in zip(stack.maps, weight.split(self.channels, dim=1), strict=True):
            kernel = w[:, :, None, None]
            is_reduced = x.shape[-1] > size
            y = F.conv2d(resize_map(x, size), kernel) if is_reduced else resize_map(F.conv2d(x, kernel), size)
            total = y if total is None else total + y
        assert total is not None
        return total + bias[:, None, None]

    def at_pixels(self, columns: Tensor) -> Tensor:
        """The same linear layer on gathered hypercolumns: [P, sum C] -> [P, out_features]."""
        return self.linear((columns - self.mean) / self.std)


def gather_hypercolumns(stack: FeatureStack, size: int, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """Hypercolumns [P, sum C] at P pixels of the size x size grid: image, row, column are int64 [P].

    Equal to resizing every map and then indexing, at the cost of four reads per pixel and channel.
    """
    parts = []
    for x in stack.maps:
        x = resize_map(x, size) if x.shape[-1] > size else x
        parts.append(
            _bilinear(x, (row + 0.5) * x.shape[-2] / size - 0.5, (column + 0.5) * x.shape[-1] / size - 0.5, image)
        )
    return torch.cat(parts, dim=1)


def _bilinear(x: Tensor, y: Tensor, z: Tensor, image: Tensor) -> Tensor:
    """Values of x [N, C, h, w] of the given images at the fractional rows y and columns z [P] -> [P, C]."""
    y, z = y.clamp(0, x.shape[-2] - 1), z.clamp(0, x.shape[-1] - 1)
    y0, z0 = y.floor().long(), z.floor().long()
    y1, z1 = (y0 + 1).clamp_max(x.shape[-2] - 1), (z0 + 1).clamp_max(x.shape[-1] - 1)
    fy, fz = (y - y0)[:, None], (z - z0)[:, None]
    rows = x.permute(0, 2, 3, 1)  # [N, h, w, C]
    top = rows[image, y0, z0].lerp(rows[image, y0, z1], fz.to(x.dtype))
    bottom = rows[image, y1, z0].lerp(rows[image, y1, z1], fz.to(x.dtype))
    return top.lerp(bottom, fy.to(x.dtype))
