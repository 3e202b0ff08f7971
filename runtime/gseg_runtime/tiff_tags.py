"""What the first directory of a TIFF says of its picture, in numbers and in words. (TIFF 6.0, Adobe 1992.)"""

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, ORIENTATION, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES = 273, 274, 277, 278, 279
PLANAR, PREDICTOR, COLORMAP, EXTRA, FORMAT = 284, 317, 320, 338, 339
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
_LIMITS = ((340, 341), (280, 281))  # smallest and largest sample: of any type, and of unsigned ones

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, CMYK = 0, 1, 2, 5
_PHOTOMETRICS = {
    **{0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab"},
    **{9: "ICC Lab", 10: "ITU Lab", 32803: "raw sensor", 32844: "LogL", 32845: "LogLuv", 34892: "linear raw"},
}
UNSIGNED, SIGNED, FLOAT, _UNDEFINED = 1, 2, 3, 4
FORMATS = {UNSIGNED: "unsigned", SIGNED: "signed", FLOAT: "floating-point"}
ASSOCIATED, UNASSOCIATED = 1, 2  # alpha that the colours are multiplied by already, and that they are not
_LONG = 4  # the type of a tag: whole numbers of 32 bits


@dataclass(frozen=True)
class TiffTags:
    """ValueError when there is no such directory."""

    data: bytes

    @cached_property
    def _directory(self) -> ImageFileDirectory_v2:
        if self.data[:4] == b"MM\0+":  # which Pillow takes for another
            raise ValueError("a BigTIFF in big-endian order is not read")
        directory = ImageFileDirectory_v2(self.data[: 16 if self.data[2] == 43 else 8])
        file = io.BytesIO(self.data)
        file.seek(directory.next)
        directory.load(file)
        return directory

    def all(self, tag: int, default: Sequence[Any] = ()) -> tuple[Any, ...]:
        """The values of a tag."""
        value = self._directory.get(tag, default)
        return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)

    def one(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        value = (self.all(tag) or (default,))[0]
        if isinstance(value, str | bytes):
            raise ValueError(f"a broken TIFF: its tag {tag} is no number")
        return int(value)

    @property
    def order(self) -> str:
        """Of bytes, as struct and numpy write it."""
        return "<" if self.data[:2] == b"II" else ">"

    @property
    def width(self) -> int:
        return self.one(WIDTH, 0)

    @property
    def height(self) -> int:
        return self.one(HEIGHT, 0)

    @property
    def compression(self) -> int:
        return self.one(COMPRESSION, 1)

    @property
    def photometric(self) -> int:
        """What the samples mean; -1 when nothing says it."""
        return self.one(PHOTOMETRIC, -1)

    @property
    def num_samples(self) -> int:
        """Per pixel."""
        return self.one(SAMPLES, 1)

    @property
    def bits(self) -> int:
        """Of each sample; 0 when they differ."""
        bits = set(self.all(BITS, (1,)))
        return int(bits.pop()) if len(bits) == 1 else 0

    @property
    def format(self) -> int:
        """Of the samples, one of FORMATS or else unknown."""
        formats = set(self.all(FORMAT, (UNSIGNED,)))
        kind = int(formats.pop()) if len(formats) == 1 else 0
        return UNSIGNED if kind == _UNDEFINED else kind

    @property
    def is_planar(self) -> bool:
        """Whether each sample has a plane of its own."""
        return self.num_samples > 1 and self.one(PLANAR, 1) == 2

    @property
    def is_tiled(self) -> bool:
        return TILE_OFFSETS in self._directory

    @property
    def range(self) -> tuple[float, float] | None:
        """The values that are black and white; None when nothing says so."""
        if self.format == UNSIGNED and self.bits <= 16:
            return 0, 2**self.bits - 1
        for low_tag, high_tag in _LIMITS:
            low, high = self.all(low_tag), self.all(high_tag)
            if low and high and all(map(isfinite, (*low, *high))) and min(low) < max(high):
                return float(min(low)), float(max(high))
        return None

    @property
    def kind(self) -> str:
        """In words, for a refusal."""
        samples = f"{self.num_samples} {FORMATS.get(self.format, 'complex')} sample{'s' * (self.num_samples > 1)}"
        bits = f"{self.bits} bits" if self.bits else "different sizes"
        planes = " in planes" if self.is_planar else ""
        color = _PHOTOMETRICS.get(self.photometric, f"photometric {self.photometric}")
        compression = f", compression {self.compression}" if self.compression > 1 else ""
        return f"a TIFF of {samples} of {bits}{planes}, {color}{compression}"


def with_directory(data: bytes, order: str, tags: Mapping[int, Sequence[int]]) -> bytes:
    """A file with another directory at its end, and a head that leads to it. order: of bytes, < or >."""
    start = len(data) + len(data) % 2
    lists = start + 2 + 12 * len(tags) + 4  # behind the directory: values that do not fit into it
    entries, behind = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        place = packed if len(values) == 1 else struct.pack(f"{order}I", lists + len(behind))
        entries += struct.pack(f"{order}HHI", tag, _LONG, len(values)) + place
        behind += packed if len(values) != 1 else b""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", start)
    return head + data[8:].ljust(start - 8, b"\0") + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + behind
