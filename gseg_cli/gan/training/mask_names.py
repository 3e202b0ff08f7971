"""Masks among photos, told by their names: labels/x.png beside photos/x.jpg, or x_mask.png beside x.jpg."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

WORDS = {
    *("mask", "masks", "label", "labels", "ann", "anno", "annot", "annots", "annotation", "annotations"),
    *("gt", "truth", "groundtruth", "seg", "segs", "segmentation", "segmentations", "matte", "mattes"),
    *("trimap", "trimaps"),
}


def named_like_masks(names: Sequence[str]) -> list[str]:
    """Those of them that are; none where all would be, as in a folder of photos of people with masks."""
    folders = {name: str(PurePosixPath(name).parent) for name in names}
    of_masks = {folder for folder in set(folders.values()) if WORDS.intersection(_words(folder))}
    stems = {PurePosixPath(name).stem for name in names}
    found = [name for name in names if folders[name] in of_masks or _photo_of(PurePosixPath(name).stem) in stems]
    return found if len(found) < len(names) else []


def _words(name: str) -> list[str]:
    """Lower-case: `segmentation` and `class` of SegmentationClass."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)]


def _photo_of(stem: str) -> str | None:
    """x of x_mask, x-mask and x.mask."""
    match = re.fullmatch(r"(.+)[._-]([a-z]+)", stem, re.IGNORECASE)
    return match[1] if match and match[2].lower() in WORDS else None
