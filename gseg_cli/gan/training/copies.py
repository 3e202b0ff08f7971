"""Copies of photos: figures against a held-out photo are flattered where the same one is trained on."""

import hashlib
from collections.abc import Callable, Sequence

from torch import Tensor

from gseg_cli.counted import counted
from gseg_cli.gan.training.trainer import split_rows

Key = Callable[[Tensor], bytes]


def about_copies(images: Tensor, num_held_out: int) -> str | None:
    """A warning when held-out photos have the pixels of some that are trained on. images: uint8 [N, C, R, R]."""
    trained, held_out = (rows.tolist() for rows in split_rows(len(images), num_held_out))
    # First by the row in their middle: of many photos, which are mapped from a file, little is read then.
    for key in (_middle_row, _digest):
        trained, held_out = _shared(images, trained, held_out, key)
    if not held_out:
        return None
    are = "is a copy" if len(held_out) == 1 else "are copies"
    copies = f"{counted(len(held_out), 'held-out photo')} of {num_held_out} {are}"
    return f"{copies} of photos that are trained on: swd and overfit look better than they are (leave out the copies)"


def _shared(images: Tensor, many: Sequence[int], few: Sequence[int], key: Key) -> tuple[list[int], list[int]]:
    """Those rows of each whose key one of the other has, too."""
    keys = {row: key(images[row]) for row in few}
    wanted = set(keys.values())
    alike = {row: found for row in many if (found := key(images[row])) in wanted}  # of a million photos few
    both = set(alike.values())
    return [*alike], [row for row in few if keys[row] in both]


def _middle_row(image: Tensor) -> bytes:
    return image[:, image.shape[1] // 2].numpy().tobytes()


def _digest(image: Tensor) -> bytes:
    return hashlib.sha256(image.numpy().tobytes()).digest()
