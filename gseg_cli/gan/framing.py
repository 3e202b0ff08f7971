"""Which part of a photo comes into the GAN's square: all of it (gseg_runtime.geometry), or the square in its middle."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import UsageError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.label_map import LabelMap, Pixels, resize_labels

FITS = ("letterbox", "crop")


@dataclass(frozen=True)
class CenterCrop:
    """The largest square in the middle of a photo of height x width pixels, scaled to `size`, as `gan-train` crops."""

    height: int
    width: int
    size: int

    @property
    def outer(self) -> tuple[int, int]:
        """Height and width of the square."""
        return self.size, self.size

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the square that the photo takes: all."""
        return slice(0, self.size), slice(0, self.size)

    def apply(self, pixels: Pixels) -> Pixels:
        """The square, uint8 [size, size, 3]."""
        return crop_square(pixels, self.size)

    def undo_labels(self, labels: LabelMap) -> LabelMap:
        """The label map of the photo, uint8 [height, width]; 255 beside the square, where nobody looked."""
        full = np.full((self.height, self.width), IGNORE, np.uint8)
        side = min(self.height, self.width)
        full[_middle(self.height, self.width)] = resize_labels(labels, (side, side))
        return full


Framing = Letterbox | CenterCrop


def crop_square(pixels: Pixels, size: int, box: tuple[int, int, int, int] | None = None) -> Pixels:
    """The largest square in the middle of a photo, uint8 [size, size, 3], as GANs are trained on it.

    box: left, top, right, bottom in pixels, to take this part instead. ValueError when it reaches out of the photo.
    """
    if box is None:
        rows, columns = _middle(*pixels.shape[:2])
        box = columns.start, rows.start, columns.stop, rows.stop
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS, box=box))


def mask_of(framing: Framing) -> npt.NDArray[np.bool_]:
    """Where in the square the photo is, [size, size]."""
    mask = np.zeros((framing.size, framing.size), bool)
    mask[framing.window] = True
    return mask


def frame(height: int, width: int, size: int, fit: str) -> Framing:
    """UsageError for an unknown `fit`."""
    check_fit(fit)
    return (Letterbox if fit == "letterbox" else CenterCrop)(height, width, size)


def check_fit(fit: str) -> None:
    if fit not in FITS:
        raise UsageError(f"--fit: expected one of {', '.join(FITS)}, got {fit!r}")


def frame_labels(labels: LabelMap, framing: Framing) -> LabelMap:
    """A photo's label map in the square, uint8 [size, size], or what tiles are cut from: 255 where the photo is not."""
    square = np.full(framing.outer, IGNORE, np.uint8)
    rows, columns = framing.window
    shown = labels[_middle(*labels.shape)] if isinstance(framing, CenterCrop) else labels
    square[framing.window] = resize_labels(shown, (rows.stop - rows.start, columns.stop - columns.start))
    return square


def _middle(height: int, width: int) -> tuple[slice, slice]:
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return slice(top, top + side), slice(left, left + side)
