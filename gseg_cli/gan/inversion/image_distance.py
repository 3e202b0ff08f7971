"""How unlike two pictures are, for latent optimisation: pixels at several sizes, and features of a network."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_runtime.errors import BackendUnavailable, CheckpointError
from gseg_runtime.pip_hint import install

# Images [N, 3, R, R] in [-1, 1] -> maps [N, C, h, h] whose squared differences count.
Features = Callable[[Tensor], Sequence[Tensor]]
MAX_SIDE = 256  # pixels LPIPS looks at, as in rosinality's projector
SCALES = (1, 2, 4, 8)


class ImageDistance:
    """Of images to these photos [N, 3, R, R]: [N], differentiable. features: of a network, None for pixels alone."""

    def __init__(self, photos: Tensor, features: Features | None) -> None:
        self._pyramid = _pyramid(photos)
        self._features = features
        with torch.no_grad():
            self._wanted = features(photos) if features else []

    def __call__(self, images: Tensor) -> Tensor:
        pixels = [(a - b).square().mean(dim=[1, 2, 3]) for a, b in zip(_pyramid(images), self._pyramid, strict=True)]
        distance = torch.stack(pixels).mean(dim=0)
        if self._features:
            pairs = zip(self._features(images), self._wanted, strict=True)
            parts = [(a - b).square().sum(dim=1).mean(dim=[1, 2]) for a, b in pairs]
            distance = distance + torch.stack(parts).mean(dim=0)
        return distance


def _pyramid(images: Tensor) -> list[Tensor]:
    return [F.avg_pool2d(images, scale) if scale > 1 else images for scale in SCALES if scale <= images.shape[-1]]


def _unit(x: Tensor) -> Tensor:
    """Each pixel's channels scaled to length 1, as LPIPS compares features."""
    return x * (x.square().sum(dim=1, keepdim=True) + 1e-8).rsqrt()


def discriminator_features(discriminator: Any) -> Features:
    """What the GAN's own discriminator sees at every size: it has learned to look at such pictures."""
    return lambda images: [_unit(x) for x in discriminator.features(images)]


def lpips_features(weights: Path, device: torch.device) -> Features:
    """The features that LPIPS (Zhang et al. 2018) compares, weighted as it weights them; nothing is downloaded.

    weights: torchvision's of VGG16. BackendUnavailable without the package lpips; CheckpointError for another file.
    """
    net = _load_lpips(weights).eval().requires_grad_(False).to(device)
    scale = [layer.model[-1].weight.clamp_min(0).sqrt() for layer in net.lins]  # [1, C, 1, 1]

    def features(images: Tensor) -> list[Tensor]:
        factor = max(1, images.shape[-1] // MAX_SIDE)
        maps = net.net(net.scaling_layer(F.avg_pool2d(images, factor) if factor > 1 else images))
        return [_unit(x) * s for x, s in zip(maps, scale, strict=True)]

    return features


def _load_lpips(weights: Path) -> Any:
    try:
        import lpips
    except ImportError as error:
        raise BackendUnavailable(f"LPIPS needs the package lpips: {error}", install("perceptual")) from error
    hint = "torchvision's vgg16-397923af.pth holds them"
    try:
        state = torch.load(weights, map_location="cpu", weights_only=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls torchvision in an old way
            net = lpips.LPIPS(net="vgg", pnet_rand=True, verbose=False)  # random, or it would download them
        own = {name: state["features." + name.partition(".")[2]] for name in net.net.state_dict()}
        net.net.load_state_dict(own)
    except Exception as error:  # torch raises nearly anything on a file that is none of its own
        raise CheckpointError(f"{weights}: not the weights of VGG16: {error}", hint) from error
    return net
