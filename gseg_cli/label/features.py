"""A network's activations of the pictures: whole in half precision under a budget of bytes, small ones of all."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gseg_cli.fewshot.features import REPRESENTATIONS, gather_hypercolumns, resize_map
from gseg_cli.gan.generator import FeatureStack
from gseg_cli.label.subject import Subject

BUDGET = 400 * 2**20  # bytes of whole stacks: with ten samples of 1024 px the process stays under 2 GB
SMALL_BUDGET = 256 * 2**20  # bytes of all small ones
SMALL_SIZES = (64, 32, 16)  # pixels of a side; the largest that the budget allows
_MOST = 6e4  # what half precision holds


@dataclass(frozen=True)
class Layers:
    """A sample's activations, coarse to fine: float16 [h, h, C_l] each. size: of the picture that they describe."""

    maps: tuple[Tensor, ...]
    size: int

    @property
    def num_bytes(self) -> int:
        return sum(m.nbytes for m in self.maps)

    def at(self, pixels: Tensor) -> Tensor:
        """Hypercolumns float32 [P, sum C] of pixels [P]: row * size + column."""
        where = torch.stack([torch.zeros_like(pixels), pixels // self.size, pixels % self.size], dim=1).to(
            self.maps[0].device
        )
        stack = FeatureStack(tuple(m.permute(2, 0, 1)[None] for m in self.maps))
        return gather_hypercolumns(stack, self.size, where, REPRESENTATIONS["all"]).float()


class SampleFeatures:
    """Makes them when they are asked for. For one thread."""

    def __init__(self, subject: Subject, budget: int = BUDGET) -> None:
        self.subject, self.budget = subject, budget
        self._whole: OrderedDict[int, Layers] = OrderedDict()  # the one used last at the end
        self._small: dict[int, Layers] = {}
        self.small_size = self._choose_small_size(len(subject.seeds))

    def whole(self, seed: int) -> Layers:
        if seed not in self._whole:
            self._make(seed)
        self._whole.move_to_end(seed)
        return self._whole[seed]

    def small(self, seed: int) -> Layers:
        """At the size of a thumbnail, each layer averaged over what a pixel covers."""
        if seed not in self._small:
            self._make(seed)
        return self._small[seed]

    def known(self) -> Sequence[int]:
        """Seeds whose small ones are there."""
        return list(self._small)

    def statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation [sum C] of every channel over the known samples."""
        parts = [_moments([layers.maps[i] for layers in self._small.values()]) for i in range(self.num_layers)]
        return torch.cat([mean for mean, _ in parts]), torch.cat([std for _, std in parts]).clamp_min(1e-6)

    @property
    def num_layers(self) -> int:
        return len(self.subject.feature_channels)

    @torch.no_grad()
    def _make(self, seed: int) -> None:
        """Both kinds in one pass, layer by layer: no layer is there in single precision longer than it takes."""
        whole: list[Tensor] = []
        small: list[Tensor] = []

        def keep(x: Tensor) -> None:
            rows = x.clamp(-_MOST, _MOST)
            whole.append(_rows(rows))
            small.append(_rows(resize_map(rows, self.small_size)) if rows.shape[-1] > self.small_size else whole[-1])

        self._make_room()
        self.subject.activations(seed, keep)
        self._whole[seed] = Layers(tuple(whole), self.subject.size)
        self._small[seed] = Layers(tuple(small), self.small_size)

    def _make_room(self) -> None:
        """Before, not after: the peak counts. At least the newest stays, however large."""
        one = next((layers.num_bytes for layers in self._whole.values()), 0)
        while self._whole and (len(self._whole) + 1) * one > self.budget:
            self._whole.popitem(last=False)

    def _choose_small_size(self, count: int) -> int:
        sizes = [size for size in SMALL_SIZES if size <= self.subject.size] or [self.subject.size]
        per_pixel = 2 * sum(self.subject.feature_channels)
        fitting = [size for size in sizes if count * size**2 * per_pixel <= SMALL_BUDGET]
        return (fitting or sizes[-1:])[0]


def _rows(x: Tensor) -> Tensor:
    """[1, C, h, h] -> float16 [h, h, C]."""
    return x[0].permute(1, 2, 0).half().contiguous()


def _moments(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    values = torch.cat([m.flatten(0, 1) for m in maps]).float()  # [N * h * h, C]
    return values.mean(dim=0), values.std(dim=0)
