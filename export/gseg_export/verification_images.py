"""The pictures an export is verified on, and those 8 bits are calibrated on, as the network sees them."""

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_export.source import Images
from gseg_runtime.detail import Detail
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import list_photos, read_image
from gseg_runtime.model_card import ModelCard
from gseg_runtime.spread import spread
from gseg_runtime.tiling import Tiling

NUM_VERIFY = 64  # more of them find nothing new
NUM_CALIBRATE = 128
MIN_CALIBRATE = 2  # a hundred are better, but one to measure ranges on and one to verify them on must be there
NUM_NAMED = 5  # broken photos in a message


@dataclass(frozen=True)
class Pictures:
    """images: uint8 [N, S, S, 3], RGB, one at least; kind, place: to say it with, "photo" and " from DIR"; num_broken:
    how many more could not be read."""

    images: Images
    kind: str
    place: str = ""
    num_broken: int = 0

    @property
    def what(self) -> str:
        """`photos from DIR`."""
        return f"{self.kind}s{self.place}"

    @property
    def counted(self) -> str:
        """`64 photos from DIR`, `1 photo from DIR (2 more cannot be read)`."""
        text = f"1 {self.kind}{self.place}" if len(self.images) == 1 else f"{len(self.images)} {self.what}"
        return f"{text} ({self.num_broken} more cannot be read)" if self.num_broken else text


def enough_photos(folder: Path, at_least: int = 1) -> list[Path]:
    """All photos below a folder, not the masks of labelled ones; GsegError when there are fewer than `at_least`."""
    paths = list_photos(folder)
    if len(paths) < at_least:
        wanted = "1 photo" if at_least == 1 else f"{at_least} photos"
        message = f"{folder}: expected at least {wanted}, got {len(paths)}"
        raise GsegError(message, "name a folder of photos (JPEG, PNG, WebP, TIFF or BMP)")
    return paths


def read_photos(
    card: ModelCard, calibration: Path | None, verify: Path | None
) -> tuple[Images | None, Pictures | None]:
    """What to calibrate on, up to NUM_CALIBRATE, and to verify on, up to NUM_VERIFY, spread evenly over their folders.

    None of what no folder is given for; but without `verify` it is every fourth photo of `calibration`, which is kept
    for that. Photos that were calibrated on are verified on only where `verify` holds no others. What cannot be read
    is left out of the proof, and an ImageError among what is calibrated on, or where nothing else is there.
    """
    if not (calibration or verify):
        return None, None
    used, kept = _calibration(calibration) if calibration else ([], [])
    paths, kind = _verification(verify, used) if verify else (kept, "other photo")
    squares, broken = _read(used, card)
    if broken:
        raise _broken(broken)
    others, broken = _read(paths, card)
    if not others:
        raise _broken(broken)
    pictures = Pictures(np.stack(others), kind, f" from {verify or calibration}", len(broken))
    return np.stack(squares) if squares else None, pictures


def _calibration(folder: Path) -> tuple[list[Path], list[Path]]:
    """Photos to calibrate on, and others of the same folder."""
    paths = spread(enough_photos(folder, MIN_CALIBRATE), NUM_CALIBRATE + NUM_CALIBRATE // 3)
    kept = paths[1::4]
    return [path for path in paths if path not in kept], kept


def _verification(folder: Path, used: list[Path]) -> tuple[list[Path], str]:
    """Photos that were not calibrated on, where there are any, and what they are called."""
    paths, calibrated = enough_photos(folder), {path.resolve() for path in used}
    others = [path for path in paths if path.resolve() not in calibrated] if used else paths
    kind = "calibration photo" if not others else "photo" if others == paths else "other photo"
    return spread(others or paths, NUM_VERIFY), kind


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


def _read(paths: list[Path], card: ModelCard) -> tuple[list[Images], list[str]]:
    """Squares of those that can be read, and what is wrong with the others."""
    squares, broken = [], []
    for path in paths:
        try:
            squares.append(_square(path, card))
        except ImageError as error:
            broken.append(error.message)
    return squares, broken


def _broken(reasons: list[str]) -> ImageError:
    """That names all of them, or the first of many."""
    rest = f"; and {len(reasons) - NUM_NAMED} more photos" if len(reasons) > NUM_NAMED else ""
    hint = f"remove {'it' if len(reasons) == 1 else 'them'}, or name another folder of photos"
    return ImageError("; ".join(reasons[:NUM_NAMED]) + rest, hint)


def _square(path: Path, card: ModelCard) -> Images:
    """As the network sees a photo; of one in tiles, the tile in the middle."""
    detail = Detail(tile=card.tile)
    photo = read_image(path, detail.num_needed(card.input_size))
    frame = detail.frame(photo.height, photo.width, card.input_size)
    picture = frame.apply(photo.pixels, card.fill, photo.box)
    if not isinstance(frame, Tiling):
        return picture
    top, left = (starts[len(starts) // 2] for starts in frame.places)
    # A copy: a view would keep the whole photo in memory.
    return picture[top : top + frame.size, left : left + frame.size].copy()
