"""Parts of a photo on nothing."""

from collections.abc import Sequence

import numpy as np

from gseg_runtime.label_map import LabelMap, Pixels
from gseg_runtime.png import encode_color_png


def encode_cutout(photo: Pixels, labels: LabelMap, shown: Sequence[int]) -> bytes:
    """An RGBA PNG: the photo where a label is one of `shown`, else transparent black, so that nothing is hidden in it.

    photo: uint8 [H, W, 3]; labels: [H, W] of the same size.
    """
    opaque = bytes(255 * (label in shown) for label in range(256))
    # numpy would take eight bytes for each pixel to look them up.
    alpha = np.frombuffer(labels.tobytes().translate(opaque), np.uint8).reshape(labels.shape)
    pixels = np.empty((*labels.shape, 4), np.uint8)
    pixels[..., 3] = alpha
    for channel in range(3):  # of 255 no bit of the photo is lost, of 0 all are
        np.bitwise_and(photo[..., channel], alpha, out=pixels[..., channel])
    return encode_color_png(pixels)
