"""Photos as what is labelled: what a network that knows ImageNet sees in them, and the project's labelled/."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from gseg_cli.counted import counted
from gseg_cli.datasets.protocols import DESCRIPTION, KIND
from gseg_cli.distill.student import Student
from gseg_cli.folder_description import write_description
from gseg_cli.label.lock import locked
from gseg_cli.label.masks import MaskFolder
from gseg_cli.label.photo_copies import known_photos, said, take_photos
from gseg_cli.pretrained.lite0 import WIDTHS, Lite0
from gseg_cli.project import Project
from gseg_cli.steps import OnStep, Say, Step, ignore_say, ignore_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path, sha256_file
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import read_image

LEAST_SIZE, MOST_SIZE = 64, 512  # pixels of a square's side: what is smaller is enlarged
# Sides of what the network sees. On portraits, frozen features of 256 px had 0.60 and 0.75 mean IoU from one and five
# of them, of 128 px 0.49 and 0.72, and of 512 px no more (a ridge classifier, one draw, by a script that is not kept).
LEAST_INPUT, MOST_INPUT = 128, 256
STEP = 32  # both are multiples of it
# Times that the student's logits stand among the features, to which ridge regression then listens more; of many classes
# fewer, for the memory.
REPEATS, MOST_CHANNELS = 32, 512


@dataclass(frozen=True)
class Square:
    """A photo as it is painted on. picture: a PNG of the square; digest: of the photo."""

    picture: Path
    letterbox: Letterbox
    digest: str


@dataclass(frozen=True, eq=False)
class Photos:
    """names: relative to dir/images, and a photo's number is its place. squares: of each, as the photos were when it
    was opened. copied: names of those that gseg put there. source: where more come from. student: of those
    that are labelled so far, where there is one."""

    dir: Path
    names: tuple[str, ...]
    squares: tuple[Square, ...]
    copied: tuple[str, ...]
    size: int
    source: Path
    pictures: Path
    encoder: Lite0
    student: Student | None = None
    noun = "photo"

    @property
    def train(self) -> tuple[str, ...]:
        return "student-train", str(self.dir.resolve())

    @property
    def seeds(self) -> Sequence[int]:
        return range(len(self.names))

    @property
    def network(self) -> Student | Lite0:
        return self.student or self.encoder

    @property
    def feature_channels(self) -> tuple[int, ...]:
        return WIDTHS[::-1] + ((self.student.config.num_classes * self._repeats,) if self.student else ())

    def title(self, seed: int) -> str:
        return self.names[seed]

    def photo(self, seed: int) -> Path:
        return self.dir / "images" / self.names[seed]

    def mask(self, seed: int) -> Path:
        return (self.dir / "masks" / self.names[seed]).with_suffix(".png")

    def letterbox(self, seed: int) -> Letterbox:
        """How the photo stands in its square."""
        return self.squares[seed].letterbox

    def image_path(self, seed: int) -> Path:
        return self.squares[seed].picture

    def making(self, seed: int) -> str:
        return f"{self.squares[seed].digest}-{self.size}"

    def window(self, seed: int, size: int) -> tuple[slice, slice]:
        return replace(self.letterbox(seed), size=size).window

    @torch.no_grad()
    def activations(self, seed: int, keep: Callable[[Tensor], None]) -> None:
        device = next(self.encoder.parameters()).device
        with Image.open(self.image_path(seed)) as picture:
            square = np.array(picture)
        image = torch.from_numpy(square).to(device).permute(2, 0, 1)[None].float() / 127.5 - 1
        side = min(max(self.size, LEAST_INPUT), MOST_INPUT)
        for features in reversed(self.encoder(_resized(image, side))):
            keep(features)
        if self.student:
            logits = self.student(_resized(image, self.student.config.input_size))
            keep(logits.repeat(1, self._repeats, 1, 1))

    @property
    def _repeats(self) -> int:
        assert self.student
        return min(REPEATS, MOST_CHANNELS // self.student.config.num_classes)

    def more(self, count: int) -> "Photos":
        new = take_photos(self.source, self.dir, count, self.names)
        squares = tuple(_square(self.dir / "images" / name, self.size, self.pictures) for name in new)
        return replace(self, names=self.names + new, squares=self.squares + squares, copied=self.copied + new)

    def half_listed(self, project: Project) -> Iterator[tuple[int, Path]]:
        return iter(())  # a mask needs no list

    def open_labels(self, project: Project) -> MaskFolder:
        return MaskFolder(self, project.classes)

    def describe(self, classes: ClassMap) -> None:
        """Write dataset.json: the classes of the masks, and the photos in the order of their numbers."""
        facts = {"classes": classes.to_json(), "source": str(self.source), "names": self.names, "copied": self.copied}
        write_description(self.dir / DESCRIPTION, KIND, {**facts, "size": self.size})


def open_photos(
    project: Project,
    source: Path,
    count: int,
    encoder: Lite0,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> Photos:
    """Those in the project's labelled/, or else `count` of the folder `source`, which are copied there.

    Photos that cannot be read are left out, and named. GsegError when none is left, when two have the same mask, or
    while another process labels.
    """
    if not source.is_dir():
        raise GsegError(f"{source}: no such folder", "--photos names the folder of the photos to label")
    folder, pictures = project.labelled_dir, project.label_dir / "photos"
    pictures.mkdir(parents=True, exist_ok=True)
    with locked(project.label_dir):
        if names := known_photos(folder, say):
            say(f"goes on with the {counted(len(names), 'photo')} in {folder}; + on the page takes more of {source}")
        else:
            names = take_photos(source, folder, count, (), project.classes, say)
    if not names:
        raise GsegError(f"{source}: no photo in this folder", "--photos names the folder of the photos to label")
    about = said(folder)
    paths = [folder / "images" / name for name in names]
    size = about.get("size")
    if not (isinstance(size, int) and LEAST_SIZE <= size <= MOST_SIZE and size % STEP == 0):
        size = _fitting_size(paths)
    squares = []
    for path in paths:
        squares.append(_square(path, size, pictures))
        on_step(Step(len(squares), len(paths)))
    return Photos(folder, names, tuple(squares), tuple(about["copied"]), size, source, pictures, encoder)


def _resized(x: Tensor, side: int) -> Tensor:
    return x if x.shape[-1] == side else F.interpolate(x, (side, side), mode="bilinear", antialias=True)


def _fitting_size(photos: Sequence[Path]) -> int:
    """The largest photo's longer side, within limits. None is decoded behind the first that reaches them."""
    longest = LEAST_SIZE
    for path in photos:
        if longest >= MOST_SIZE:
            break
        photo = read_image(path, 1)
        longest = max(longest, photo.height, photo.width)
    return min(math.ceil(longest / STEP) * STEP, MOST_SIZE)


def _square(photo: Path, size: int, folder: Path) -> Square:
    """Its picture is made once; the picture's name tells the photo's height and width."""
    digest = sha256_file(photo)[:12]
    name = f"{digest}-{size}"
    if made := next(folder.glob(f"{name}-*x*.png"), None):
        height, width = map(int, made.stem.rpartition("-")[2].split("x"))
        return Square(made, Letterbox(height, width, size), digest)
    shown = read_image(photo, size)
    letterbox = Letterbox(shown.height, shown.width, size)
    path = folder / f"{name}-{shown.height}x{shown.width}.png"
    with atomic_path(path) as temporary:
        Image.fromarray(letterbox.apply(shown.pixels, box=shown.box)).save(temporary, compress_level=1)
    return Square(path, letterbox, digest)
