"""Opening pictures with Pillow: its many ways to fail in one place."""

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from gseg_runtime.errors import GsegError, ImageError

UNKNOWN = "not a picture of a known format"

# Pillow warns from 89 megapixels and refuses from 179. The refusal stays; up to it photos are welcome.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
# What else it warns of, as broken EXIF or unknown tags, costs no photo, and names none.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").addHandler(logging.NullHandler())  # without any handler, its errors would go to stderr


def open_picture(data: bytes, formats: list[str]) -> Image.Image:
    """The picture in `data`, not yet decoded. Call it, and decode, inside `picture_errors`."""
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except ValueError as error:
        if "MAX_TEXT" not in str(error):
            raise
    return Image.open(io.BytesIO(_without_profile(data)), formats=formats)


def _without_profile(png: bytes) -> bytes:
    """Pillow refuses texts of more than a megabyte, and takes colour profiles for such; that of a calibrated screen has
    several, and a screenshot holds it. Profiles are not applied here."""
    place = png.find(b"iCCP", 0, 65_536) - 4  # it stands before the pixels
    if place < 0:
        return png
    end = place + 12 + int.from_bytes(png[place : place + 4])
    return png[:place] + png[end:]


class TooLargeError(ValueError):
    """A picture has more pixels than are wanted."""


def is_too_large(error: BaseException | str | None) -> bool:
    """Whether an error, or its text, says that a picture has too many pixels. Pillow has one of its own for its limit,
    and raises it before anybody learns the size."""
    if isinstance(error, str):
        return " pixels, more than " in error or "decompression bomb" in error
    return isinstance(error, TooLargeError | Image.DecompressionBombError)


def check_size(width: int, height: int, max_pixels: int | None) -> None:
    """TooLargeError for a picture of more pixels; None is Pillow's own limit, which is twice what it warns of."""
    if max_pixels is None and Image.MAX_IMAGE_PIXELS:
        max_pixels = 2 * Image.MAX_IMAGE_PIXELS
    if max_pixels is not None and width * height > max_pixels:
        raise TooLargeError(f"{width * height} pixels, more than {max_pixels}")


def allow_pixels(max_pixels: int) -> None:
    """Let Pillow decode pictures of so many pixels. It has one limit for the whole process, which is never lowered."""
    if Image.MAX_IMAGE_PIXELS and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels


@contextmanager
def picture_errors(path: Path) -> Iterator[None]:
    """Turn whatever a decoder raises on a broken file into an ImageError that names it.

    Too little memory is no fault of the file.
    """
    try:
        yield
    except (GsegError, MemoryError):
        raise
    except Exception as error:  # Pillow's readers raise nearly anything: SyntaxError, KeyError, struct.error ...
        raise ImageError(f"{path}: {_describe(error)}") from error


def _describe(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):  # its own text is the address of a buffer
        return UNKNOWN
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, KeyError):  # its own text is a number or a word of the file
        return f"holds something unknown: {error}"
    return str(error) or f"not as its format should be ({type(error).__name__})"
