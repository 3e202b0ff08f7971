"""Training photos: a folder, a zip, tars ... -> one uint8 array, in memory or in a file that is mapped into it."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gseg_cli.gan.framing import check_fit, crop_square
from gseg_cli.gan.training.config import Box
from gseg_cli.gan.training.photo_entry import Photo
from gseg_cli.gan.training.sources import open_photos
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.geometry import FILL, Letterbox
from gseg_runtime.images import decode_image
from gseg_runtime.label_map import Pixels
from gseg_runtime.picture_formats import open_photo
from gseg_runtime.pillow import picture_errors
from gseg_runtime.sources import no_photo
from gseg_runtime.spread import spread
from gseg_runtime.to_rgb import orientation_of, to_rgba, upright
from gseg_runtime.walk import Search, walk_images
from gseg_runtime.workers import num_cores

NUM_LOOKED_AT = 20  # photos, for transparency
MIN_PHOTOS = 16  # fewer than two batches teach a GAN nothing; a slip of the path is likelier
ARCHIVES = {".zip", ".tar", ".parquet", ".mdb"}
# By what lies there instead.
WAYS_OUT = (
    (
        ARCHIVES,
        "name the file, or the folder that they lie in; unpack zips into one folder",
    ),
    ({".gz", ".tgz", ".7z", ".rar", ".zst", ".xz"}, "unpack it and name the folder that comes out"),
    ({".mp4", ".mov", ".avi", ".mkv", ".m4v", ".webm", ".mts"}, "save frames of the videos as pictures first"),
    ({".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"}, "save the raw photos as JPEG or PNG first"),
)
HINT = "name a folder, zip, tar, LMDB or Parquet of photos of one kind of object"


@dataclass(frozen=True)
class Found:
    """What came of photos. unreadable: why, by name. sides: of the square that was taken of each, in its own pixels."""

    unreadable: dict[str, str]
    sides: list[int]


def load_images(
    source: Path,
    resolution: int,
    *,
    crop: Box | None = None,
    fit: str = "crop",
    alpha: bool = False,
    store: Path | None = None,
    on_image: Callable[[int], None] | None = None,
) -> tuple[Tensor, Found]:
    """Photos as uint8 [N, 3, R, R], in the order of their names, and what came of all.

    crop is a box (left, top, right, bottom) in pixels of the photo, cut out first. fit: "crop" takes the centre square,
    "letterbox" the whole photo with grey beside it. alpha: uint8 [N, 4, R, R] instead; photos without transparency are
    opaque, and nothing lies beside them. store: a file to keep the pixels in, which the tensor then maps.
    Raises GsegError when fewer than 16 photos can be read.
    """
    check_fit(fit)
    with open_photos(source) as photos:
        pixels = _allocate(len(photos), 4 if alpha else 3, resolution, store)
        found = _decode_all(photos, pixels, crop, fit, on_image)
    good, unreadable = len(found.sides), found.unreadable
    if good < MIN_PHOTOS:
        raise GsegError(
            f"{source}: expected at least {MIN_PHOTOS} photos, got {good} readable and {len(unreadable)} unreadable"
            + (", or smaller than the crop" if crop else "")
            + (f": {next(iter(unreadable.values()))}" if unreadable else ""),
            hint=HINT + (", and a --crop that lies in all of them" if crop else ""),
        )
    return torch.from_numpy(pixels[:good]), found


def check_enough(source: Path) -> int:
    """As `count_photos`; GsegError for fewer than `load_images` takes."""
    if (count := count_photos(source)) < MIN_PHOTOS:
        search = look_through(source)
        error = no_photo(f"{source}: expected at least {MIN_PHOTOS} photos, got {count}", search)
        raise GsegError(
            error.message, next((hint for kinds, hint in WAYS_OUT if search.passed_over.keys() & kinds), HINT)
        )
    return count


def look_through(source: Path) -> Search:
    """What else lies in a folder, and which of those in it cannot be listed."""
    search = Search()
    if source.is_dir():
        deque(walk_images(str(source), search), maxlen=0)
    return search


def count_photos(source: Path) -> int:
    """How many files are named like photos."""
    with open_photos(source) as photos:
        return len(photos)


def has_transparent(source: Path) -> bool:
    """Whether a pixel of one of some photos is transparent, in part or wholly."""
    with open_photos(source) as photos:
        return any(map(_is_transparent, spread(photos, NUM_LOOKED_AT)))


def _is_transparent(photo: Photo) -> bool:
    try:
        with picture_errors(Path(photo.name)):
            return bool((decode_rgba(photo.read(), Path(photo.name))[:, :, 3] < 255).any())
    except ImageError:
        return False


def needs_store(num_photos: int, resolution: int, channels: int = 3) -> bool:
    """Whether the pixels would take more than a quarter of this machine's memory."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 * 2**30
    return num_photos * channels * resolution**2 > memory_bytes / 4


def map_images(store: Path, num_photos: int) -> Tensor:
    """The photos that another process has put into a store."""
    return torch.from_numpy(np.load(store, mmap_mode="r+")[:num_photos])


def _allocate(count: int, channels: int, resolution: int, store: Path | None) -> np.ndarray:
    shape = (count, channels, resolution, resolution)
    if store is None:
        return np.empty(shape, np.uint8)
    try:
        pixels = np.lib.format.open_memmap(store, mode="w+", dtype=np.uint8, shape=shape)
        if hasattr(os, "posix_fallocate"):  # a full disk kills whoever writes to a mapped page that has no place on it
            with store.open("r+b") as file:
                os.posix_fallocate(file.fileno(), 0, store.stat().st_size)
    except OSError as error:
        store.unlink(missing_ok=True)
        raise GsegError(f"{store}: cannot be written: {error}", "make room; it takes as much as the photos") from error
    return pixels


def _decode_all(
    photos: list[Photo], pixels: np.ndarray, crop: Box | None, fit: str, on_image: Callable[[int], None] | None
) -> Found:
    """Fill the first rows of `pixels`."""
    size, found = pixels.shape[-1], Found({}, [])
    pixels_of = decode_rgba if pixels.shape[1] == 4 else _decode_rgb

    def decode(photo: Photo) -> tuple[str, int, Pixels | str]:
        path = Path(photo.name)
        try:
            with picture_errors(path):  # of the zip, of the decoder, of a crop that does not fit
                whole = pixels_of(photo.read(), path)
                return photo.name, _side(whole, crop, fit), _square(whole, size, crop, fit)
        except ImageError as error:
            return photo.name, 0, error.message

    rest = iter(photos)
    with ThreadPoolExecutor(num_cores()) as pool:  # decoders release Python's lock
        while batch := list(islice(rest, 64 * num_cores())):
            for name, side, image in pool.map(decode, batch):
                if isinstance(image, str):
                    found.unreadable[name] = image
                    continue
                pixels[len(found.sides)] = image
                found.sides.append(side)
                if on_image:
                    on_image(len(found.sides))
    return found


def _side(pixels: Pixels, crop: Box | None, fit: str) -> int:
    """Of the square that `_square` takes of a photo."""
    height, width = (crop[3] - crop[1], crop[2] - crop[0]) if crop else pixels.shape[:2]
    return max(height, width) if fit == "letterbox" else min(height, width)


def _decode_rgb(data: bytes, source: Path) -> Pixels:
    return decode_image(data, source).pixels


def decode_rgba(data: bytes, source: Path) -> Pixels:
    """uint8 [H, W, 4], upright; what has no alpha is opaque."""
    with open_photo(data) as image:
        pixels = to_rgba(image)
        if pixels is not None:
            return upright(pixels, orientation_of(image))
    return np.pad(_decode_rgb(data, source), [(0, 0), (0, 0), (0, 1)], constant_values=255)


def _square(pixels: Pixels, resolution: int, crop: Box | None, fit: str) -> Pixels:
    """[C, R, R] of [H, W, C]; ValueError when the crop reaches out of the photo."""
    if fit == "letterbox":
        pixels = np.asarray(Image.fromarray(pixels).crop(_inside(crop, pixels))) if crop else pixels
        letterbox = Letterbox(pixels.shape[0], pixels.shape[1], resolution)
        fill = FILL if pixels.shape[2] == 3 else (0, 0, 0, 0)
        return letterbox.apply(pixels, fill).transpose(2, 0, 1)
    return crop_square(pixels, resolution, crop).transpose(2, 0, 1)


def _inside(crop: Box, pixels: Pixels) -> Box:
    if crop[2] > pixels.shape[1] or crop[3] > pixels.shape[0]:
        raise ValueError(f"the crop reaches beyond the photo of {pixels.shape[1]} x {pixels.shape[0]} pixels")
    return crop
