"""Hypercolumn features without the hypercolumns.

The paper's representation of a pixel is the concatenation of every layer's activations, upsampled to the image: 5 GB
for one 512-px image. It is never built here. The first layer of each teacher is linear, and a linear map over channels
commutes with a resize over pixels, W concat(up f_l) = sum_l up(W_l f_l), so each layer is projected at its own size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan.generator import FeatureStack, Generator


@dataclass(frozen=True)
class Representation:
    """Which layers represent a pixel, and how they come to the size of the label map (bilinear, by area if reduced)."""

    first: int  # the layers before it are left out
    align_corners: bool


# paper: the published code leaves out the first layer, of 4 px, and lets the corners' centres coincide.
REPRESENTATIONS = {"all": Representation(0, False), "paper": Representation(1, True)}


def resize_map(x: Tensor, size: int, align_corners: bool = False) -> Tensor:
    """[N, C, h, h] -> [N, C, size, size]: bilinear where enlarged, area where reduced."""
    if x.shape[-1] == size:
        return x
    if x.shape[-1] > size:
        return F.interpolate(x, size=(size, size), mode="area")
    return F.interpolate(x, size=(size, size), mode="bilinear", align_corners=align_corners)


class ProjectedFeatures(nn.Module):
    """A linear layer over standardised hypercolumns, sum(channels) -> out_features, applied layer by layer.

    channels: of all the generator's layers, coarse to fine; the representation decides which are looked at.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: tuple[int, ...], out_features: int, how: Representation = REPRESENTATIONS["all"]):
        super().__init__()
        self.how, self.channels = how, channels[how.first :]
        self.linear = nn.Linear(sum(self.channels), out_features)
        self.register_buffer("mean", torch.zeros(sum(self.channels)))
        self.register_buffer("std", torch.ones(sum(self.channels)))

    @torch.no_grad()
    def standardize(self, stack: FeatureStack) -> None:
        """Take each channel's mean and deviation from these images; they fold into the linear layer."""
        maps = stack.maps[self.how.first :]
        self.mean.copy_(torch.cat([m.float().mean(dim=[0, 2, 3]) for m in maps]))
        self.std.copy_(torch.cat([m.float().std(dim=[0, 2, 3]) for m in maps]).clamp_min(1e-6))

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight [out, sum C] and bias [out] that give the same on features as they are."""
        weight = self.linear.weight / self.std
        return weight, self.linear.bias - weight @ self.mean

    def forward(self, stack: FeatureStack, size: int) -> Tensor:
        """[N, out_features, size, size]."""
        total = LayerSum(self, size)
        for x in stack.maps:
            total.add(x)
        return total.result()

    def at_pixels(self, columns: Tensor) -> Tensor:
        """The same linear layer on gathered hypercolumns: [P, sum C] -> [P, out_features]."""
        return F.linear(columns, *self.folded())


class LayerSum:
    """The projection of hypercolumns, summed up while the layers come, coarse to fine; it keeps none of them.

    Each in the cheaper order: a layer that is enlarged is projected first, one that is reduced is resized first. Layers
    of one size are added up before they are resized.
    """

    def __init__(self, features: ProjectedFeatures, size: int) -> None:
        self.size, self.how = size, features.how
        weight, self.bias = features.folded()
        self.kernels = list(weight.split(features.channels, dim=1))[::-1]
        self.to_skip = features.how.first
        self.same_size: Tensor | None = None  # layers of the last size, projected
        self.total: Tensor | None = None

    def add(self, x: Tensor) -> None:
        """x: activations [N, C_l, h, h] of the next layer."""
        if self.to_skip:
            self.to_skip -= 1
            return
        x = resize_map(x, self.size) if x.shape[-1] > self.size else x
        is_first = self.total is None and self.same_size is None
        if self.same_size is not None and self.same_size.shape[-1] != x.shape[-1]:
            self._resize()
        # On rows of pixels, as the generator's channels lie: a convolution copies them first.
        y = F.linear(x.float().permute(0, 2, 3, 1), self.kernels.pop(), self.bias if is_first else None)
        y = y.permute(0, 3, 1, 2)
        if y.shape[-1] == self.size:
            self.total = _sum(self.total, y)
        else:
            self.same_size = _sum(self.same_size, y)

    def result(self) -> Tensor:
        """[N, out_features, size, size]."""
        assert not self.kernels, f"{len(self.kernels)} layers are missing"
        if self.same_size is not None:
            self._resize()
        assert self.total is not None
        return self.total

    def _resize(self) -> None:
        assert self.same_size is not None
        self.total = _sum(self.total, resize_map(self.same_size, self.size, self.how.align_corners))
        self.same_size = None


def _sum(total: Tensor | None, x: Tensor) -> Tensor:
    return x if total is None else total.add_(x)


@torch.no_grad()
def collect_features(generator: Generator, ws: Tensor, size: int) -> FeatureStack:
    """Activations, in float32, of the few images to learn from; layers larger than the label maps are reduced to size.

    One image after the other: at 1024 px each takes half a gigabyte on its way.
    """
    maps: list[Tensor] = []
    for i in range(len(ws)):
        _, one = generator.features(ws[i : i + 1])
        for x in one.maps[len(maps) :]:
            shape = (len(ws), x.shape[1], min(x.shape[2], size), min(x.shape[3], size))
            maps.append(torch.empty(shape, device=x.device).to(memory_format=torch.channels_last))
        for whole, x in zip(maps, one.maps, strict=True):
            whole[i] = (resize_map(x, size) if x.shape[-1] > size else x)[0]
    return FeatureStack(tuple(maps))


def gather_hypercolumns(stack: FeatureStack, size: int, pixels: Tensor, how: Representation) -> Tensor:
    """Hypercolumns [P, sum C] at pixels of the size x size grid: int64 [P, 3], image, row and column of each.

    Equal to resizing every map and then indexing, at the cost of four reads per pixel and channel.
    """
    image, row, column = pixels.unbind(1)
    parts = []
    for x in stack.maps[how.first :]:
        x = resize_map(x, size) if x.shape[-1] > size else x
        y, z = (_source(i, size, x.shape[-1], how.align_corners) for i in (row, column))
        parts.append(_bilinear(x, y, z, image))
    return torch.cat(parts, dim=1)


def _source(index: Tensor, size: int, source_size: int, align_corners: bool) -> Tensor:
    """Where pixels of a side of `size` lie on one of source_size pixels, as F.interpolate has it."""
    if align_corners:
        return index * ((source_size - 1) / (size - 1))
    return (index + 0.5) * source_size / size - 0.5


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
