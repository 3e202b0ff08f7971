"""Pictures that people draw on, one per sample. A file that is there already is kept: somebody may have drawn on it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.drawing import SAMPLES
from gseg_cli.counted import counted
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import atomic_path
from gseg_runtime.images import read_image

ROUNDING = 2  # levels of 255; another Pillow may round otherwise


@dataclass(frozen=True)
class Handout:
    """written, kept: the paths of new pictures, and of those that were there already."""

    folder: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]

    def told(self, what: str) -> str:
        kept = f"; {len(self.kept)} were there and are kept as they are" if self.kept else ""
        return f"{self.folder}: {len(self.written)} {what}{kept}"


def hand_out(
    samples: SampleSet, seeds: Sequence[int], folder: Path, make: Callable[[int, Image.Image], Image.Image], times: int
) -> Handout:
    """Write 000003.png for each seed: what `make` makes of the seed and its sample, enlarged so many `times`."""
    written: list[Path] = []
    kept: list[Path] = []
    for seed in seeds:
        path = folder / sample_name(seed)
        if path.exists():
            kept.append(path)
            continue
        with atomic_path(path) as temporary:
            make(seed, enlarged_sample(samples, seed, times)).save(temporary, format="PNG")
        written.append(path)
    return Handout(folder, tuple(written), tuple(kept))


def write_enlarged(samples: SampleSet, seeds: Sequence[int], times: int, folder: Path) -> Handout:
    return hand_out(samples, seeds, folder, lambda seed, picture: picture, times)


def check_enlarged(samples: SampleSet, seeds: Sequence[int], folder: Path) -> None:
    """GsegError when a picture that `write_enlarged` would keep is not its sample's, but another GAN's for instance."""
    for path in (folder / sample_name(seed) for seed in seeds):
        if path.exists() and not _shows(path, samples, int(path.stem)):
            message = f"{path}: does not show {samples.dir / path.name}"
            raise GsegError(message, "move it away, or the whole folder; gseg predict --scale writes it anew")


def _shows(path: Path, samples: SampleSet, seed: int) -> bool:
    """Whether it is the sample, enlarged by any whole number, but for rounding."""
    there = read_image(path).pixels
    times, rest = divmod(len(there), samples.resolution)
    if rest or not times or there.shape[0] != there.shape[1]:
        return False
    sample = np.asarray(enlarged_sample(samples, seed, times), int)
    return bool(np.abs(there - sample).max() <= ROUNDING)


def enlarged_sample(samples: SampleSet, seed: int, times: int) -> Image.Image:
    """RGB. Smoothly: blocks hide what they show."""
    with Image.open(samples.image_path(seed)) as image:
        picture = image.convert("RGB")
    size = (picture.width * times, picture.height * times)
    return picture.resize(size, Image.Resampling.LANCZOS) if times > 1 else picture


def check_replaced(folder: Path, handed: Sequence[Path], made: tuple[str, float, int | None]) -> None:
    """GsegError when the samples in `folder` were handed out, and those to come are others of the same numbers.

    handed: the folders of pictures, which would be kept, and of what is said of them. made: GAN's SHA-256,
    truncation_psi and class of those to come.
    """
    try:
        earlier = SampleSet.load(folder)
    except GsegError:  # there are none, or broken ones
        return
    if (earlier.gan_sha256, earlier.truncation_psi, earlier.class_index) == made:
        return
    for place in handed:
        if count := sum(re.fullmatch(r"\d{6,}\.(png|json)", path.name) is not None for path in place.rglob("*")):
            message = f"{place}: holds {counted(count, 'file')} of the samples in {folder}, which others would replace"
            raise GsegError(message, f"move {place} away first: what is drawn there are no labels of the new samples")


def check_times(resolution: int, times: int) -> None:
    """UsageError when the enlarged pictures are larger than what can be imported again."""
    if resolution * times > SAMPLES.width:
        most = SAMPLES.width // resolution
        message = f"--scale {times}: makes {resolution * times} pixels a side, which is too large to import"
        raise UsageError(message, f"use at most --scale {most}")
