"""Label maps along the edges of the photo: the fast guided filter of He and Sun (arXiv 1505.00996), in colour.

In a window around each point of the network's grid a class's share is taken for a linear function of the photo's
colours. These functions are enlarged, and then asked with the colours of the photo itself. As with smooth edges, only
cells near an edge are decided pixel by pixel, and only among the labels around.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gseg_runtime.label_map import LabelMap, Pixels
from gseg_runtime.smooth import Cells, Indices, Logits, axis_of

RADIUS = 1  # of the window, in points
EPSILON = 1e-4  # how much colours vary without an edge, of the range 0..1 squared
_Planes = npt.NDArray[np.float64]  # [..., h, w]
_AROUND = ((0, 0), (0, 1), (1, 0), (1, 1), (-1, -1), (-1, 2), (2, -1), (2, 2))  # points whose labels a cell may have


def guided_labels(logits: Logits, grid: Pixels, photo: Pixels) -> LabelMap:
    """The label map of the photo, uint8 [H, W].

    logits: [C, h, w]; grid, photo: the photo at the size of the grid and at its own, uint8 [h, w, 3] and [H, W, 3].
    """
    shares = np.exp(logits - logits.max(axis=0))
    shares /= shares.sum(axis=0)
    labels = np.empty(photo.shape[:2], np.uint8)
    rows, columns = axis_of(grid.shape[0], photo.shape[0]), axis_of(grid.shape[1], photo.shape[1])
    _GuidedCells(shares, rows, columns, _functions(shares, grid), photo).decide(labels)
    return labels


def _functions(shares: Logits, grid: Pixels) -> Logits:
    """Of colours 0..1, around each point: offset and three slopes, float32 [C, 4, h, w]."""
    colours = grid.transpose(2, 0, 1) / 255
    means, share_means = _mean(colours), _mean(shares)
    spread = _mean(colours[:, None] * colours[None]) - means[:, None] * means[None]  # [3, 3, h, w]
    inverse = np.linalg.inv(spread.transpose(2, 3, 0, 1) + EPSILON * np.eye(3))  # [h, w, 3, 3]
    together = _mean(shares[:, None] * colours[None]) - share_means[:, None] * means[None]  # [C, 3, h, w]
    slopes = np.einsum("ckhw,hwkl->clhw", together, inverse)
    offsets = share_means - (slopes * means[None]).sum(axis=1)
    return _mean(np.concatenate([offsets[:, None], slopes], axis=1)).astype(np.float32)


def _mean(planes: npt.NDArray[np.floating]) -> _Planes:
    """Over the window of each point, as far as it lies in the plane."""
    return _sum(planes) / _sum(np.ones(planes.shape[-2:]))


def _sum(planes: npt.NDArray[np.floating]) -> _Planes:
    side = 2 * RADIUS + 1
    padding = [(0, 0)] * (planes.ndim - 2) + [(RADIUS + 1, RADIUS)] * 2
    total = np.pad(planes.astype(np.float64), padding).cumsum(axis=-2).cumsum(axis=-1)
    return total[..., side:, side:] - total[..., :-side, side:] - total[..., side:, :-side] + total[..., :-side, :-side]


@dataclass(frozen=True)
class _GuidedCells(Cells):
    """functions: of `_functions`; photo: uint8 [H, W, 3]. The band is the shares of the whole grid."""

    functions: Logits
    photo: Pixels

    def is_open(self) -> npt.NDArray[np.bool_]:
        """Next to an edge, too, which may lie in the neighbouring cell."""
        padded = np.pad(super().is_open(), 1)
        height, width = padded.shape
        return np.any([padded[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)], axis=0)

    def choose(self, rows: Indices, columns: Indices, y: Indices, x: Indices) -> LabelMap:
        down, along = self.rows.share[y][:, None, :, None], self.columns.share[x][:, None]  # [N, 1, h, 1], [N, 1, w]
        colours = self.photo[y[:, :, None], x[:, None]].transpose(0, 3, 1, 2) / np.float32(255)  # [N, 3, h, w]
        corners = [self.at(rows + i, columns + j) for i, j in _AROUND[:4]]
        best = np.full((len(rows), y.shape[1], x.shape[1]), -np.inf, np.float32)
        chosen = np.zeros(best.shape, np.uint8)
        for candidate in [self.small[self.at(rows + i, columns + j)] for i, j in _AROUND]:
            upper_left, upper_right, lower_left, lower_right = (
                self.functions[candidate, :, *corner][:, :, None] for corner in corners
            )  # [N, 4, 1]
            upper = upper_left + (upper_right - upper_left) * along
            lower = lower_left + (lower_right - lower_left) * along
            planes = upper[:, :, None] + (lower - upper)[:, :, None] * down  # [N, 4, h, w]
            share = planes[:, 0] + (planes[:, 1:] * colours).sum(axis=1)
            chosen = np.where(share > best, candidate[:, None, None], chosen)
            best = np.maximum(best, share)
        return chosen
