"""PASCAL-Part (Chen et al., CVPR 2014), cars and horses, cut and merged as for the paper's tables 4 to 6.

    Annotations_Part/2008_000008.mat       PASCAL-Part: objects, their parts, a mask of each
    JPEGImages/2008_000008.jpg             PASCAL VOC 2010
    ImageSets/Main/horse_val.txt           PASCAL VOC 2010: the splits

Each object is cut out by the box around its mask. Left out are objects whose box overlaps that of another object, of
whatever class, by more than 5 % (intersection over union), crops of fewer than 50 x 50 pixels (cars) or 32 x 32
(horses), and objects without a part. These rules and the merging of part names are those of SLiMe (Khani et al., ICLR
2024, appendix B.1), which says to follow the paper; the paper's own code does not hold them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_cli.datasets.protocol import ALL, Dropped, Example, Protocol
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels

ANNOTATIONS, IMAGES, LISTS = "Annotations_Part", "JPEGImages", "ImageSets/Main"
SPLITS = ("val", "train")  # VOC keeps the labels of its test photos to itself; what is published tests on val
MAX_OVERLAP = 0.05

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Rules:
    """min_side: of a crop in pixels. parts: class by class the part names, without their numbers, in PASCAL-Part.

    Where parts lie over each other the later class is on top: a window is on the body.
    """

    object_class: str
    min_side: int
    parts: Mapping[str, Sequence[str]]

    def index_of(self, part_name: str, path: Path) -> int:
        name = re.sub(r"_\d+$", "", part_name)  # wheel_1, wheel_2, ...
        for index, names in enumerate(self.parts.values(), start=1):
            if name in names:
                return index
        raise GsegError(f"{path}: no part of a {self.object_class} is called {part_name!r}", "is this PASCAL-Part?")


@dataclass(frozen=True)
class Annotated:
    """An object. mask: bool [H, W]; parts: name and mask of each."""

    object_class: str
    mask: Mask
    parts: tuple[tuple[str, Mask], ...]

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Top, left, bottom, right; the last two exclusive."""
        rows, columns = (np.flatnonzero(self.mask.any(axis=axis)) for axis in (1, 0))
        if not len(rows):
            return 0, 0, 0, 0
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def read_annotation(path: Path) -> list[Annotated]:
    """The objects of one .mat file; GsegError when it cannot be read or holds something else."""
    from scipy.io import loadmat

    if not path.is_file():
        hint = "the lists of VOC 2010 name photos that PASCAL-Part has; those of later years name others, too"
        raise GsegError(f"{path}: no such file", hint)
    try:
        annotation = loadmat(path, variable_names=["anno"])["anno"][0, 0]
        return [_object(item) for item in annotation["objects"].ravel()]
    except OSError as error:
        raise GsegError(f"{path}: {error.strerror or error}", "put the .mat files of PASCAL-Part there") from error
    except Exception as error:  # on a broken file scipy raises nearly anything
        message = f"{path}: not an annotation of PASCAL-Part: {type(error).__name__}: {error}"
        raise GsegError(message, "unpack the data set again") from error


def _object(item: Any) -> Annotated:
    """An object without parts has an empty array there, without fields."""
    parts = tuple((str(part["part_name"][0]), part["mask"].astype(bool)) for part in item["parts"].ravel())
    return Annotated(str(item["class"][0]), item["mask"].astype(bool), parts)


def _list_photos(rules: Rules, source: Path, split: str) -> list[str]:
    for folder in (ANNOTATIONS, IMAGES):
        if not (source / folder).is_dir():
            hint = f"put or link {ANNOTATIONS} of PASCAL-Part and {IMAGES} and ImageSets of VOC 2010 into one folder"
            raise GsegError(f"{source}: no folder {folder}", hint)
    if split == ALL:
        return sorted(path.stem for path in (source / ANNOTATIONS).glob("*.mat"))
    path = source / LISTS / f"{rules.object_class}_{split}.txt"
    if not path.is_file():
        raise GsegError(f"{path}: no such file", f"it comes with VOC 2010; --split {ALL} takes all annotations instead")
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return sorted(row[0] for row in rows if row[-1] != "-1")  # 1: shows the class; 0: only hard to see; -1: does not


def _examples_in(rules: Rules, source: Path, photo: str) -> list[Example | Dropped]:
    path = source / ANNOTATIONS / f"{photo}.mat"
    objects = read_annotation(path)
    labels: LabelMap | None = None
    found: list[Example | Dropped] = []
    for number, item in enumerate(objects):
        if item.object_class != rules.object_class:
            continue
        name = f"{photo}_{number}"
        if reason := _reason_to_drop(item, objects, rules):
            found.append(Dropped(name, reason))
            continue
        if labels is None:
            labels = _paint(objects, rules, path)
        found.append(Example(name, partial(_crop, source / IMAGES / f"{photo}.jpg", labels, item.box)))
    return found


def _reason_to_drop(item: Annotated, objects: Sequence[Annotated], rules: Rules) -> str | None:
    top, left, bottom, right = item.box
    if not item.parts:
        return "no part"
    if any(_overlap(item.box, other.box) > MAX_OVERLAP for other in objects if other is not item):
        return "overlap"
    return "small" if min(bottom - top, right - left) < rules.min_side else None


def _overlap(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> float:
    """Intersection over union of two boxes."""
    height, width = (max(0, min(a[axis + 2], b[axis + 2]) - max(a[axis], b[axis])) for axis in (0, 1))
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return height * width / max(1, areas - height * width)


def _paint(objects: Sequence[Annotated], rules: Rules, path: Path) -> LabelMap:
    """The label map of the whole photo, with the parts of all objects of the class: a crop may show two."""
    labels = np.zeros(objects[0].mask.shape, np.uint8)
    parts = [part for item in objects if item.object_class == rules.object_class for part in item.parts]
    indexed = [(rules.index_of(name, path), mask) for name, mask in parts]
    for index, mask in sorted(indexed, key=lambda pair: pair[0]):
        labels[mask] = index
    return labels


def _crop(photo: Path, labels: LabelMap, box: tuple[int, int, int, int]) -> tuple[Pixels, LabelMap]:
    pixels = read_image(photo).pixels
    if pixels.shape[:2] != labels.shape:
        message = f"{photo}: {list(pixels.shape[:2])} pixels, but its annotation has {list(labels.shape)}"
        raise GsegError(message, "use the photos of VOC 2010")
    window = slice(box[0], box[2]), slice(box[1], box[3])
    return pixels[window], labels[window]


def _protocol(name: str, rules: Rules, colors: Sequence[tuple[int, int, int]]) -> Protocol:
    classes = ClassMap(("background", *rules.parts), ((38, 42, 51), *colors))
    return Protocol(name, classes, SPLITS, partial(_list_photos, rules), partial(_examples_in, rules))


_CAR_BODY = ("frontside", "leftside", "rightside", "backside", "roofside", "leftmirror", "rightmirror", "door")
_HORSE_LEGS = tuple(f"{side}{end}" for side in ("lf", "rf", "lb", "rb") for end in ("uleg", "lleg", "ho"))
PASCAL_CAR = _protocol(
    "pascal-car",
    Rules(
        "car",
        min_side=50,
        parts={
            "body": _CAR_BODY,
            "light": ("headlight",),
            "plate": ("fliplate", "bliplate"),
            "wheel": ("wheel",),
            "window": ("window",),
        },
    ),
    ((224, 62, 96), (252, 217, 94), (240, 240, 240), (142, 206, 128), (77, 166, 255)),
)
PASCAL_HORSE = _protocol(
    "pascal-horse",
    Rules(
        "horse",
        min_side=32,
        parts={
            "head": ("head", "leye", "reye", "lear", "rear", "muzzle"),
            "neck+torso": ("neck", "torso"),
            "leg": _HORSE_LEGS,
            "tail": ("tail",),
        },
    ),
    ((252, 217, 94), (224, 62, 96), (77, 166, 255), (142, 206, 128)),
)
