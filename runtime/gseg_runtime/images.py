"""Decoding photos: always uint8 RGB, always as they are displayed."""

import os
import stat
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import simplejpeg
from PIL import Image

from gseg_runtime.class_map import Color
from gseg_runtime.errors import UsageError
from gseg_runtime.geometry import Box
from gseg_runtime.jpeg_scans import check_scans
from gseg_runtime.label_map import Pixels
from gseg_runtime.libtiff import heard_errors
from gseg_runtime.photo_names import SUFFIXES as SUFFIXES
from gseg_runtime.picture_formats import NUM_BYTES, formats_of, open_photo
from gseg_runtime.pillow import UNKNOWN, picture_errors
from gseg_runtime.tiff import decode_tiff
from gseg_runtime.tiff_pages import MORE, holds_more
from gseg_runtime.tiff_tags import TiffTags
from gseg_runtime.to_rgb import BLACK, orientation_of, to_rgb, upright
from gseg_runtime.truncated import TRUNCATED as TRUNCATED
from gseg_runtime.truncated import as_far_as_it_goes, check_complaint, is_truncated
from gseg_runtime.walk import list_images as list_images
from gseg_runtime.walk import list_photos as list_photos

_LARGE = 32_000_000  # pixels; decoding one takes up to 16 bytes for each, and there may be many workers
_one_at_a_time: AbstractContextManager[Any] = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How photos are decoded.

    fast: a JPEG's longer side is decoded to as many pixels as are needed, not twice as many. Faster still, and one grey
    level from the full decode. background: RGB behind transparent areas. allow_truncated: read a file that ends early
    as far as it goes. max_pixels: the largest photo that is read; None is Pillow's limit, 179 megapixels.
    """

    fast: bool = False
    background: Color = BLACK
    allow_truncated: bool = False
    max_pixels: int | None = None

    def __post_init__(self) -> None:
        """UsageError for a background that is none."""
        is_color = isinstance(self.background, Sequence) and len(self.background) == 3
        if not (is_color and all(isinstance(value, int) and 0 <= value <= 255 for value in self.background)):
            message = f"background: expected three numbers from 0 to 255, got {self.background!r}"
            raise UsageError(message, "PIL.ImageColor.getrgb gives those of a name")


@dataclass(frozen=True)
class Photo:
    """pixels: uint8 [H, W, 3], RGB, upright, perhaps at a reduced scale; height, width: the full displayed size.

    remark: what the decoder found amiss, though it went on. box: where the photo lies in the pixels, if these reach
    beyond it; None for all of them.
    """

    pixels: Pixels
    height: int
    width: int
    remark: str = ""
    box: Box | None = None


def read_image(path: Path, min_size: int | None = None) -> Photo:
    """Decode a picture of any mode to RGB, its EXIF orientation applied, transparency over black.

    min_size: how many pixels the longer side is needed for. A JPEG is then decoded at the smallest scale that
    keeps twice as many, which is several times faster and differs from the full decode by a quarter of a grey
    level once resized. None decodes at full size. 16-bit values are scaled to 8; colour profiles are not applied.
    Raises ImageError with the reason when the file is broken, or has more than 179 megapixels.
    """
    return decode_image(read_picture(path), path, min_size)


def read_picture(path: Path) -> bytes:
    """A picture file as it is, not decoded. ImageError when it cannot be read or does not begin like a picture.

    Looks before it reads: a pipe named x.jpg would never end, and a video named so need not be loaded.
    """
    with picture_errors(path):
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            os.scandir(path).close()  # tells why, of one that cannot be listed
        elif not stat.S_ISREG(mode):
            raise ValueError("not a regular file")
        with path.open("rb") as file:
            start = file.read(NUM_BYTES)
            check_start(start)
            return start + file.read()


def check_start(data: bytes) -> None:
    """ValueError for what does not begin like a picture."""
    if not formats_of(data[:NUM_BYTES]):
        raise ValueError(UNKNOWN if data else "the file is empty")


def decode_image(data: bytes, source: Path, min_size: int | None = None, how: Decoding | None = None) -> Photo:
    """`read_image` of bytes that are in memory already; `source` names them in errors."""
    how, remark = how or Decoding(), ""
    with picture_errors(source):
        if formats_of(data[:NUM_BYTES]) == ("TIFF",):
            return _decode_tiff(data, how)
        with open_photo(data, how.max_pixels) as image:
            width, height = image.size
            num_needed = None if min_size is None else min_size if how.fast else 2 * min_size
            pixels = None
            if image.format in ("JPEG", "MPO"):
                check_scans(data)
                with large_lock(height, width) if num_needed is None else nullcontext():
                    pixels, remark = _decode_jpeg(data, image, num_needed)
            if pixels is None:
                if not how.allow_truncated:
                    check_complaint(remark)
                with large_lock(height, width):
                    pixels, truncated = _by_pillow(image, data, how)
                remark = truncated or remark
            orientation = orientation_of(image)
    box = _box_of(pixels.shape, height, width, orientation)
    if orientation in (5, 6, 7, 8):
        height, width = width, height
    return Photo(upright(pixels, orientation), height, width, remark, box)


def _box_of(shape: tuple[int, ...], height: int, width: int, orientation: int) -> Box | None:
    """Of a photo of height x width, as it is stored, in pixels of this shape, which libjpeg may have reduced.

    It does so to n eighths and rounds the sides up: 1025 pixels become 129, of which the photo takes 128.125.
    """
    eighths = (n for n in range(1, 8) if shape[:2] == (-(-height * n // 8), -(-width * n // 8)))
    if shape[:2] == (height, width) or (n := next(eighths, None)) is None:
        return None
    (bottom, right), (end_y, end_x) = shape[:2], (height * n / 8, width * n / 8)
    if orientation in (5, 6, 7, 8):  # as `upright`
        (bottom, right), (end_y, end_x) = (right, bottom), (end_x, end_y)
    left = right - end_x if orientation in (2, 3, 6, 7) else 0
    top = bottom - end_y if orientation in (3, 4, 7, 8) else 0
    return left, top, left + end_x, top + end_y


def large_lock(height: int, width: int) -> AbstractContextManager[Any]:
    """Hold it while pictures of that size are whole in memory: of large ones there is one at a time."""
    return _one_at_a_time if width * height > _LARGE else nullcontext()


def share_large_lock(lock: AbstractContextManager[Any]) -> None:
    """Take this lock for large pictures from now on, in the whole process. lock: may be taken again by its holder."""
    global _one_at_a_time
    _one_at_a_time = lock


def _by_pillow(image: Image.Image, data: bytes, how: Decoding) -> tuple[Pixels, str]:
    """With what there is to remark."""
    try:
        return to_rgb(image, how.background), ""
    except OSError as error:
        if not (how.allow_truncated and is_truncated(error)):
            raise
    return to_rgb(as_far_as_it_goes(image, data), how.background), TRUNCATED


def _decode_tiff(data: bytes, how: Decoding) -> Photo:
    tags = TiffTags(data)
    with heard_errors() as errors, large_lock(tags.height, tags.width):
        try:
            pixels = decode_tiff(tags, how.background, how.max_pixels)
        except OSError as error:
            if not str(error).startswith("decoder error"):  # and a number
                raise
            raise ValueError("; ".join(errors) or f"{tags.kind}: cannot be decoded") from error
    height, width, _ = pixels.shape
    return Photo(pixels, height, width, "; ".join([*errors, *([MORE] if holds_more(data) else ())]))


def _decode_jpeg(data: bytes, image: Image.Image, num_needed: int | None) -> tuple[Pixels | None, str]:
    """The smallest scale whose longer side has `num_needed` pixels, None for full size; and what libjpeg finds amiss.

    None when simplejpeg will not: CMYK, and files with blemishes that Pillow overlooks without a word.
    """
    if image.mode not in ("L", "RGB"):
        return None, ""
    longer = "min_width" if image.width >= image.height else "min_height"
    reduced = {} if num_needed is None else {longer: num_needed}
    try:
        return simplejpeg.decode_jpeg(data, "RGB", **reduced), ""
    except ValueError as error:  # also what is no fault of the file, as a rare subsampling
        return None, str(error) if str(error).startswith("Corrupt JPEG data") else ""
