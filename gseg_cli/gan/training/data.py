"""Training photos: a folder or a zip -> one uint8 array, in memory or in a file that is mapped into it."""

import os
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gseg_cli.gan.framing import check_fit, crop_square
from gseg_cli.gan.training.config import Box
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import SUFFIXES, decode_image, list_images
from gseg_runtime.label_map import Pixels
from gseg_runtime.pillow import picture_errors
from gseg_runtime.workers import num_cores

Entry = tuple[str, Callable[[], bytes]]
MIN_PHOTOS = 16  # fewer than two batches teach a GAN nothing; a slip of the path is likelier
MAX_MEMBER_BYTES = 200_000_000  # of one photo in a zip, whatever its header says


def load_images(
    source: Path,
    resolution: int,
    *,
    crop: Box | None = None,
    fit: str = "crop",
    store: Path | None = None,
    on_image: Callable[[int], None] | None = None,
) -> tuple[Tensor, list[str]]:
    """Photos as uint8 [N, 3, R, R], in the order of their names, and the names of those that could not be read.

    crop is a box (left, top, right, bottom) in pixels of the photo, cut out first. fit: "crop" takes the centre square,
    "letterbox" the whole photo with grey beside it. store: a file to keep the pixels in, which the tensor then maps.
    Raises GsegError when fewer than 16 photos can be read.
    """
    check_fit(fit)
    with _entries(source) as entries:
        pixels = _allocate(len(entries), resolution, store)
        good, unreadable = _decode_all(entries, pixels, crop, fit, on_image)
    if good < MIN_PHOTOS:
        raise GsegError(
            f"{source}: expected at least {MIN_PHOTOS} photos, got {good} readable and {len(unreadable)} unreadable",
            hint="name a folder or a zip of photos of one kind of object",
        )
    return torch.from_numpy(pixels[:good]), unreadable


def count_photos(source: Path) -> int:
    """How many files are named like photos."""
    with _entries(source) as entries:
        return len(entries)


def needs_store(num_photos: int, resolution: int) -> bool:
    """Whether the pixels would take more than a quarter of this machine's memory."""
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 8 * 2**30
    return num_photos * 3 * resolution**2 > memory_bytes / 4


def map_images(store: Path, num_photos: int) -> Tensor:
    """The photos that another process has put into a store."""
    return torch.from_numpy(np.load(store, mmap_mode="r+")[:num_photos])


def _allocate(count: int, resolution: int, store: Path | None) -> np.ndarray:
    shape = (count, 3, resolution, resolution)
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
    entries: list[Entry], pixels: np.ndarray, crop: Box | None, fit: str, on_image: Callable[[int], None] | None
) -> tuple[int, list[str]]:
    """Fill the first rows of `pixels`; how many, and which entries could not be read."""
    size, good, unreadable = pixels.shape[-1], 0, []

    def decode(entry: Entry) -> tuple[str, Pixels | None]:
        name, read = entry
        try:
            with picture_errors(Path(name)):  # of the zip, of the decoder, of a crop that does not fit
                return name, _square(decode_image(read(), Path(name)).pixels, size, crop, fit)
        except ImageError:
            return name, None

    rest = iter(entries)
    with ThreadPoolExecutor(num_cores()) as pool:  # decoders release Python's lock
        while batch := list(islice(rest, 64 * num_cores())):
            for name, image in pool.map(decode, batch):
                if image is None:
                    unreadable.append(name)
                    continue
                pixels[good] = image
                good += 1
                if on_image:
                    on_image(good)
    return good, unreadable


@contextmanager
def _entries(source: Path) -> Iterator[list[Entry]]:
    """(name, reader) of every file named like a photo, sorted by name; a zip is read in place, never unpacked."""
    if source.is_dir():
        paths = [path for path in list_images(source) if _is_image(path.name) and path.is_file()]
        yield [(str(path.relative_to(source)), path.read_bytes) for path in paths]
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            members = sorted((i for i in archive.infolist() if _is_image(i.filename)), key=lambda i: i.filename)
            yield [(member.filename, _reader(archive, member)) for member in members]
    else:
        raise GsegError(f"{source}: no such folder or zip", hint="name a folder or a zip of photos")


def _reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with archive.open(member) as file:
            data = file.read(MAX_MEMBER_BYTES + 1)  # a header may lie about the size
        if len(data) > MAX_MEMBER_BYTES:
            raise ValueError(f"a photo of more than {MAX_MEMBER_BYTES // 1_000_000} MB")
        return data

    return read


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not Path(name).name.startswith(".")


def _square(pixels: Pixels, resolution: int, crop: Box | None, fit: str) -> Pixels:
    """[3, R, R] of [H, W, 3]; ValueError when the crop reaches out of the photo."""
    if fit == "letterbox":
        pixels = np.asarray(Image.fromarray(pixels).crop(_inside(crop, pixels))) if crop else pixels
        return Letterbox(pixels.shape[0], pixels.shape[1], resolution).apply(pixels).transpose(2, 0, 1)
    return crop_square(pixels, resolution, crop).transpose(2, 0, 1)


def _inside(crop: Box, pixels: Pixels) -> Box:
    if crop[2] > pixels.shape[1] or crop[3] > pixels.shape[0]:
        raise ValueError(f"the crop reaches beyond the photo of {pixels.shape[1]} x {pixels.shape[0]} pixels")
    return crop
