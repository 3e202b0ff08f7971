"""The pictures an export is verified on, and those 8 bits are calibrated on, as the network sees them."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_export.source import Images
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import list_photos, read_image
from gseg_runtime.model_card import ModelCard
from gseg_runtime.spread import spread

NUM_VERIFY = 64  # more of them find nothing new
NUM_CALIBRATE = 128
MIN_CALIBRATE = 2  # a hundred are better, but one to measure ranges on and one to verify them on must be there


@dataclass(frozen=True)
class Pictures:
    """images: uint8 [N, S, S, 3], RGB, one at least; kind, place: to say it with, "photo" and " from DIR"."""

    images: Images
    kind: str
    place: str = ""

    @property
    def what(self) -> str:
        """`photos from DIR`."""
        return f"{self.kind}s{self.place}"

    @property
    def counted(self) -> str:
        """`64 photos from DIR`, `1 photo from DIR`."""
        return f"1 {self.kind}{self.place}" if len(self.images) == 1 else f"{len(self.images)} {self.what}"


def enough_photos(folder: Path, at_least: int = 1) -> list[Path]:
    """All photos below a folder, not the masks of labelled ones; GsegError when there are fewer than `at_least`."""
    paths = list_photos(folder)
    if len(paths) < at_least:
        wanted = "1 photo" if at_least == 1 else f"{at_least} photos"
        message = f"{folder}: expected at least {wanted}, got {len(paths)}"
        raise GsegError(message, "name a folder of photos (JPEG, PNG, WebP, TIFF or BMP)")
    return paths


def photos(folder: Path, card: ModelCard) -> Pictures:
    """Up to NUM_VERIFY photos, spread evenly over the folder."""
    return Pictures(_read(spread(enough_photos(folder), NUM_VERIFY), card), "photo", f" from {folder}")


def calibration_photos(folder: Path, card: ModelCard) -> tuple[Images, Pictures]:
    """Up to NUM_CALIBRATE photos to calibrate on, and others of the same folder to verify on.

    Every fourth is kept for the latter.
    """
    paths = spread(enough_photos(folder, MIN_CALIBRATE), NUM_CALIBRATE + NUM_CALIBRATE // 3)
    kept = paths[1::4]
    used = [path for path in paths if path not in kept]
    return _read(used, card), Pictures(_read(kept[:NUM_VERIFY], card), "other photo", f" from {folder}")


def held_out_pairs(run: Path, size: int) -> Pictures | None:
    """The pairs that a `gseg distill` run kept back, at the network's size; None when it has none."""
    shards = sorted((run / "held-out").glob("*.npz"))
    if not shards:
        return None
    try:
        with shards[0].open("rb") as file, np.load(file, allow_pickle=False) as data:
            images = data["images"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise GsegError(f"{shards[0]}: not readable pairs: {error}", "delete it, and give --verify DIR") from error
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8 or not len(images):
        return None
    letterbox = Letterbox(images.shape[1], images.shape[2], size)
    return Pictures(np.stack([letterbox.apply(image) for image in images[:NUM_VERIFY]]), "held-out pair")


def clouds(*, size: int, seed: int = 0, count: int = NUM_VERIFY) -> Pictures:
    """Coloured clouds: something to verify on where no photos are at hand."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    images = [Image.fromarray(grid).resize((size, size), Image.Resampling.BICUBIC) for grid in coarse]
    return Pictures(np.stack([np.asarray(image) for image in images]), "made-up picture")


def _read(paths: list[Path], card: ModelCard) -> Images:
    return np.stack([_letterboxed(path, card) for path in paths])


def _letterboxed(path: Path, card: ModelCard) -> Images:
    try:
        photo = read_image(path, min_size=card.input_size)
    except ImageError as error:
        raise ImageError(error.message, "remove it, or name another folder of photos") from error
    return Letterbox(photo.height, photo.width, card.input_size).apply(photo.pixels, card.fill, photo.box)
