"""What the rest of gseg asks of a GAN: latents in, an image out, and the activations that made it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

# Is given the activations [N, C_i, H_i, W_i] of every layer, coarse to fine, as soon as they are there.
OnLayer = Callable[[Tensor], None]


@dataclass(frozen=True)
class FeatureStack:
    """Activations of every synthesis layer, coarse to fine, each at its own resolution: [N, C_i, H_i, W_i].

    The upsampled concatenation (the paper's pixel representation) is never built; see gseg_cli/fewshot/features.py.
    """

    maps: tuple[Tensor, ...]

    @property
    def channels(self) -> tuple[int, ...]:
        return tuple(m.shape[1] for m in self.maps)

    def __getitem__(self, rows: slice | Tensor) -> "FeatureStack":
        """The stacks of some of the images."""
        return FeatureStack(tuple(m[rows] for m in self.maps))


class Generator(Protocol):
    """N images, L = num_ws style inputs, W = w_dim, R = img_resolution."""

    z_dim: int
    w_dim: int
    num_ws: int
    img_resolution: int
    feature_channels: tuple[int, ...]

    def mapping(self, z: Tensor, truncation_psi: float = 1.0) -> Tensor:
        """z [N, z_dim] -> ws [N, L, W], pulled towards the mean latent by truncation_psi < 1."""
        ...

    def synthesis(self, ws: Tensor, on_layer: OnLayer | None = None) -> Tensor:
        """ws [N, L, W] -> image [N, 3, R, R], about [-1, 1], not clamped. The noise is constant.

        A layer's activations live no longer than on_layer keeps them: 1024 px have half a gigabyte of them an image.
        """
        ...

    def features(self, ws: Tensor) -> tuple[Tensor, FeatureStack]:
        """The same image, and the activations of every layer, all kept."""
        ...


def images_at_once(generator: Generator, max_pixels: int, most: int) -> int:
    """The batch that takes the memory of max_pixels of a StyleGAN2."""
    pixels = generator.img_resolution**2 * getattr(generator, "relative_memory", 1)
    return max(1, min(most, max_pixels // pixels))


def to_uint8(image: Tensor) -> Tensor:
    """[N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C], as NVIDIA's scripts round (truncation of x * 127.5 + 128)."""
    import torch

    return (image.float() * 127.5 + 128).clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous()
