"""TIFF as a viewer shows it, or a refusal that says of what kind it is.

Pillow decodes most kinds. It takes others for what they are not: 12 bits for 16, planes of 16 bits for noise, white for
black, signed for unsigned. Of these it is asked for the bytes alone, as if they were a grey picture, because libtiff
knows all compressions; what they mean is settled here. (TIFF 6.0, Adobe 1992.)
"""

import io
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from gseg_runtime.label_map import Pixels
from gseg_runtime.to_rgb import grey_to_rgb, to_rgb, upright

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIP_OFFSETS, _ORIENTATION, _SAMPLES, _ROWS_PER_STRIP, _STRIP_BYTES = 273, 274, 277, 278, 279
_PLANAR, _PREDICTOR, _COLORMAP, _EXTRA, _FORMAT = 284, 317, 320, 338, 339
_TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES = 322, 323, 324, 325
_LIMITS = ((340, 341), (280, 281))  # smallest and largest sample: of any type, and of unsigned ones

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK = 0, 1, 2, 3, 5
_NUM_COLORS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _CMYK: 4}
_PHOTOMETRICS = {
    **{0: "white is zero", 1: "black is zero", 2: "RGB", 3: "palette", 4: "mask", 5: "CMYK", 6: "YCbCr", 8: "Lab"},
    **{9: "ICC Lab", 10: "ITU Lab", 32803: "raw sensor", 32844: "LogL", 32845: "LogLuv", 34892: "linear raw"},
}
_UNSIGNED, _SIGNED, _FLOAT, _UNDEFINED = 1, 2, 3, 4
_FORMATS = {_UNSIGNED: "unsigned", _SIGNED: "signed", _FLOAT: "floating-point"}
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha that the colours are multiplied by already, and that they are not
_OF_BYTES = (1, 5, 8, 32773, 32946, 34925, 50000)  # compressions that know no pixels
_MOST_SAMPLES = 16  # per pixel; more are no picture
_LONG = 4  # the type of a tag: whole numbers of 32 bits
_STRIP = 256  # rows that are converted at once

Samples = npt.NDArray[Any]  # [rows, W, samples per pixel]


def is_tiff(data: bytes) -> bool:
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True)
class Tiff:
    """The first picture in a file. ValueError with the reason when it has none."""

    data: bytes
    tags: ImageFileDirectory_v2 = field(init=False)

    def __post_init__(self) -> None:
        if self.data[:4] == b"MM\0+":
            raise ValueError("a BigTIFF in big-endian order is not read")
        tags = ImageFileDirectory_v2(self.data[: 16 if self.data[2] == 43 else 8])
        file = io.BytesIO(self.data)
        file.seek(tags.next)
        tags.load(file)
        object.__setattr__(self, "tags", tags)
        if min(self.width, self.height) < 1:
            raise ValueError("a TIFF without width and height")

    def _all(self, tag: int, default: Sequence[Any] = ()) -> tuple[Any, ...]:
        value = self.tags.get(tag, default)
        return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)

    def _one(self, tag: int, default: int) -> int:
        value = (self._all(tag) or (default,))[0]
        if isinstance(value, str | bytes):
            raise ValueError(f"a broken TIFF: its tag {tag} is no number")
        return int(value)

    @property
    def width(self) -> int:
        return self._one(_WIDTH, 0)

    @property
    def height(self) -> int:
        return self._one(_HEIGHT, 0)

    @property
    def _num_samples(self) -> int:
        return self._one(_SAMPLES, 1)

    @property
    def _bits(self) -> int:
        """Of each sample; 0 when they differ."""
        bits = set(self._all(_BITS, (1,)))
        return int(bits.pop()) if len(bits) == 1 else 0

    @property
    def _format(self) -> int:
        formats = set(self._all(_FORMAT, (_UNSIGNED,)))
        kind = int(formats.pop()) if len(formats) == 1 else 0
        return _UNSIGNED if kind == _UNDEFINED else kind

    @property
    def _photometric(self) -> int:
        return self._one(_PHOTOMETRIC, -1)

    @property
    def _is_planar(self) -> bool:
        return self._num_samples > 1 and self._one(_PLANAR, 1) == 2

    def pixels(self) -> Pixels:
        """uint8 [H, W, 3], upright. ValueError with its kind for one that is not read."""
        if self.width * self.height > _most_pixels():
            raise ValueError(f"{self.width * self.height} pixels, more than {_most_pixels():.0f}")
        if self._is_for_pillow and (pixels := self._by_pillow()) is not None:
            return pixels
        if why := self._why_not():
            raise ValueError(f"{self.kind}: {why}")
        return self._from_samples()

    def _by_pillow(self) -> Pixels | None:
        """None for a kind that it does not know."""
        try:
            return to_rgb(self._with_palette(TiffImageFile(io.BytesIO(self.data))))
        except (SyntaxError, ValueError) as error:
            if str(error) in ("unknown pixel mode", "unknown raw mode for given image mode"):
                return None
            raise
        except KeyError as error:
            raise ValueError(f"{self.kind}: such a compression is not read") from error

    @property
    def _is_for_pillow(self) -> bool:
        """Whether Pillow decodes it rightly, if at all."""
        if self._one(_COMPRESSION, 1) not in _OF_BYTES and self._bits <= 8:
            return True
        if self._photometric in _NUM_COLORS and (self._is_planar or self._one(_EXTRA, 0) == _ASSOCIATED):
            return False
        is_known = self._bits in (0, 1, 2, 4, 8) or (self._bits == 16 and self._photometric > 0)
        return is_known and self._format == _UNSIGNED

    def _with_palette(self, image: Image.Image) -> Image.Image:
        """Some programs write the colours in 8 bits, where the format has 16; Pillow would show them all as black."""
        colors = self._all(_COLORMAP)
        if image.mode == "P" and colors and max(colors) < 256:
            image.load()
            image.putpalette(bytes(np.array(colors, np.uint8).reshape(3, -1).T.tobytes()))
        return image

    @property
    def kind(self) -> str:
        """In words, for a refusal."""
        bits = f"{self._bits} bits" if self._bits else "different sizes"
        color = _PHOTOMETRICS.get(self._photometric, f"photometric {self._photometric}")
        samples = f"{self._num_samples} {_FORMATS.get(self._format, 'complex')} samples of {bits}"
        compression = self._one(_COMPRESSION, 1)
        how = f", compression {compression}" if compression > 1 else ""
        return f"a TIFF of {samples}{' in planes' if self._is_planar else ''}, {color}{how}"

    def _why_not(self) -> str | None:
        """Why its samples cannot be shown; None when they can."""
        num_colors = _NUM_COLORS.get(self._photometric, 0)
        compression, predictor = self._one(_COMPRESSION, 1), self._one(_PREDICTOR, 1)
        if compression not in _OF_BYTES:
            return "such a compression of them is not read"
        if self._format not in _FORMATS or not num_colors or self._num_samples < num_colors:
            return "such colours are not read"
        if (num_colors == 1 and self._num_samples > 2) or self._num_samples > _MOST_SAMPLES:
            return "nothing tells which of them are to be seen"
        if self._dtype is None and not (0 < self._bits < 16 and self._format == _UNSIGNED):
            return "samples of this size are not read"
        if predictor not in (1, 2) or (predictor == 2 and self._dtype is None):
            return f"not read with predictor {predictor}"
        if self.width * self.height * self._num_samples * self._bits > 64 * _most_pixels():
            return "too many bytes to decode"
        if self._range is None:
            return "the file does not tell their range"
        return None

    @property
    def _dtype(self) -> np.dtype[Any] | None:
        """Of samples that are whole bytes; None for others."""
        letter = {_UNSIGNED: "u", _SIGNED: "i", _FLOAT: "f"}.get(self._format, "")
        sizes = (16, 32, 64) if letter == "f" else (8, 16, 32)
        if self._bits not in sizes:
            return None
        return np.dtype(f"{'<' if self.data[:2] == b'II' else '>'}{letter}{self._bits // 8}")

    @property
    def _range(self) -> tuple[float, float] | None:
        """The values that are black and white; None when nothing says so."""
        if self._format == _UNSIGNED and self._bits <= 16:
            return 0, 2**self._bits - 1
        for low_tag, high_tag in _LIMITS:
            low, high = self._all(low_tag), self._all(high_tag)
            if low and high and np.isfinite([*low, *high]).all() and min(low) < max(high):
                return float(min(low)), float(max(high))
        return None

    def _from_samples(self) -> Pixels:
        planes = [self._bytes(plane) for plane in range(self._num_samples if self._is_planar else 1)]
        shown = np.empty((self.height, self.width, 3), np.uint8)
        for top in range(0, self.height, _STRIP):
            rows = slice(top, top + _STRIP)
            samples = np.concatenate([self._samples(plane[rows]) for plane in planes], axis=2)
            shown[rows] = self._shown(samples)
        return upright(shown, self._one(_ORIENTATION, 1))

    @property
    def _samples_per_plane(self) -> int:
        return 1 if self._is_planar else self._num_samples

    def _bytes(self, plane: int) -> npt.NDArray[np.uint8]:
        """The decompressed rows of a plane, uint8 [H, bytes], by a directory that calls them a grey picture."""
        bytes_per_pixel, height = self._bits * self._samples_per_plane / 8, self.height
        tags: dict[int, Sequence[int]] = {
            _WIDTH: [ceil(self.width * bytes_per_pixel)],
            _HEIGHT: [height],
            _BITS: [8],
            _COMPRESSION: [self._one(_COMPRESSION, 1)],
            _PHOTOMETRIC: [_BLACK_IS_ZERO],
            _FILL_ORDER: [self._one(_FILL_ORDER, 1)],
            _SAMPLES: [1],
        }
        if self._is_tiled:
            tags[_TILE_WIDTH] = [ceil(self._one(_TILE_WIDTH, 0) * bytes_per_pixel)]
            tags[_TILE_HEIGHT] = [self._one(_TILE_HEIGHT, 0)]
        else:
            tags[_ROWS_PER_STRIP] = [min(self._one(_ROWS_PER_STRIP, height), height)]
        for tag in (_TILE_OFFSETS, _TILE_BYTES) if self._is_tiled else (_STRIP_OFFSETS, _STRIP_BYTES):
            values = self._all(tag)
            each = len(values) // (self._num_samples if self._is_planar else 1)
            tags[tag] = values[plane * each : (plane + 1) * each]
        with TiffImageFile(io.BytesIO(_with_directory(self.data, tags))) as image:
            image.load()
            return np.asarray(image)

    @property
    def _is_tiled(self) -> bool:
        return _TILE_OFFSETS in self.tags

    def _samples(self, rows: npt.NDArray[np.uint8]) -> Samples:
        """[rows, W, samples per plane], of bytes [rows, bytes]."""
        count = self.width * self._samples_per_plane
        shape = (len(rows), self.width, self._samples_per_plane)
        if self._dtype is None:
            bits = np.unpackbits(rows, axis=1)[:, : count * self._bits].reshape(len(rows), count, self._bits)
            return (bits @ (1 << np.arange(self._bits - 1, -1, -1))).reshape(shape)
        values = np.ascontiguousarray(rows[:, : count * self._dtype.itemsize]).view(self._dtype).reshape(shape)
        return self._summed(values) if self._one(_PREDICTOR, 1) == 2 else values

    def _summed(self, differences: Samples) -> Samples:
        """Predictor 2: each sample is kept as the difference to the one before, anew in each tile."""
        width = self._one(_TILE_WIDTH, self.width) if self._is_tiled else self.width
        tiles = [differences[:, left : left + width] for left in range(0, self.width, width)]
        return np.concatenate([np.cumsum(tile, axis=1, dtype=differences.dtype) for tile in tiles], axis=1)

    def _shown(self, samples: Samples) -> Pixels:
        """uint8 [rows, W, 3]."""
        low, high = self._range or (0, 1)
        share = np.nan_to_num(((samples - low) / (high - low)).clip(0, 1))
        num_colors = _NUM_COLORS[self._photometric]
        colors = share[..., :num_colors]
        if self._photometric == _WHITE_IS_ZERO:
            colors = 1 - colors
        if self._photometric == _CMYK:
            colors = (1 - colors[..., :3]) * (1 - colors[..., 3:])
        if self._one(_EXTRA, 0) == _UNASSOCIATED and self._num_samples > num_colors:
            colors = colors * share[..., num_colors : num_colors + 1]
        shown = (colors * 255).round().astype(np.uint8)
        return grey_to_rgb(shown[..., 0]) if num_colors == 1 else shown


def _most_pixels() -> float:
    """As Pillow has it for all formats where it opens files itself."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else float("inf")


def _with_directory(data: bytes, tags: Mapping[int, Sequence[int]]) -> bytes:
    """A file with another directory at its end, and a head that leads to it."""
    order, head = ("<", b"II*\0") if data[:2] == b"II" else (">", b"MM\0*")
    start = len(data) + len(data) % 2
    lists = start + 2 + 12 * len(tags) + 4  # behind the directory: values that do not fit into it
    entries, behind = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        place = packed if len(values) == 1 else struct.pack(f"{order}I", lists + len(behind))
        entries += struct.pack(f"{order}HHI", tag, _LONG, len(values)) + place
        behind += packed if len(values) != 1 else b""
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + behind
    return head + struct.pack(f"{order}I", start) + data[8:].ljust(start - 8, b"\0") + directory
