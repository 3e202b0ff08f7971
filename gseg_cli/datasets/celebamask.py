"""CelebAMask-HQ (Lee et al., CVPR 2020) as the paper uses it: 512 px, three or nine parts and the background.

    CelebA-HQ-img/0.jpg                             1024 px
    CelebAMask-HQ-mask-anno/0/00000_hair.png        512 px, one mask for each part that is there; 2,000 photos a folder
    CelebA-HQ-to-CelebA-mapping.txt                 which photo of CelebA each one is, and so its split

The merging is that of the authors' code (github.com/trolytrol/RepurposingGANs, utils.py): left and right become one,
lips and inner mouth become the mouth; masks are resized to 512 px and cut at 0.4; where masks overlap the part listed
first wins; what is no part (hat, glasses, jewellery) is background. There the background is the last class, here it is
index 0.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_cli.datasets.protocol import ALL, Dropped, Example, Protocol
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels
from gseg_runtime.pillow import open_picture, picture_errors

SIZE = 512
THRESHOLD = 0.4 * 255
PHOTOS_PER_FOLDER = 2000
IMAGES, MASKS, MAPPING = "CelebA-HQ-img", "CelebAMask-HQ-mask-anno", "CelebA-HQ-to-CelebA-mapping.txt"
# The partition that CelebA publishes (list_eval_partition.txt), by the number of the photo there. CelebAMask-HQ takes
# it over: 2,824, 2,993 and 24,183 photos.
SPLITS = {"test": range(182_638, 202_600), "val": range(162_771, 182_638), "train": range(1, 162_771)}
PARTS = {
    "hair": ("hair",),
    "eyebrow": ("l_brow", "r_brow"),
    "eye": ("l_eye", "r_eye"),
    "mouth": ("l_lip", "u_lip", "mouth"),
    "nose": ("nose",),
    "skin": ("skin",),
    "ear": ("l_ear", "r_ear"),
    "neck": ("neck",),
    "clothes": ("cloth",),
}
COLORS = {
    "background": (38, 42, 51),
    "hair": (128, 90, 190),
    "eyebrow": (122, 78, 45),
    "eye": (77, 166, 255),
    "mouth": (224, 62, 96),
    "nose": (245, 132, 66),
    "skin": (240, 194, 155),
    "ear": (252, 217, 94),
    "neck": (142, 206, 128),
    "clothes": (38, 145, 140),
}


def list_photos(source: Path, split: str) -> list[str]:
    """The numbers of the photos as text, in their order; GsegError when the split is unknown or not all there."""
    there = {path.stem for path in (source / IMAGES).glob("*.jpg") if path.stem.isdecimal()}
    if not there:
        raise GsegError(f"{source}: no photos in {IMAGES}/", f"name the CelebAMask-HQ folder that contains {IMAGES}")
    wanted = there if split == ALL else _photos_of(source / MAPPING, SPLITS[split])
    missing = sorted(wanted - there, key=int)
    if missing:
        message = (
            f"{source / IMAGES}: {len(missing)} of {len(wanted)} photos of {split} are missing: {missing[0]}.jpg ..."
        )
        raise GsegError(message, f"complete the data set; --split {ALL} uses the photos that are there")
    return sorted(wanted, key=int)


def _photos_of(mapping: Path, numbers: range) -> set[str]:
    """The photos that are in CelebA under one of these numbers. Lines: index, index in CelebA, its file name."""
    if not mapping.is_file():
        hint = f"it is part of CelebAMask-HQ and defines the splits; --split {ALL} works without it"
        raise GsegError(f"{mapping}: no such file", hint)
    rows = [line.split() for line in mapping.read_text(encoding="utf-8").splitlines()]
    try:
        return {row[0] for row in rows if row and row[0] != "idx" and int(Path(row[2]).stem) in numbers}
    except (IndexError, ValueError) as error:
        message = f"{mapping}: expected lines such as '0 119613 119614.jpg': {error}"
        raise GsegError(message, "use the file that comes with CelebAMask-HQ") from error


def _examples_in(parts: Mapping[str, Sequence[str]], source: Path, photo: str) -> list[Example | Dropped]:
    return [Example(f"{int(photo):05d}", partial(_load, parts, source, photo))]


def _load(parts: Mapping[str, Sequence[str]], source: Path, photo: str) -> tuple[Pixels, LabelMap]:
    pixels = Image.fromarray(read_image(source / IMAGES / f"{photo}.jpg").pixels)
    image = np.asarray(pixels.resize((SIZE, SIZE), Image.Resampling.BILINEAR))  # averages where it shrinks
    return image, merge_masks(source / MASKS / str(int(photo) // PHOTOS_PER_FOLDER), int(photo), parts)


def merge_masks(folder: Path, number: int, parts: Mapping[str, Sequence[str]] = PARTS) -> LabelMap:
    """The label map of one face, uint8 [512, 512]: 1 for the first of `parts`, and so on.

    parts: the masks that make up each class. GsegError when the face has no mask of any part.
    """
    if not any((folder / f"{number:05d}_{mask}.png").is_file() for masks in PARTS.values() for mask in masks):
        hint = f"the masks of 2,000 photos each lie in {MASKS}/0 to 14; complete the data set"
        raise GsegError(f"{folder}: no masks of photo {number}", hint)
    labels = np.zeros((SIZE, SIZE), np.uint8)
    for index, masks in reversed(list(enumerate(parts.values(), start=1))):  # the first is painted last
        for mask in masks:
            path = folder / f"{number:05d}_{mask}.png"
            if path.is_file():
                labels[_read_mask(path)] = index
    return labels


def _read_mask(path: Path) -> npt.NDArray[np.bool_]:
    with picture_errors(path), open_picture(path.read_bytes(), ["PNG"]) as image:
        return np.asarray(image.convert("L").resize((SIZE, SIZE), Image.Resampling.BICUBIC)) >= THRESHOLD


def _protocol(name: str, parts: Mapping[str, Sequence[str]]) -> Protocol:
    names = ("background", *parts)
    classes = ClassMap(names, tuple(COLORS[name] for name in names))
    return Protocol(name, classes, tuple(SPLITS), list_photos, partial(_examples_in, parts))


CELEBAMASK_3 = _protocol("celebamask-3", {name: PARTS[name] for name in ("eye", "mouth", "nose")})
CELEBAMASK_10 = _protocol("celebamask-10", PARTS)
