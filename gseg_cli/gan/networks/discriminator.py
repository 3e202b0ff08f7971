"""The StyleGAN2 discriminator in its three architectures, as in stylegan2-ada-pytorch; its state-dict names too."""

import math

import torch
from torch import Tensor, nn

from gseg_cli.gan.networks import ops
from gseg_cli.gan.networks.config import StyleGAN2Config
from gseg_cli.gan.networks.mapping import ClassIndex, MappingNetwork
from gseg_cli.gan.networks.ops import ConvLayer as ConvLayer
from gseg_cli.gan.transparency import as_channels


class DiscriminatorBlock(nn.Module):
    """One resolution. orig: two convolutions; resnet: and a shortcut; skip: and the picture, read at every size."""

    resample_filter: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        first: bool,
        architecture: str = "resnet",
        img_channels: int = 3,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.first, self.architecture = first, architecture
        if first or architecture == "skip":
            self.fromrgb = ConvLayer(img_channels, in_channels, kernel=1, clamp=clamp)
        self.conv0 = ConvLayer(in_channels, in_channels, kernel=3, clamp=clamp)
        self.conv1 = ConvLayer(in_channels, out_channels, kernel=3, down=True, clamp=clamp)
        if architecture == "resnet":
            self.skip = ConvLayer(in_channels, out_channels, kernel=1, down=True, bias=False, linear=True)
        if architecture == "skip":
            self.register_buffer("resample_filter", ops.resample_filter())

    def forward(self, x: Tensor) -> Tensor:
        """x: the picture for the first block, else what the block before gave."""
        if self.first:
            x = self.fromrgb(x)
        if self.architecture != "resnet":
            return self.conv1(self.conv0(x))
        y = self.skip(x, gain=math.sqrt(0.5))
        return y.add_(self.conv1(self.conv0(x), gain=math.sqrt(0.5)))


def minibatch_std(x: Tensor, group_size: int | None = 4, num_channels: int = 1) -> Tensor:
    """Append channels: the standard deviation over groups of images, averaged over pixels and a share of channels."""
    n, c, h, w = x.shape
    g = n if group_size is None else min(group_size, n)
    g = g if n % g == 0 else math.gcd(g, n)
    y = x.reshape(g, -1, num_channels, c // num_channels, h, w)
    y = (y - y.mean(dim=0)).square().mean(dim=0).add(1e-8).sqrt().mean(dim=[2, 3, 4])  # [N/g, num_channels]
    return torch.cat([x, y.reshape(-1, num_channels, 1, 1).repeat(g, 1, h, w)], dim=1)


class DiscriminatorEpilogue(nn.Module):
    """4x4 to a logit, or, of a conditional GAN, to the agreement of the picture with its class."""

    def __init__(self, channels: int, cmap_dim: int, config: StyleGAN2Config) -> None:
        super().__init__()
        d = config.discriminator
        self.mbstd = (d.mbstd_group_size, d.mbstd_num_channels)
        if d.architecture == "skip":
            self.fromrgb = ConvLayer(config.img_channels, channels, kernel=1)
        self.conv = ConvLayer(channels + d.mbstd_num_channels, channels, kernel=3, clamp=d.conv_clamp)
        self.fc = ops.EqualLinear(channels * max(config.first_layer) ** 2, channels, act=True)
        self.out = ops.EqualLinear(channels, cmap_dim or 1)

    def forward(self, x: Tensor, cmap: Tensor | None) -> Tensor:
        x = self.conv(minibatch_std(x, *self.mbstd) if self.mbstd[1] else x)
        x = self.out(self.fc(x.flatten(1)))
        return x if cmap is None else (x * cmap).sum(dim=1, keepdim=True) / math.sqrt(cmap.shape[1])  # [N, 1]


class Discriminator(nn.Module):
    """`compute_dtype`, `num_lowp_res` and `class_index` as of the generator."""

    kind = "stylegan2"

    def __init__(self, config: StyleGAN2Config) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        self.num_lowp_res = config.num_lowp_res
        self.class_index: ClassIndex = None
        self.resolutions = config.resolutions[:0:-1]  # R ... 8
        self.is_skip = config.discriminator.architecture == "skip"
        for r in self.resolutions:
            setattr(self, f"b{r}", self._block(r))
        channels = config.channels_of_discriminator(4)
        cmap_dim = (config.discriminator.cmap_dim or channels) if config.c_dim else 0
        if cmap_dim:
            d = config.discriminator
            self.mapping = MappingNetwork(0, config.c_dim, cmap_dim, d.mapping_layers, d.mapping_lr_multiplier)
        self.b4 = DiscriminatorEpilogue(channels, cmap_dim, config)

    def _block(self, r: int) -> DiscriminatorBlock:
        config, d = self.config, self.config.discriminator
        return DiscriminatorBlock(
            config.channels_of_discriminator(r), config.channels_of_discriminator(r // 2),
            first=r == config.resolutions[-1], architecture=d.architecture, img_channels=config.img_channels,
            clamp=d.conv_clamp,
        )  # fmt: skip

    def forward(self, image: Tensor) -> Tensor:
        """image [N, 3, R, R] in [-1, 1], or with alpha [N, 4, R, R] -> logits [N, 1], larger for real."""
        return self.judge(self.features(image)[-1])

    def judge(self, x: Tensor) -> Tensor:
        """The logits [N, 1] from the last of the features [N, C, 4, 4]."""
        cmap = self.mapping(None, self.mapping.label(self.class_index, len(x))) if self.config.c_dim else None
        return self.b4(x.float(), cmap)

    def features(self, image: Tensor) -> list[Tensor]:
        """The output of every block [N, C, r, r], fine to coarse, r from R / 2 to 4."""
        maps: list[Tensor] = []
        image = as_channels(image, self.config.img_channels)
        x = image.contiguous(memory_format=torch.channels_last)
        for i, r in enumerate(self.resolutions):
            block = getattr(self, f"b{r}")
            dtype = self.compute_dtype if self.num_lowp_res is None or i < self.num_lowp_res else torch.float32
            image = image.to(dtype)
            x = block(x.to(dtype))
            if self.is_skip:
                image = ops.downsample2d(image, block.resample_filter)
                x = x + getattr(self, f"b{r // 2}").fromrgb(image)
            maps.append(x)
        return maps
