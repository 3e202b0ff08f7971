"""Photoshop's PSD and PSB, which many paint programs write: each visible layer is a class, called as the layer.

The lowest one is the picture, if it is opaque all over. Needs psd-tools (extra psd).
"""

import io
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gseg_cli.annotate.drawing import Drawing, Layer, Reading, no_picture
from gseg_cli.annotate.fields import HINT, check_text
from gseg_cli.annotate.shapes import Bitmap, Mask, cover
from gseg_cli.annotate.source_files import Files
from gseg_runtime.errors import GsegError

if TYPE_CHECKING:
    from psd_tools import PSDImage
    from psd_tools.api.layers import Layer as PsdLayer

SUFFIXES = (".psd", ".psb")
_MAX_LAYER = 2**30  # bytes that psd-tools may take for a layer
_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RecursionError, TypeError,
    ValueError, struct.error, zlib.error,
)  # fmt: skip


def read_photoshop(files: Files, names: list[str], reading: Reading) -> None:
    """One drawing per file."""
    for name in names:
        with reading.attempt(), _errors(files.where(name)):
            reading.add(_drawing_of(files, name, reading))


@contextmanager
def _errors(where: str) -> Iterator[None]:
    """What psd-tools raises for a broken file, as one GsegError."""
    try:
        yield
    except _ERRORS as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise GsegError(f"{where}: not a Photoshop file that can be read: {reason}", "save it again") from error


def _drawing_of(files: Files, name: str, reading: Reading) -> Drawing:
    from psd_tools import PSDImage

    where = files.where(name)
    image = PSDImage.open(io.BytesIO(files.read(name)), max_alloc_bytes=_MAX_LAYER)
    layers = [layer for layer in image.descendants() if layer.is_visible() and layer.has_pixels()]  # from below
    reading.check_amount(image.size, len(layers), len(layers), where)
    masks = [_mask_of(layer, image, reading, where) for layer in layers]
    picture = no_picture
    if masks and masks[0].all():
        picture = partial(_png, layers[0], where)
        layers, masks = layers[1:], masks[1:]
    drawn = [(layer, mask) for layer, mask in zip(layers, masks, strict=True) if mask.any()]
    found = [Layer(check_text(layer.name, f"{where}: layer"), Bitmap(mask)) for layer, mask in drawn]
    return Drawing(where, (name,), image.size, found, picture)


def _mask_of(layer: "PsdLayer", image: "PSDImage", reading: Reading, where: str) -> Mask:
    """[H, W] of the picture: where the layer is opaque, and its layer mask shows it."""
    if not layer.width or not layer.height:
        return np.zeros((image.height, image.width), bool)
    if not reading.bounds.hold(layer.size):
        message = f"{where}: layer {layer.name!r} has {layer.width}x{layer.height} pixels{reading.bounds.megapixels}"
        raise GsegError(message, reading.bounds.hint)
    reading.spend(image.width * image.height, where)
    alpha = layer.numpy("shape")
    shown = np.ones((layer.height, layer.width), bool) if alpha is None else alpha[..., 0] > 0.5
    return _placed(shown, layer.offset, image) & _shown_by_mask(layer, image, reading, where)


def _shown_by_mask(layer: "PsdLayer", image: "PSDImage", reading: Reading, where: str) -> Mask:
    everywhere = np.ones((image.height, image.width), bool)
    mask = layer.mask
    if mask is None or mask.disabled:
        return everywhere
    if mask.width and mask.height and not reading.bounds.hold((mask.width, mask.height)):
        raise GsegError(f"{where}: layer {layer.name!r}: a mask of {mask.width}x{mask.height} pixels", HINT)
    values = layer.numpy("mask")
    beside = everywhere if mask.background_color > 127 else ~everywhere
    if values is None or not values.size:
        return beside
    inside = _placed(np.ones(values.shape[:2], bool), (mask.left, mask.top), image)
    return np.where(inside, _placed(values[..., 0] > 0.5, (mask.left, mask.top), image), beside)


def _placed(mask: Mask, corner: tuple[int, int], image: "PSDImage") -> Mask:
    return cover(Bitmap(mask, corner), image.height, image.width)


def _png(layer: "PsdLayer", where: str) -> bytes | None:
    buffer = io.BytesIO()
    with _errors(where):
        picture = layer.topil()
        if picture is None:
            return None
        picture.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
