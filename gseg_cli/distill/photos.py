"""Photos for a student to look at, in its own square and in the GAN's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gseg_cli.gan.framing import frame, mask_of
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.images import list_photos, read_image
from gseg_runtime.label_map import Pixels
from gseg_runtime.spread import spread

MAX_PHOTOS = 500  # spread evenly over the folder; more would change no figure


@dataclass(frozen=True)
class Photos:
    """N photos in the student's square. images uint8 [N, S, S, 3]; inside bool [N, S, S]; crops uint8 [N, R, R, 3]: the
    squares in their middle, as a GAN is shown photos."""

    paths: list[Path]
    images: Tensor
    inside: Tensor
    crops: Tensor
    unreadable: list[str]


def read_photos(folder: Path, size: int, gan_size: int, on_step: OnStep = ignore_step) -> Photos:
    """Up to MAX_PHOTOS of the folder and what is below it, not masks; GsegError when none can be read."""
    chosen = spread(list_photos(folder), MAX_PHOTOS)
    rows: list[tuple[Path, Pixels, np.ndarray, Pixels]] = []
    unreadable = []
    for i, path in enumerate(chosen):
        try:
            rows.append((path, *_framed(path, size, gan_size)))
        except ImageError as error:
            unreadable.append(error.message)
        on_step(Step(i + 1, len(chosen)))
    if not rows:
        raise GsegError(f"{folder}: no readable photo among the {len(chosen)} tried", "name a folder of photos")
    paths, *arrays = zip(*rows, strict=True)
    images, inside, crops = (torch.from_numpy(np.stack(a)) for a in arrays)
    return Photos(list(paths), images, inside, crops, unreadable)


def _framed(path: Path, size: int, gan_size: int) -> tuple[Pixels, np.ndarray, Pixels]:
    photo = read_image(path)
    letterbox = frame(photo.height, photo.width, size, "letterbox")
    crop = frame(photo.height, photo.width, gan_size, "crop")
    return letterbox.apply(photo.pixels), mask_of(letterbox), crop.apply(photo.pixels)
