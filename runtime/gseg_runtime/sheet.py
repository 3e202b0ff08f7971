"""gseg-sheet.jpg: some of a run's photos beside their masks. A glance at it says more than the report."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.extras import encode_jpeg
from gseg_runtime.images import Decoding, decode_image, read_picture
from gseg_runtime.label_map import Pixels, contact_sheet, fitted, overlay, read_label_png, resize_labels, stacked
from gseg_runtime.legend import with_legend, without_accents
from gseg_runtime.plan import Job

SHEET = Path("gseg-sheet.jpg")
NUM_PHOTOS, NUM_DOUBTFUL = 8, 8
_IN_ROW, _CELL = 4, 192  # pairs; pixels
_NAME = 17  # letters of a photo's name that stand above it
_MAX_PIXELS = 64_000_000  # of a photo, as phones and cameras take them: larger ones would take long, and much memory

T = TypeVar("T")
Pair = tuple[Pixels, Pixels]
Doubtful = tuple[Job, float]  # and how sure the model is, from 0 to 1


def draw_sheet(
    folder: Path, jobs: Iterable[Job], doubtful: Sequence[Doubtful], classes: ClassMap, how: Decoding, workers: int
) -> bytes | None:
    """The file, of photos and of their masks below `folder`; None where none of the pairs can be read.

    Above those that are doubtful stand their names, and how sure the model is. Photos of more than 64 megapixels are
    left out.
    """
    how = replace(how, max_pixels=min(how.max_pixels or _MAX_PIXELS, _MAX_PIXELS))
    draw: Callable[[Job], Pair | None] = partial(_pair, folder, classes, how)
    with ThreadPoolExecutor(workers) as pool:
        pairs = [pair for pair in pool.map(draw, jobs) if pair]
        doubted = list(zip(pool.map(draw, [job for job, _ in doubtful]), doubtful, strict=True))
    if not pairs:
        return None
    blocks = [contact_sheet([list(chain(*row)) for row in _rows(pairs)], _CELL)]
    blocks += [_with_titles(row) for row in _rows([(pair, one) for pair, one in doubted if pair])]
    return encode_jpeg(with_legend(stacked(blocks), classes))


def _rows(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[first : first + _IN_ROW] for first in range(0, len(items), _IN_ROW)]


def _with_titles(row: Sequence[tuple[Pair, Doubtful]]) -> Pixels:
    titles = chain(*((_short(job.photo.name), f"{confidence:.0%} sure") for _, (job, confidence) in row))
    return contact_sheet([list(chain(*(pair for pair, _ in row)))], _CELL, list(titles))


def _short(name: str) -> str:
    """What there is room for, in letters that Pillow's own font has."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in without_accents(name))
    return plain if len(plain) <= _NAME else f"..{plain[2 - _NAME :]}"


def _pair(folder: Path, classes: ClassMap, how: Decoding, job: Job) -> Pair | None:
    """None for a photo that failed, or was moved away since."""
    try:
        photo = decode_image(read_picture(job.photo), job.photo, _CELL, how)
        labels = read_label_png(folder / job.mask)
    except GsegError:
        return None
    small = np.asarray(fitted(photo.pixels, _CELL))
    return small, overlay(small, resize_labels(labels, small.shape[:2]), classes)
