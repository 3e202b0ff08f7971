"""Pictures inside annotations: masks, and the size of what may be decoded."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.drawing import MAX_SIDE
from gseg_cli.annotate.shapes import Mask
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.pictures import open_picture, picture_errors

FORMATS = ("PNG", "BMP", "TIFF", "GIF")  # lossless; a JPEG smears the edges of a mask


def decode_picture(data: bytes, where: str, formats: Sequence[str] = FORMATS) -> Image.Image:
    """A picture, decoded. GsegError when it is broken, or larger than any sample: then nothing of it is decoded."""
    try:
        with picture_errors(Path(where)):
            return _decode(data, where, formats)
    except ImageError as error:
        raise ImageError(error.message, error.hint or "save or export it again; a PNG is safest") from error


def _decode(data: bytes, where: str, formats: Sequence[str]) -> Image.Image:
    with open_picture(data, list(formats)) as image:
        if max(image.size) > MAX_SIDE:
            message = (
                f"{where}: a picture of {image.width}x{image.height} pixels, but at most {MAX_SIDE} a side are taken"
            )
            raise GsegError(message, "draw at the sample's size")
        image.load()
        return image


def read_bitmap(data: bytes, where: str) -> Mask:
    """[H, W]: the light and opaque pixels of a mask picture; light for that picture, as labelme's hold 0 and 1."""
    pixels = np.asarray(decode_picture(data, where).convert("RGBA"))
    light = pixels[:, :, :3].max(axis=2)
    return (light > light.max() // 2) & (pixels[:, :, 3] > 127)
