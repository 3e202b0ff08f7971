"""A linear layer on the hypercolumns of a whole picture, a strip of rows at a time: the hypercolumns are never made.

It commutes with the enlarging of the layers, so each is projected at its own size; see gseg_cli/fewshot/features.py.
"""

from collections.abc import Iterator
from functools import reduce

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.label.features import Layers

_STRIP = 2**22  # floats of a strip


class Projection:
    """weight [O, sum C] and bias [O] on the layers of a sample."""

    def __init__(self, layers: Layers, weight: Tensor, bias: Tensor) -> None:
        self.size, self.bias = layers.size, bias
        self._fine: list[tuple[Tensor, Tensor]] = []  # layers of the full size with their weights
        self._coarse: dict[int, Tensor] = {}  # by size: [O, h, h], the sum of those layers
        kernels = weight.split([m.shape[-1] for m in layers.maps], dim=1)
        for rows, kernel in zip(layers.maps, kernels, strict=True):
            self._add(rows, kernel)

    def strips(self) -> Iterator[Tensor]:
        """[n, size, O] of the rows, from above."""
        step = max(1, _STRIP // (self.size * len(self.bias)))
        for top in range(0, self.size, step):
            yield self._strip(top, min(step, self.size - top))

    @torch.no_grad()
    def _add(self, rows: Tensor, kernel: Tensor) -> None:
        size = rows.shape[0]
        if size == self.size:
            self._fine.append((rows, kernel))
            return
        projected = F.linear(rows.float(), kernel).permute(2, 0, 1)
        self._coarse[size] = self._coarse[size] + projected if size in self._coarse else projected

    @torch.no_grad()
    def _strip(self, top: int, num_rows: int) -> Tensor:
        total = self.bias.repeat(num_rows, self.size, 1)
        for rows, kernel in self._fine:
            total += F.linear(rows[top : top + num_rows].float(), kernel)
        # Added up as they are enlarged, channels first: at 1024 px, to turn each took a quarter of a prediction.
        enlarged = (_enlarged(coarse, self.size, top, num_rows) for coarse in self._coarse.values())
        return total.add_(reduce(Tensor.add_, enlarged).permute(1, 2, 0)) if self._coarse else total


def _enlarged(x: Tensor, size: int, top: int, num_rows: int) -> Tensor:
    """Rows of x [O, h, h] enlarged to size x size, as F.interpolate has them: [O, num_rows, size]."""
    scale, last = x.shape[-1] / size, x.shape[-1] - 1
    where = [min(max((top + i + 0.5) * scale - 0.5, 0), last) for i in range(num_rows)]
    above = [int(y) for y in where]
    below = [min(y + 1, last) for y in above]
    share = x.new_tensor([y - int(y) for y in where])[:, None]
    rows = x[:, above].lerp(x[:, below], share)
    return F.interpolate(rows[None], size=(num_rows, size), mode="bilinear", align_corners=False)[0]
