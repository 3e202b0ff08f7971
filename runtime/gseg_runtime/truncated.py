"""Pictures whose file ends early, as after a broken download, read as far as they go.

Pillow has a switch for it, but that one is for the whole process, and does not tell which pictures it helped.
"""

import io

from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile

TRUNCATED = "the file is truncated; what is missing of the photo is blank"
_SAYS = "image file is truncated"
_JPEG_END = b"\xff\xd9"


def is_truncated(error: OSError | str) -> bool:
    """Whether Pillow says so, in an error or its text; it has no exception of its own for it."""
    return str(error).startswith(_SAYS)


def check_complaint(remark: str) -> None:
    """OSError as of Pillow where libjpeg missed data before the next marker: it makes them up, and Pillow is silent."""
    if "premature end of data segment" in remark:
        raise OSError(f"{_SAYS}: {remark}")


def as_far_as_it_goes(image: Image.Image, data: bytes) -> Image.Image:
    """What there is of `image`, whose `load` has just said that `data` is truncated. OSError if all is one colour."""
    if image.format in ("JPEG", "MPO"):  # libjpeg makes up the rest as soon as it sees an end
        image = JpegImageFile(io.BytesIO(data + _JPEG_END))
        image.load()
    elif isinstance(image, ImageFile.ImageFile):
        image.tile = []  # else Pillow would begin again; what it has decoded so far is there
    if image.getcolors(maxcolors=1):
        raise OSError("the file is truncated before the first pixels")
    return image
