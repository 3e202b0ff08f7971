"""A DCGAN (Radford et al. 2016) behind the same protocol: the smallest GAN whose features can be repurposed."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from gseg_cli.gan.generator import FeatureStack, OnLayer
from gseg_cli.gan.networks.config import DCGANConfig


class DCGAN(nn.Module):
    """Transposed convolutions with batch normalisation. There is no mapping network: w is z, its mean is zero."""

    kind = "dcgan"
    num_ws = 1

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        self.z_dim = self.w_dim = config.z_dim
        self.img_resolution = config.img_resolution
        self.feature_channels = tuple(config.widths)
        self.compute_dtype = torch.float32
        self.random_noise = False  # DCGAN has no noise inputs
        layers = [self._up(config.z_dim, config.widths[0], stride=1, padding=0)]
        for i, o in pairwise(config.widths):
            layers.append(self._up(i, o, stride=2, padding=1))
        self.layers = nn.ModuleList(layers)
        self.torgb = nn.Conv2d(config.widths[-1], 3, kernel_size=3, padding=1)

    @staticmethod
    def _up(i: int, o: int, stride: int, padding: int) -> nn.Sequential:
        conv = nn.ConvTranspose2d(i, o, kernel_size=4, stride=stride, padding=padding, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(o), nn.ReLU())

    def mapping(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        return (z.float() * truncation_psi).unsqueeze(1)  # [N, 1, z_dim]

    def synthesis(self, ws: Tensor, on_layer: OnLayer | None = None) -> Tensor:
        x = ws[:, 0, :, None, None]
        for layer in self.layers:
            x = layer(x)
            if on_layer is not None:
                on_layer(x)
        return torch.tanh(self.torgb(x))

    def features(self, ws: Tensor) -> tuple[Tensor, FeatureStack]:
        maps: list[Tensor] = []
        image = self.synthesis(ws, maps.append)
        return image, FeatureStack(tuple(maps))

    def track(self, ws: Tensor) -> None:
        """Nothing to do: the mean latent is zero."""


class DCDiscriminator(nn.Module):
    """Strided convolutions; no batch normalisation, because R1 asks for the gradient of each image on its own."""

    kind = "dcgan"

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.compute_dtype = torch.float32
        widths = config.widths[::-1]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], kernel_size=3, padding=1), nn.LeakyReLU(0.2)]
        for i, o in pairwise(widths):
            layers += [nn.Conv2d(i, o, kernel_size=4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        layers.append(nn.Conv2d(widths[-1], 1, kernel_size=4))
        self.layers = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        return self.judge(self.layers[:-1](image))

    def judge(self, x: Tensor) -> Tensor:
        """The logits [N, 1] from the last of the features [N, C, 4, 4]."""
        return self.layers[-1](x).flatten(1)

    def features(self, image: Tensor) -> list[Tensor]:
        """What every layer but the last gives [N, C, r, r], fine to coarse, r from R to 4."""
        maps, x = [], image
        for layer in list(self.layers)[:-1]:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                maps.append(x)
        return maps
