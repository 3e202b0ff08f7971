"""How a photo comes into the square input of the network, and its label map back out."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from gseg_runtime.label_map import LabelMap, Pixels, resize_labels

Box = tuple[float, float, float, float]  # left, top, right and bottom in pixels
FILL = (128, 128, 128)  # mid grey beside the photo, in training as at run time


@dataclass(frozen=True)
class Letterbox:
    """A photo of height x width pixels, scaled as a whole and centred in a square of `size` pixels."""

    height: int
    width: int
    size: int

    @property
    def scaled(self) -> tuple[int, int]:
        """Height and width of the photo inside the square: the longer side fills it, the shorter has at least 1."""
        longer = max(self.height, self.width)
        return max(1, round(self.height * self.size / longer)), max(1, round(self.width * self.size / longer))

    @property
    def outer(self) -> tuple[int, int]:
        """Height and width of what it is centred in: the square."""
        return self.size, self.size

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the square that the photo takes."""
        (height, width), outer = self.scaled, self.outer
        top, left = (outer[0] - height) // 2, (outer[1] - width) // 2
        return slice(top, top + height), slice(left, left + width)

    def apply(self, pixels: Pixels, fill: tuple[int, ...] = FILL, box: Box | None = None) -> Pixels:
        """The photo in the square, uint8 [size, size, 3], or with an alpha as pixels and fill have it [size, size, 4].

        pixels: the photo, uint8 [H, W, 3], at its full size or decoded at a reduced scale of the same shape. box: where
        it lies in them; None for all of them. Scaled by Pillow's BILINEAR, which averages when it shrinks: without that
        every third pixel of a large photo would be looked at and thin parts lost.
        """
        height, width = self.scaled
        square = np.empty((*self.outer, len(fill)), np.uint8)
        square[:] = fill
        scaled = Image.fromarray(pixels).resize((width, height), Image.Resampling.BILINEAR, box=box)
        square[self.window] = np.asarray(scaled)
        return square

    def undo_labels(self, labels: LabelMap) -> LabelMap:
        """The label map of the photo, uint8 [height, width], from that of the square, uint8 [size, size]."""
        return resize_labels(labels[self.window], (self.height, self.width))
