"""Training photos: a folder or a zip -> one uint8 array in memory."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gseg_runtime.errors import GsegError, ImageError, UsageError
from gseg_runtime.images import SUFFIXES, decode_image
from gseg_runtime.label_map import Pixels
from gseg_runtime.pictures import picture_errors

Box = tuple[int, int, int, int]


def load_images(
    source: Path, resolution: int, *, crop: Box | None = None, on_image: Callable[[int], None] | None = None
) -> tuple[Tensor, list[str]]:
    """Photos as uint8 [N, 3, R, R], and the names of those that could not be read.

    crop is a box (left, top, right, bottom) in pixels of the photo; without it the centre square is taken.
    Raises GsegError when fewer than 16 photos can be read.
    """
    images, unreadable = [], []
    for name, read in _entries(source):
        try:
            with picture_errors(Path(name)):  # of the zip, of the decoder, of a crop that does not fit
                images.append(_square(decode_image(read(), Path(name)).pixels, resolution, crop))
        except ImageError:
            unreadable.append(name)
        if on_image:
            on_image(len(images))
    if len(images) < 16:
        raise GsegError(
            f"{source}: expected at least 16 photos, got {len(images)} readable and {len(unreadable)} unreadable",
            hint="name a folder or a zip of photos of one kind of object",
        )
    return torch.from_numpy(np.stack(images)), unreadable


def parse_box(text: str) -> Box:
    """`left,top,right,bottom` in pixels; UsageError when it is not a box."""
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError as e:
        raise UsageError(f"--crop: expected left,top,right,bottom, got {text!r}") from e
    if not (0 <= left < right and 0 <= top < bottom):
        raise UsageError(f"--crop: the box {text} is empty")
    return left, top, right, bottom


def _entries(source: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """(name, reader) of every image file, sorted by name; a zip is read in place, never unpacked."""
    if source.is_dir():
        for path in sorted(p for p in source.rglob("*") if _is_image(p.name) and p.is_file()):
            yield str(path.relative_to(source)), path.read_bytes
    elif source.is_file() and zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for info in sorted(archive.infolist(), key=lambda i: i.filename):
                if _is_image(info.filename):
                    yield info.filename, lambda info=info: _read_member(archive, info)  # type: ignore[misc]
    else:
        raise GsegError(f"{source}: no such folder or zip", hint="name a folder or a zip of photos")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > 200_000_000:
        raise ValueError("a photo of more than 200 MB")
    return archive.read(info)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not Path(name).name.startswith(".")


def _square(pixels: Pixels, resolution: int, crop: Box | None) -> Pixels:
    """[3, R, R] of [H, W, 3]; ValueError when the crop reaches out of the photo."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    box = crop or (left, top, left + side, top + side)
    image = Image.fromarray(pixels).resize((resolution, resolution), Image.Resampling.LANCZOS, box=box)
    return np.asarray(image).transpose(2, 0, 1).copy()
