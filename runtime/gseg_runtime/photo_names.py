"""What a file's name tells: whether it is a photo's, and else of what kind it is."""

import re
from collections.abc import Callable, Sequence
from pathlib import PurePath, PurePosixPath
from typing import TypeVar

from gseg_runtime.files import TEMPORARY_PREFIX
from gseg_runtime.litter import litter_kind

SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".jpe", ".jif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".heic", ".heif", ".hif"),
)
OTHER = "other"
IMAGES, MASKS = "images", "masks"  # folders of labelled photos

Photo = TypeVar("Photo")


def is_named_like_a_picture(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(TEMPORARY_PREFIX)


def without_masks(photos: Sequence[Photo], name_of: Callable[[Photo], str]) -> list[Photo]:
    """What lies in masks/ is no photo where there is an images/ beside it, as in what `gseg dataset` writes.

    name_of: with its folders, as seen from the top; archives have one more of them.
    """
    labelled = {before for photo in photos for before in _before(IMAGES, name_of(photo))}
    return [photo for photo in photos if labelled.isdisjoint(_before(MASKS, name_of(photo)))]


def _before(folder: str, name: str) -> set[tuple[str, ...]]:
    """What stands before each folder of that name."""
    parts = PurePosixPath(name).parts[:-1]
    return {parts[:place] for place, part in enumerate(parts) if part == folder}


def kind_of(name: str) -> str:
    """How a file is counted that is passed over: by its suffix, or as what systems leave behind.

    OTHER for a suffix that tells no kind, as the number of a frame.
    """
    if kind := litter_kind(name):
        return kind
    if name.startswith(TEMPORARY_PREFIX):
        return f"{TEMPORARY_PREFIX}*"
    suffix = PurePath(name).suffix.lower()
    if not suffix:
        return "no suffix"
    return suffix if re.fullmatch(r"\.(?=\w*[^\W\d_])\w{1,8}", suffix) else OTHER
