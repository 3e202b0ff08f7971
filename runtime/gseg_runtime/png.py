"""8-bit PNGs of maps in which most rows repeat the one above: several times faster than a general encoder."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt

from gseg_runtime.enlarged import Enlarged

fast_zlib: ModuleType
try:  # the extra [fast]: the same format about five times faster
    from zlib_ng import zlib_ng as fast_zlib
except ImportError:
    fast_zlib = zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Stands near the start of every PNG written here, so that --overwrite can tell our files from others.
SOFTWARE = b"Software\0gseg"
_GREY, _RGB, _INDEXED, _RGBA = 0, 2, 3, 6  # colour types
_FILTER_UP = 2
_STRIP = 256  # rows that are filtered at once


def encode_png(plane: Enlarged, palette: bytes | None = None) -> bytes:
    """The bytes of an indexed PNG in the colours of `palette` (768 bytes, RGB), or of a grey one without it.

    The Up filter turns repeated rows into zeros, and run lengths are then all the compressor has to find. Measured 3 to
    4 times faster than Pillow at level 6 with Python's own zlib, some 18 times with zlib-ng, and smaller.
    """
    color_type = _GREY if palette is None else _INDEXED
    header = struct.pack(">IIBBBBB", plane.width, plane.height, 8, color_type, 0, 0, 0)
    compressor = fast_zlib.compressobj(1, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    chunks = [
        _chunk(b"IHDR", header),
        _chunk(b"tEXt", SOFTWARE),
        b"" if palette is None else _chunk(b"PLTE", palette),
        _chunk(b"IDAT", compressor.compress(_filter_up(plane)) + compressor.flush()),
        _chunk(b"IEND", b""),
    ]
    return SIGNATURE + b"".join(chunks)


def encode_color_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The bytes of a PNG of uint8 [H, W, 3], RGB, or [H, W, 4], RGBA; told from others' files as those of `encode_png`.

    Level 2, because zlib-ng's level 1 hardly compresses photos.
    """
    height, width, channels = pixels.shape
    compressor = fast_zlib.compressobj(2, zlib.DEFLATED, 15, 9)
    strips = [compressor.compress(lines) for lines in _strips(pixels.reshape(height, width * channels))]
    data = [_chunk(b"IDAT", part) for part in (*strips, compressor.flush()) if part]
    header = struct.pack(">IIBBBBB", width, height, 8, _RGBA if channels == 4 else _RGB, 0, 0, 0)
    return b"".join([SIGNATURE, _chunk(b"IHDR", header), _chunk(b"tEXt", SOFTWARE), *data, _chunk(b"IEND", b"")])


def is_gseg_png(path: Path) -> bool:
    """Whether this file was encoded here."""
    with path.open("rb") as file:
        head = file.read(64)
    return head.startswith(SIGNATURE) and SOFTWARE in head


def _filter_up(plane: Enlarged) -> npt.NDArray[np.uint8]:
    """PNG scanlines: a filter byte, then the difference to the row above, modulo 256."""
    lines = np.zeros((plane.height, plane.width + 1), np.uint8)
    lines[:, 0] = _FILTER_UP
    rows = plane.rows
    lines[0, 1:] = rows[0]
    if len(rows) == plane.height:
        np.subtract(rows[1:], rows[:-1], out=lines[1:, 1:])
    else:
        lines[plane.row_starts[1:], 1:] = rows[1:] - rows[:-1]
    return lines


def _strips(rows: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """As `_filter_up`, some rows at a time: all of them would take the picture's memory once more."""
    for top in range(0, len(rows), _STRIP):
        strip = rows[top : top + _STRIP]
        lines = np.empty((len(strip), rows.shape[1] + 1), np.uint8)
        lines[:, 0] = _FILTER_UP
        lines[:, 1:] = strip
        lines[1:, 1:] -= strip[:-1]
        if top:
            lines[0, 1:] -= rows[top - 1]
        yield lines


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
