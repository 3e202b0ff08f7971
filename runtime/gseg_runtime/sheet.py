"""gseg-sheet.jpg: some of a run's photos beside their masks. A glance at it says more than the report."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.extras import encode_jpeg
from gseg_runtime.images import Decoding, decode_image, read_picture
from gseg_runtime.label_map import Pixels, contact_sheet, fitted, overlay, read_label_png, resize_labels
from gseg_runtime.legend import with_legend
from gseg_runtime.plan import Job

SHEET = Path("gseg-sheet.jpg")
NUM_PHOTOS = 12
_IN_ROW, _CELL = 4, 192  # pairs; pixels
_MAX_PIXELS = 32_000_000  # of a photo: larger ones would take long, and much memory

Pair = tuple[Pixels, Pixels]


def draw_sheet(folder: Path, jobs: Iterable[Job], classes: ClassMap, how: Decoding, workers: int) -> bytes | None:
    """The file, of photos and of their masks below `folder`; None where none of the pairs can be read.

    Photos of more than 32 megapixels are left out.
    """
    how = replace(how, max_pixels=min(how.max_pixels or _MAX_PIXELS, _MAX_PIXELS))
    draw: Callable[[Job], Pair | None] = partial(_pair, folder, classes, how)
    with ThreadPoolExecutor(workers) as pool:
        pairs = [pair for pair in pool.map(draw, jobs) if pair]
    if not pairs:
        return None
    rows = [list(chain(*pairs[first : first + _IN_ROW])) for first in range(0, len(pairs), _IN_ROW)]
    return encode_jpeg(with_legend(contact_sheet(rows, _CELL), classes))


def _pair(folder: Path, classes: ClassMap, how: Decoding, job: Job) -> Pair | None:
    """None for a photo that failed, or was moved away since."""
    try:
        photo = decode_image(read_picture(job.photo), job.photo, _CELL, how)
        labels = read_label_png(folder / job.mask)
    except GsegError:
        return None
    small = np.asarray(fitted(photo.pixels, _CELL))
    return small, overlay(small, resize_labels(labels, small.shape[:2]), classes)
