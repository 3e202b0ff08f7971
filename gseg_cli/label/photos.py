"""Photos as what is labelled: what a network that knows ImageNet sees in them, and the project's labelled/."""

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gseg_cli.datasets.protocols import DESCRIPTION, KIND
from gseg_cli.folder_description import write_description
from gseg_cli.label.masks import MaskFolder
from gseg_cli.pretrained.lite0 import WIDTHS, Lite0
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path, read_json, sha256_file
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import list_images, read_image
from gseg_runtime.label_map import Pixels
from gseg_runtime.spread import spread

COUNT = 10  # photos to begin with
LEAST_SIZE, MOST_SIZE = 64, 512  # pixels of a square's side: what is smaller is enlarged
# Sides of what the network sees. On portraits, frozen features of 256 px had 0.60 and 0.75 mean IoU from one and five
# of them, of 128 px 0.48 and 0.73, and of 512 px no more (a ridge classifier, one draw).
LEAST_INPUT, MOST_INPUT = 128, 256
STEP = 32  # both are multiples of it


@dataclass(frozen=True, eq=False)
class Photos:
    """names: relative to dir/images, and a photo's number is its place. source: where more come from. pictures: a
    folder for the squares that the page shows."""

    dir: Path
    names: tuple[str, ...]
    size: int
    source: Path
    pictures: Path
    encoder: Lite0
    noun = "photo"

    @property
    def train(self) -> tuple[str, ...]:
        return "student-train", str(self.dir.resolve())

    @property
    def seeds(self) -> Sequence[int]:
        return range(len(self.names))

    @property
    def feature_channels(self) -> tuple[int, ...]:
        return WIDTHS[::-1]

    def title(self, seed: int) -> str:
        return self.names[seed]

    def photo(self, seed: int) -> Path:
        return self.dir / "images" / self.names[seed]

    def mask(self, seed: int) -> Path:
        return (self.dir / "masks" / self.names[seed]).with_suffix(".png")

    def letterbox(self, seed: int) -> Letterbox:
        """How the photo stands in its square."""
        return _letterbox(self.photo(seed), self.size)

    def image_path(self, seed: int) -> Path:
        """A PNG of the square, made when it is asked for."""
        path = self.pictures / f"{seed:06d}-{self.making(seed)}.png"
        if not path.is_file():
            with atomic_path(path) as temporary:
                Image.fromarray(self._square(seed)).save(temporary, compress_level=1)
        return path

    def making(self, seed: int) -> str:
        return _digest(self.photo(seed), self.size)

    def window(self, seed: int, size: int) -> tuple[slice, slice]:
        return replace(self.letterbox(seed), size=size).window

    @torch.no_grad()
    def activations(self, seed: int, keep: Callable[[Tensor], None]) -> None:
        device = next(self.encoder.parameters()).device
        image = torch.from_numpy(self._square(seed)).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        side = min(max(self.size, LEAST_INPUT), MOST_INPUT)
        if side != self.size:
            image = F.interpolate(image, (side, side), mode="bilinear", antialias=True)
        for features in reversed(self.encoder(image)):
            keep(features)

    def more(self, count: int) -> "Photos":
        return replace(self, names=self.names + _taken(self.source, self.dir, self.names, count))

    def half_listed(self, project: Project) -> Iterator[tuple[int, Path]]:
        return iter(())  # a mask needs no list

    def open_labels(self, project: Project, staging: Path) -> MaskFolder:
        return MaskFolder(self, project.classes)

    def describe(self, classes: ClassMap) -> None:
        """Write dataset.json: the classes of the masks, and the photos in the order of their numbers."""
        about = {"classes": classes.to_json(), "source": str(self.source), "names": self.names, "size": self.size}
        write_description(self.dir / DESCRIPTION, KIND, about)

    def _square(self, seed: int) -> Pixels:
        photo = read_image(self.photo(seed), self.size)
        return Letterbox(photo.height, photo.width, self.size).apply(photo.pixels)


def open_photos(project: Project, source: Path, count: int, encoder: Lite0) -> Photos:
    """Those in the project's labelled/, or `count` of the folder `source`, which are copied there.

    GsegError when neither has any.
    """
    folder = project.labelled_dir
    known = _known(folder) or _taken(source, folder, (), count)
    size = _said_size(folder) or _fitting_size([folder / "images" / name for name in known])
    return Photos(folder, known, size, source, project.label_dir / "photos", encoder)


def _known(folder: Path) -> tuple[str, ...]:
    """Photos that are there: in the order that dataset.json gives, behind them others."""
    images = folder / "images"
    there = [path.relative_to(images).as_posix() for path in list_images(images)] if images.is_dir() else []
    said = _said(folder).get("names")
    first = [name for name in said if name in there] if isinstance(said, list) else []
    return (*first, *(name for name in there if name not in first))


def _taken(source: Path, folder: Path, known: Sequence[str], count: int) -> tuple[str, ...]:
    """Copy so many further photos of the source, spread over it; their names. One of a mask's name is enough."""
    taken = {Path(name).with_suffix("") for name in known}
    free: dict[Path, str] = {}
    for path in list_images(source):
        relative = path.relative_to(source)
        if relative.with_suffix("") not in taken:
            free.setdefault(relative.with_suffix(""), relative.as_posix())
    if not known and not free:
        raise GsegError(f"{source}: no photo in this folder", "--photos names the folder of the photos to label")
    chosen = spread(list(free.values()), count) if free else []
    for name in chosen:
        with atomic_path(folder / "images" / name) as temporary:
            shutil.copyfile(source / name, temporary)
    return tuple(chosen)


def _said(folder: Path) -> dict[str, object]:
    data = read_json(folder / DESCRIPTION) if (folder / DESCRIPTION).is_file() else {}
    return data if isinstance(data, dict) else {}


def _said_size(folder: Path) -> int | None:
    """The side of the squares that labels were painted in."""
    size = _said(folder).get("size")
    is_good = isinstance(size, int) and LEAST_SIZE <= size <= MOST_SIZE and size % STEP == 0
    return size if is_good else None  # type: ignore[return-value]


def _fitting_size(photos: Sequence[Path]) -> int:
    """The largest photo's longer side, within limits."""
    sides = (max(photo.height, photo.width) for photo in (read_image(path, 1) for path in photos))
    return min(max(math.ceil(max(sides) / STEP) * STEP, LEAST_SIZE), MOST_SIZE)


@cache
def _letterbox(photo: Path, size: int) -> Letterbox:
    shown = read_image(photo, 1)
    return Letterbox(shown.height, shown.width, size)


@cache
def _digest(photo: Path, size: int) -> str:
    return f"{sha256_file(photo)[:12]}-{size}"
