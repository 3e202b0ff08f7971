"""Finding photos and decoding them: always uint8 RGB, always as they are displayed."""

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from gseg_runtime.errors import GsegError
from gseg_runtime.files import TEMPORARY_PREFIX
from gseg_runtime.label_map import Pixels
from gseg_runtime.pillow import open_picture, picture_errors

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
_FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "TIFF"]  # whatever the name says; not EPS, which would run Ghostscript
_ORIENTATION = 0x0112  # the EXIF tag
_RIFF, _TIFF = b"RIFF", (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_LARGE = 32_000_000  # pixels; decoding one takes up to 16 bytes for each, and there may be many workers
_one_at_a_time = threading.Lock()
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", *_TIFF)


@dataclass(frozen=True)
class Photo:
    """pixels: uint8 [H, W, 3], RGB, upright, perhaps at a reduced scale; height, width: the full displayed size."""

    pixels: Pixels
    height: int
    width: int


def list_images(source: Path) -> list[Path]:
    """Everything below `source` that is named like a picture, sorted; a single file as it is.

    Broken links and folders named like pictures are listed too: whoever reads them learns what is wrong, and
    nothing is passed over in silence. Raises GsegError when `source` does not exist.
    """
    if source.is_dir():
        return sorted(source / name for name in walk_images(os.fspath(source)))
    if not source.exists():
        raise GsegError(f"{source}: no such file or folder", "name a folder of photos, or a photo")
    return [source]


def walk_images(folder: str) -> Iterator[str]:
    """The names, relative to `folder`, of all that is named like a picture. Follows links, each folder once.

    At the end come folders that cannot be listed: whoever reads them learns why. GsegError when `folder` is one itself.
    """
    seen: set[str] = set()
    unlisted: list[OSError] = []
    for top, folders, files in os.walk(folder, onerror=unlisted.append, followlinks=True):
        real = os.path.realpath(top)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        below = os.path.relpath(top, folder)
        prefix = "" if below == os.curdir else below + os.sep
        yield from (prefix + name for name in folders + files if is_named_like_a_picture(name))
    for error in unlisted:
        if error.filename == folder:
            raise GsegError(f"{folder}: cannot be listed: {error.strerror}", "its permissions, or the disk, forbid it")
        if not is_named_like_a_picture(error.filename):  # else it is among the names already
            yield os.path.relpath(error.filename, folder)


def is_named_like_a_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(TEMPORARY_PREFIX)


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
            start = file.read(12)
            if not start.startswith(_STARTS) and not (start.startswith(_RIFF) and start.endswith(b"WEBP")):
                raise ValueError("not a picture of a known format" if start else "the file is empty")
            return start + file.read()


def decode_image(data: bytes, source: Path, min_size: int | None = None, *, fast: bool = False) -> Photo:
    """`read_image` of bytes that are in memory already; `source` names them in errors.

    fast: a JPEG's longer side is decoded to at least `min_size` pixels, not twice as many. Faster still, and one grey
    level from the full decode.
    """
    with picture_errors(source), open_picture(data, _FORMATS) as image:
        width, height = image.size
        num_needed = None if min_size is None else min_size if fast else 2 * min_size
        pixels = _decode_jpeg(data, image, num_needed) if image.format in ("JPEG", "MPO") else None
        if pixels is None:
            with _one_at_a_time if width * height > _LARGE else nullcontext():
                pixels = _decode(image)
            height, width = pixels.shape[:2]  # TIFFs turn themselves upright while they load
        orientation = _orientation(image)
    if orientation in (5, 6, 7, 8):
        height, width = width, height
    return Photo(_upright(pixels, orientation), height, width)


def _decode_jpeg(data: bytes, image: Image.Image, num_needed: int | None) -> Pixels | None:
    """The smallest scale whose longer side has `num_needed` pixels, None for full size.

    None when simplejpeg will not: CMYK, and files with blemishes that Pillow knows to overlook.
    """
    if image.mode not in ("L", "RGB"):
        return None
    longer = "min_width" if image.width >= image.height else "min_height"
    reduced = {} if num_needed is None else {longer: num_needed}
    try:
        return simplejpeg.decode_jpeg(data, "RGB", **reduced)
    except ValueError:
        return None


def _decode(image: Image.Image) -> Pixels:
    image.load()
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _grey_to_rgb((np.asarray(image).astype(np.uint32) // 257).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(f"pixel values of 32 bits (mode {image.mode}) have no known range")
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image.convert("RGBA"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))  # convert copies in any case


def _grey_to_rgb(grey: npt.NDArray[np.uint8]) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 (upright) when there is none. A broken EXIF block is no reason to lose the photo."""
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # its parser raises nearly anything
        return 1


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """The eight orientations of EXIF: a transposition for 5 to 8, then mirrored in one or both directions."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
