"""A StyleGAN2's noise maps, one set per image, in place of the constant ones of its checkpoint.

Source of the regularisation: Karras et al. 2020, *Analyzing and Improving the Image Quality of StyleGAN*, appendix D.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NoiseMaps = Mapping[str, Tensor]  # the buffer's name -> [N, 1, h, h]
_BUFFER = "noise_const"


def copy_noise(generator: Any, n: int) -> dict[str, Tensor]:
    """The constant maps, n times; empty for a generator without noise."""
    return {
        name: buffer.repeat(n, 1, 1, 1)
        for name, buffer in generator.named_buffers()
        if name.rpartition(".")[2] == _BUFFER
    }


@contextmanager
def with_noise(generator: Any, maps: NoiseMaps) -> Iterator[None]:
    """Inside, the generator draws N images with these maps, whatever method it is asked by."""
    layers = {name: generator.get_submodule(name.rpartition(".")[0]) for name in maps}
    before = {name: getattr(layer, _BUFFER) for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            setattr(layer, _BUFFER, maps[name])
        yield
    finally:
        for name, layer in layers.items():
            setattr(layer, _BUFFER, before[name])


def structure(maps: NoiseMaps) -> Tensor | float:
    """How far each image's maps are from being noise [N]: their autocorrelation at every size down to 8 x 8."""
    total: Tensor | float = 0.0
    for noise in maps.values():
        while True:
            for dim in (2, 3):
                total = total + (noise * noise.roll(1, dim)).mean(dim=[1, 2, 3]).square()
            if noise.shape[-1] <= 8:
                break
            noise = 2 * F.avg_pool2d(noise, 2)  # keeps its deviation
    return total


@torch.no_grad()
def renormalize(maps: NoiseMaps) -> None:
    """Give each map mean 0 and deviation 1 again, in place, as noise has."""
    for noise in maps.values():
        noise -= noise.mean(dim=[1, 2, 3], keepdim=True)
        noise *= noise.square().mean(dim=[1, 2, 3], keepdim=True).add(1e-8).rsqrt()
