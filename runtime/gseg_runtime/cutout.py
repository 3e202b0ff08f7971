"""Parts of a photo on nothing."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gseg_runtime.label_map import LabelMap, Pixels


def encode_cutout(photo: Pixels, labels: LabelMap, shown: Sequence[int]) -> bytes:
    """An RGBA PNG: the photo where a label is one of `shown`, else transparent black, so that nothing is hidden in it.

    photo: uint8 [H, W, 3]; labels: [H, W] of the same size.
    """
    is_shown = np.zeros(256, bool)
    is_shown[list(shown)] = True
    pixels = np.zeros((*labels.shape, 4), np.uint8)
    pixels[..., :3] = photo
    pixels[..., 3] = 255
    pixels[~is_shown[labels]] = 0
    info, file = PngInfo(), io.BytesIO()
    info.add_text("Software", "gseg")
    Image.fromarray(pixels).save(file, "PNG", pnginfo=info, compress_level=1)
    return file.getvalue()
