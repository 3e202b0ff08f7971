"""Pictures inside annotations: masks, and the size of what may be decoded."""

from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.drawing import Bounds
from gseg_cli.annotate.shapes import Mask
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.pillow import open_picture, picture_errors

FORMATS = ("PNG", "BMP", "TIFF", "GIF")  # lossless; a JPEG smears the edges of a mask


def decode_picture(data: bytes, where: str, most: Bounds) -> Image.Image:
    """A picture, decoded. GsegError when it is broken, or larger than `most`: then nothing of it is decoded."""
    try:
        with picture_errors(Path(where)):
            return _decode(data, where, most)
    except ImageError as error:
        raise ImageError(error.message, error.hint or "save or export it again; a PNG is safest") from error


def _decode(data: bytes, where: str, most: Bounds) -> Image.Image:
    with open_picture(data, list(FORMATS)) as image:
        if not most.hold(image.size):
            expected = f"expected at most {most.width}x{most.height}{most.megapixels}"
            raise GsegError(f"{where}: a picture of {image.width}x{image.height} pixels, {expected}", most.hint)
        image.load()
        return image


def within(size: tuple[int, int]) -> Bounds:
    """For a mask on a picture of that size, (width, height)."""
    return Bounds(*size, size[0] * size[1])


def read_whole_bitmap(data: bytes, where: str, size: tuple[int, int]) -> Mask:
    """As `read_bitmap`, of a mask that covers a picture of that size, (width, height); GsegError when it does not."""
    mask = read_bitmap(data, where, within(size))
    check_covers((mask.shape[1], mask.shape[0]), size, where)
    return mask


def check_covers(mask: tuple[int, int], picture: tuple[int, int], where: str) -> None:
    """GsegError when these sizes, (width, height), differ: a smaller mask would lie in the upper left corner."""
    if mask != picture:
        message = f"{where}: a mask of {mask[0]}x{mask[1]} for a picture of {picture[0]}x{picture[1]}"
        raise GsegError(message, "save the masks at the size of the pictures, or export both again")


def read_bitmap(data: bytes, where: str, most: Bounds) -> Mask:
    """[H, W]: the light and opaque pixels of a mask picture; light for that picture, as labelme's hold 0 and 1."""
    pixels = np.asarray(decode_picture(data, where, most).convert("RGBA"))
    light = pixels[:, :, :3].max(axis=2)
    return (light > light.max() // 2) & (pixels[:, :, 3] > 127)
