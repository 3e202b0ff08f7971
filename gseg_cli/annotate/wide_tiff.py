"""TIFFs of 64 bits a value, which Pillow does not open: numpy's own integers, as scripts and napari save labels."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from gseg_cli.annotate.drawing import Bounds
from gseg_runtime.errors import GsegError, ImageError

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _OFFSETS, _CHANNELS, _COUNTS, _PREDICTOR, _KIND = (
    256, 257, 258, 259, 273, 277, 279, 317, 339,
)  # fmt: skip
_IS_LITTLE = 0  # no tag has this number
_TYPES = {3: "H", 4: "I"}  # of a tag's values
_KINDS = {1: "u8", 2: "i8", 3: "f8"}
_PLAIN, _DEFLATE = 1, (8, 32946)
_MAX_TAGS, _MAX_STRIPS = 100, 100_000
_HINT = "save it as a PNG of class indices"


def read_wide_tiff(data: bytes, where: str, most: Bounds) -> npt.NDArray[np.generic] | None:
    """[H, W] of its first picture; None when it is no such TIFF. GsegError when it is broken or larger than `most`."""
    try:
        tags = _tags(data)
        if tags is None or tags.get(_BITS) != [64]:
            return None
        return _pixels(data, tags, where, most)
    except (struct.error, zlib.error, KeyError, IndexError, ValueError) as error:
        raise ImageError(f"{where}: a broken TIFF of 64 bits", _HINT) from error


def _tags(data: bytes) -> dict[int, list[int]] | None:
    """Numbers of the first directory, by tag; None when it is no classic TIFF."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return None
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    tags = {_IS_LITTLE: [int(order == "<")]}
    for index in range(min(count, _MAX_TAGS)):
        tag, kind, number = struct.unpack_from(f"{order}HHI", data, start + 2 + 12 * index)
        if kind in _TYPES and number <= _MAX_STRIPS:
            at = start + 10 + 12 * index
            if number * struct.calcsize(_TYPES[kind]) > 4:
                (at,) = struct.unpack_from(f"{order}I", data, at)
            tags[tag] = list(struct.unpack_from(f"{order}{number}{_TYPES[kind]}", data, at))
    return tags


def _pixels(data: bytes, tags: dict[int, list[int]], where: str, most: Bounds) -> npt.NDArray[np.generic]:
    width, height, kind = tags[_WIDTH][0], tags[_HEIGHT][0], tags.get(_KIND, [1])[0]
    compression, channels = tags.get(_COMPRESSION, [_PLAIN])[0], tags.get(_CHANNELS, [1])[0]
    if not most.hold((width, height)):
        raise GsegError(f"{where}: a picture of {width}x{height} pixels{most.megapixels}", most.hint)
    is_known = compression in (_PLAIN, *_DEFLATE) and tags.get(_PREDICTOR, [1]) == [1] and channels == 1
    if not is_known or kind not in _KINDS or _OFFSETS not in tags:
        raise ImageError(f"{where}: a TIFF of 64 bits that is packed in an unusual way", _HINT)
    size, pixels = 8 * width * height, b""
    for offset, count in zip(tags[_OFFSETS], tags[_COUNTS], strict=True):
        strip = data[offset : offset + count]
        pixels += strip if compression == _PLAIN else zlib.decompressobj().decompress(strip, size - len(pixels) + 1)
        if len(pixels) > size:
            raise ValueError("longer than the picture")
    order = "<" if tags[_IS_LITTLE][0] else ">"
    return np.frombuffer(pixels, f"{order}{_KINDS[kind]}").reshape(height, width)
