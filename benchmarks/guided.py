"""Scores enlarged along the edges of the photo: the fast guided filter of He and Sun (arXiv 1505.00996), in colour.

In a window around each point of the network's grid a class's scores are taken for a linear function of the photo's
colours. These functions are enlarged, and then asked with the colours of the large photo.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_runtime.label_map import LabelMap, Pixels

Planes = npt.NDArray[np.float64]  # [..., h, w]


def guided_labels(shares: Planes, grid: Pixels, photo: Pixels, *, radius: int = 1, eps: float = 1e-4) -> LabelMap:
    """The label map of the photo, uint8 [H, W].

    shares: [C, h, w]; grid, photo: uint8, the photo at the size of the grid, [h, w, 3], and its own, [H, W, 3].
    radius: of the window, in points; eps: how much the colours may vary without an edge, of the range 0..1 squared.
    """
    colours = grid.transpose(2, 0, 1) / 255
    means, share_means = _mean(colours, radius), _mean(shares, radius)
    spread = _mean(colours[:, None] * colours[None], radius) - means[:, None] * means[None]  # [3, 3, h, w]
    inverse = np.linalg.inv(spread.transpose(2, 3, 0, 1) + eps * np.eye(3))  # [h, w, 3, 3]
    together = _mean(shares[:, None] * colours[None], radius) - share_means[:, None] * means[None]  # [C, 3, h, w]
    slopes = np.einsum("ckhw,hwkl->clhw", together, inverse)
    offsets = share_means - (slopes * means[None]).sum(axis=1)
    slopes, offsets = _mean(slopes, radius), _mean(offsets, radius)
    size, large = photo.shape[:2], photo.transpose(2, 0, 1) / 255
    scores = [
        enlarged(offset, size) + sum(enlarged(part, size) * colour for part, colour in zip(slope, large, strict=True))
        for slope, offset in zip(slopes, offsets, strict=True)
    ]
    return np.argmax(scores, axis=0).astype(np.uint8)


def enlarged(plane: Planes, size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Linearly, to (height, width)."""
    image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))


def _mean(planes: Planes, radius: int) -> Planes:
    """Over a square of 2 radius + 1 points, as far as it lies in the plane."""
    return _sum(planes, radius) / _sum(np.ones(planes.shape[-2:]), radius)


def _sum(planes: Planes, radius: int) -> Planes:
    side = 2 * radius + 1
    padding = [(0, 0)] * (planes.ndim - 2) + [(radius + 1, radius)] * 2
    total = np.pad(planes, padding).cumsum(axis=-2).cumsum(axis=-1)
    return total[..., side:, side:] - total[..., :-side, side:] - total[..., side:, :-side] + total[..., :-side, :-side]
