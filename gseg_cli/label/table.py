"""The hypercolumns of the labelled pixels, and the products of each two, kept from one stroke to the next."""

from collections.abc import Callable, Generator

import numpy as np
import torch
from torch import Tensor

from gseg_cli.label.pixels import Pixels

Gather = Callable[[int, Tensor], Tensor]  # a sample's seed and places in it [P] -> hypercolumns [P, sum C]


class Table:
    """columns [P, sum C], standardised and divided by the root of their number; gram [P, P] of them; labels [P]."""

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        self.mean, self.scale = mean, std * len(std) ** 0.5
        self.columns, self.gram = mean.new_zeros(0, len(mean)), mean.new_zeros(0, 0)
        self.labels = torch.zeros(0, dtype=torch.long)
        self._rows: dict[tuple[int, int], int] = {}  # by seed and place

    def rescale(self, mean: Tensor, std: Tensor) -> None:
        """Standardise with the statistics of more samples."""
        scale = std * len(std) ** 0.5
        self.columns = (self.columns * self.scale + (self.mean - mean)) / scale
        self.mean, self.scale = mean, scale
        self.gram = self.columns @ self.columns.t()

    def follow(self, pixels: Pixels, gather: Gather) -> Generator[None, None, int]:
        """Hold those pixels and no others; returns how many were new. Pauses after each sample of new ones; who stops
        there leaves the table as it was."""
        keys = list(zip(pixels.seeds.tolist(), pixels.places.tolist(), strict=True))
        old = [self._rows[key] for key in keys if key in self._rows]
        is_new = np.array([key not in self._rows for key in keys], bool)
        order = np.concatenate([np.flatnonzero(~is_new), np.flatnonzero(is_new)])
        new = yield from self._gathered(pixels, is_new, gather)
        self._extend(torch.tensor(old, dtype=torch.long), new)
        self._rows = {keys[i]: row for row, i in enumerate(order)}
        self.labels = torch.from_numpy(pixels.labels[order])
        return int(is_new.sum())

    def unscaled(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """A linear layer on `columns`, [O, sum C] and [O], as one on hypercolumns as they are."""
        weight = weight / self.scale
        return weight, bias - weight @ self.mean

    def output(self, weight: Tensor, bias: Tensor) -> Tensor:
        """[P, O] of a linear layer on hypercolumns as they are."""
        return self.columns @ (weight * self.scale).t() + (bias + weight @ self.mean)

    def _gathered(self, pixels: Pixels, is_new: np.ndarray, gather: Gather) -> Generator[None, None, Tensor]:
        parts = [self.columns[:0]]
        for seed in np.unique(pixels.seeds[is_new]):
            places = torch.from_numpy(pixels.places[is_new & (pixels.seeds == seed)])
            parts.append((gather(int(seed), places) - self.mean) / self.scale)
            yield
        return torch.cat(parts)

    def _extend(self, old: Tensor, new: Tensor) -> None:
        kept = self.columns[old]
        cross = kept @ new.t()
        upper = torch.cat([self.gram[old][:, old], cross], dim=1)
        self.gram = torch.cat([upper, torch.cat([cross.t(), new @ new.t()], dim=1)])
        self.columns = torch.cat([kept, new])
