"""A photo in the GAN's square, to be inverted."""

from pathlib import Path

import numpy as np
import torch

from gseg_cli.gan.framing import Framing, frame, mask_of
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.training.data import decode_rgba
from gseg_cli.gan.transparency import over_board
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import read_image, read_picture
from gseg_runtime.label_map import Pixels
from gseg_runtime.pillow import picture_errors


def read_square(path: Path, size: int, fit: str, *, on_board: bool = False) -> tuple[Pixels, Framing]:
    """The photo as uint8 [size, size, 3], and how it lies there. ImageError as of `read_image`.

    on_board: show what is transparent over the checkerboard that samples of a GAN with alpha are shown over, not over
    black: a GAN cannot draw anything else there.
    """
    photo = read_image(path, size if fit == "letterbox" else None)
    framing = frame(photo.height, photo.width, size, fit)
    if isinstance(framing, Letterbox):
        square = framing.apply(photo.pixels, box=photo.box)
    else:
        square = framing.apply(photo.pixels)
    return (_on_board(square, path, framing) if on_board else square), framing


def _on_board(square: Pixels, path: Path, framing: Framing) -> Pixels:
    """square: over black, so that nothing but the checkerboard has to be added."""
    with picture_errors(path):
        alpha = decode_rgba(read_picture(path), path)[:, :, 3:]
    hidden = (1 - framing.apply(np.repeat(alpha, 3, axis=2)) / 255) * mask_of(framing)[:, :, None]
    board = to_uint8(over_board(torch.full((1, 4, framing.size, framing.size), -1.0)))[0].numpy()
    return (square + board * hidden).round().clip(0, 255).astype(np.uint8)
