"""Where a large photo is cut into overlapping tiles."""

import math
from dataclasses import dataclass

from gseg_runtime.geometry import Letterbox


@dataclass(frozen=True)
class Tiling(Letterbox):
    """A photo scaled so that `tile` of its pixels become `size`; a side that is shorter still is filled up."""

    tile: int

    @property
    def scaled(self) -> tuple[int, int]:
        """Height and width of the photo in the picture that is cut into squares."""
        height, width = (max(1, round(side * self.size / self.tile)) for side in (self.height, self.width))
        return height, width

    @property
    def outer(self) -> tuple[int, int]:
        """Height and width of that picture."""
        height, width = self.scaled
        return max(height, self.size), max(width, self.size)

    @property
    def places(self) -> tuple[list[int], list[int]]:
        """Rows and columns where squares begin. Each covers half of the next one at least, and no pixel is left out."""
        return _places(self.outer[0], self.size), _places(self.outer[1], self.size)

    @property
    def squares(self) -> list[tuple[slice, slice]]:
        """Rows and columns of all squares."""
        tops, lefts = self.places
        return [(slice(y, y + self.size), slice(x, x + self.size)) for y in tops for x in lefts]


def _places(length: int, size: int) -> list[int]:
    steps = math.ceil((length - size) / max(1, size // 2))
    return [round(step * (length - size) / max(1, steps)) for step in range(steps + 1)]
