"""TIFF as a viewer shows it, or a refusal that says of what kind it is.

Pillow decodes most kinds. It takes others for what they are not: 12 bits for 16, planes of 16 bits for noise, white for
black, signed for unsigned. Of these it is asked for the bytes alone, as if they were a grey picture, because libtiff
knows all compressions; what they mean is settled here.
"""

import io
from collections.abc import Sequence
from math import ceil, inf
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.TiffImagePlugin import COMPRESSION_INFO, TiffImageFile

import gseg_runtime.tiff_tags as tag
from gseg_runtime.class_map import Color
from gseg_runtime.label_map import Pixels
from gseg_runtime.pillow import allow_pixels, check_size
from gseg_runtime.tiff_tags import TiffTags, with_directory
from gseg_runtime.to_rgb import BLACK, grey_to_rgb, to_rgb, upright

_NUM_COLORS = {tag.WHITE_IS_ZERO: 1, tag.BLACK_IS_ZERO: 1, tag.RGB: 3, tag.CMYK: 4}
_OF_BYTES = (1, 5, 8, 32773, 32946, 34925, 50000)  # compressions that know no pixels
_MOST_SAMPLES = 16  # per pixel; more are no picture
_STRIP = 256  # rows that are converted at once

Bytes = npt.NDArray[np.uint8]  # [rows, bytes]
Samples = npt.NDArray[Any]  # [rows, W, samples per pixel]


def decode_tiff(tags: TiffTags, background: Color = BLACK, max_pixels: int | None = None) -> Pixels:
    """The first picture, uint8 [H, W, 3], upright. ValueError with its kind for one that is not read.

    background: behind what is transparent. max_pixels: None is Pillow's limit.
    """
    if min(tags.width, tags.height) < 1:
        raise ValueError("a TIFF without width and height")
    check_size(tags.width, tags.height, max_pixels)
    if max_pixels is not None:
        allow_pixels(max_pixels)
    if tags.compression not in COMPRESSION_INFO:
        raise ValueError(f"{tags.kind}: such a compression is not read")
    if _is_for_pillow(tags) and (pixels := _by_pillow(tags, background)) is not None:
        return pixels
    if why := _why_not(tags, max_pixels or _most_pixels()):
        raise ValueError(f"{tags.kind}: {why}")
    return _BySamples(tags, background).pixels()


def _most_pixels() -> float:
    """As Pillow has it for all formats, where it opens files itself."""
    return 2 * Image.MAX_IMAGE_PIXELS if Image.MAX_IMAGE_PIXELS else inf


def _is_for_pillow(tags: TiffTags) -> bool:
    """Whether Pillow decodes it rightly, if at all."""
    if tags.compression not in _OF_BYTES and tags.bits <= 8:
        return True
    if tags.photometric in _NUM_COLORS and (tags.is_planar or tags.one(tag.EXTRA, 0) == tag.ASSOCIATED):
        return False
    is_known = tags.bits in (0, 1, 2, 4, 8) or (tags.bits == 16 and tags.photometric != tag.WHITE_IS_ZERO)
    return is_known and tags.format == tag.UNSIGNED


def _by_pillow(tags: TiffTags, background: Color) -> Pixels | None:
    """None for a kind that it does not know."""
    try:
        return to_rgb(_with_palette(TiffImageFile(io.BytesIO(tags.data)), tags.all(tag.COLORMAP)), background)
    except (SyntaxError, ValueError) as error:
        if str(error) in ("unknown pixel mode", "unknown raw mode for given image mode"):
            return None
        raise


def _with_palette(image: Image.Image, colors: Sequence[int]) -> Image.Image:
    """Some programs write the colours in 8 bits, where the format has 16; Pillow would show them all as black."""
    if image.mode == "P" and colors and max(colors) < 256:
        image.load()
        image.putpalette(np.array(colors, np.uint8).reshape(3, -1).T.tobytes())
    return image


def _why_not(tags: TiffTags, most_pixels: float) -> str | None:
    """Why its samples cannot be shown; None when they can."""
    num_colors, dtype, predictor = _NUM_COLORS.get(tags.photometric, 0), _dtype(tags), tags.one(tag.PREDICTOR, 1)
    if tags.compression not in _OF_BYTES:
        return "such a compression of them is not read"
    if tags.format not in tag.FORMATS or not num_colors or tags.num_samples < num_colors:
        return "such colours are not read"
    if (num_colors == 1 and tags.num_samples > 2) or tags.num_samples > _MOST_SAMPLES:
        return "nothing tells which of them are to be seen"
    if dtype is None and not (0 < tags.bits < 16 and tags.format == tag.UNSIGNED):
        return "samples of this size are not read"
    if predictor not in (1, 2) or (predictor == 2 and dtype is None):
        return f"not read with predictor {predictor}"
    if tags.width * tags.height * tags.num_samples * tags.bits > 64 * most_pixels:
        return "too many bytes to decode"
    return "the file does not tell their range" if tags.range is None else None


def _dtype(tags: TiffTags) -> np.dtype[Any] | None:
    """Of samples that are whole bytes; None for others."""
    letter, sizes = {
        tag.UNSIGNED: ("u", (8, 16, 32)),
        tag.SIGNED: ("i", (8, 16, 32)),
        tag.FLOAT: ("f", (16, 32, 64)),
    }.get(tags.format, ("", ()))
    return np.dtype(f"{tags.order}{letter}{tags.bits // 8}") if tags.bits in sizes else None


class _BySamples:
    """A picture whose samples are read one by one; `_why_not` has nothing against it."""

    def __init__(self, tags: TiffTags, background: Color) -> None:
        self._tags, self._dtype = tags, _dtype(tags)
        self._background = np.array(background) / 255
        self._num_planes = tags.num_samples if tags.is_planar else 1
        self._per_plane = tags.num_samples // self._num_planes  # samples of a pixel

    def pixels(self) -> Pixels:
        planes = [self._bytes(plane) for plane in range(self._num_planes)]
        shown = np.empty((self._tags.height, self._tags.width, 3), np.uint8)
        for top in range(0, self._tags.height, _STRIP):
            rows = slice(top, top + _STRIP)
            samples = [self._samples(plane[rows]) for plane in planes]
            shown[rows] = self._shown(np.concatenate(samples, axis=2))
        return upright(shown, self._tags.one(tag.ORIENTATION, 1))

    def _bytes(self, plane: int) -> Bytes:
        """The decompressed rows of a plane, by a directory that calls them a grey picture."""
        tags, bytes_per_pixel = self._tags, self._tags.bits * self._per_plane / 8
        grey: dict[int, Sequence[int]] = {
            tag.WIDTH: [ceil(tags.width * bytes_per_pixel)],
            tag.HEIGHT: [tags.height],
            tag.BITS: [8],
            tag.COMPRESSION: [tags.compression],
            tag.PHOTOMETRIC: [tag.BLACK_IS_ZERO],
            tag.FILL_ORDER: [tags.one(tag.FILL_ORDER, 1)],
            tag.SAMPLES: [1],
        }
        if tags.is_tiled:
            grey[tag.TILE_WIDTH] = [ceil(tags.one(tag.TILE_WIDTH, 0) * bytes_per_pixel)]
            grey[tag.TILE_HEIGHT] = [tags.one(tag.TILE_HEIGHT, 0)]
        else:
            grey[tag.ROWS_PER_STRIP] = [min(tags.one(tag.ROWS_PER_STRIP, tags.height), tags.height)]
        parts = (tag.TILE_OFFSETS, tag.TILE_BYTES) if tags.is_tiled else (tag.STRIP_OFFSETS, tag.STRIP_BYTES)
        for part in parts:
            values = tags.all(part)
            each = len(values) // self._num_planes
            grey[part] = values[plane * each : (plane + 1) * each]
        with TiffImageFile(io.BytesIO(with_directory(tags.data, tags.order, grey))) as image:
            image.load()
            return np.asarray(image)

    def _samples(self, rows: Bytes) -> Samples:
        """[rows, W, samples of a plane]."""
        count, bits = self._tags.width * self._per_plane, self._tags.bits
        shape = (len(rows), self._tags.width, self._per_plane)
        if self._dtype is None:
            each_bit = np.unpackbits(rows, axis=1)[:, : count * bits].reshape(len(rows), count, bits)
            return (each_bit @ (1 << np.arange(bits - 1, -1, -1))).reshape(shape)
        values = np.ascontiguousarray(rows[:, : count * self._dtype.itemsize]).view(self._dtype).reshape(shape)
        return self._summed(values) if self._tags.one(tag.PREDICTOR, 1) == 2 else values

    def _summed(self, differences: Samples) -> Samples:
        """Predictor 2: each sample is kept as the difference to the one before, anew in each tile."""
        whole = self._tags.width
        width = self._tags.one(tag.TILE_WIDTH, whole) if self._tags.is_tiled else whole
        tiles = [differences[:, left : left + width] for left in range(0, whole, width)]
        return np.concatenate([np.cumsum(tile, axis=1, dtype=differences.dtype) for tile in tiles], axis=1)

    def _shown(self, samples: Samples) -> Pixels:
        """uint8 [rows, W, 3]."""
        low, high = self._tags.range or (0, 1)
        values: Samples = samples.astype("f8" if self._tags.bits > 16 else "f4")
        share = np.nan_to_num(((values - low) / (high - low)).clip(0, 1))
        num_colors = _NUM_COLORS[self._tags.photometric]
        colors = share[..., :num_colors]
        if self._tags.photometric == tag.WHITE_IS_ZERO:
            colors = 1 - colors
        if self._tags.photometric == tag.CMYK:
            colors = (1 - colors[..., :3]) * (1 - colors[..., 3:])
        kind_of_alpha = self._tags.one(tag.EXTRA, 0)
        if kind_of_alpha in (tag.ASSOCIATED, tag.UNASSOCIATED) and self._tags.num_samples > num_colors:
            alpha = share[..., num_colors : num_colors + 1]
            if kind_of_alpha == tag.UNASSOCIATED:
                colors = colors * alpha
            if self._background.any():
                colors = (colors + (1 - alpha) * self._background).clip(0, 1)
        shown = (colors * 255).round().astype(np.uint8)
        return grey_to_rgb(shown[..., 0]) if shown.shape[2] == 1 else shown
