"""Pictures inside annotations: masks, and the size of what may be decoded."""

from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.drawing import MAX_SIDE
from gseg_cli.annotate.shapes import Mask
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.pillow import open_picture, picture_errors

FORMATS = ("PNG", "BMP", "TIFF", "GIF")  # lossless; a JPEG smears the edges of a mask


def decode_picture(data: bytes, where: str, most: tuple[int, int] = (MAX_SIDE, MAX_SIDE)) -> Image.Image:
    """A picture, decoded. GsegError when it is broken, or larger than `most`, (width, height): then nothing of it is
    decoded."""
    try:
        with picture_errors(Path(where)):
            return _decode(data, where, most)
    except ImageError as error:
        raise ImageError(error.message, error.hint or "save or export it again; a PNG is safest") from error


def _decode(data: bytes, where: str, most: tuple[int, int]) -> Image.Image:
    with open_picture(data, list(FORMATS)) as image:
        if image.width > most[0] or image.height > most[1]:
            message = f"{where}: a picture of {image.width}x{image.height} pixels, expected at most {most[0]}x{most[1]}"
            raise GsegError(message, "draw at the sample's size")
        image.load()
        return image


def read_bitmap(data: bytes, where: str, most: tuple[int, int] = (MAX_SIDE, MAX_SIDE)) -> Mask:
    """[H, W]: the light and opaque pixels of a mask picture; light for that picture, as labelme's hold 0 and 1."""
    pixels = np.asarray(decode_picture(data, where, most).convert("RGBA"))
    light = pixels[:, :, :3].max(axis=2)
    return (light > light.max() // 2) & (pixels[:, :, 3] > 127)
