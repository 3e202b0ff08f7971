"""Ignored pixels on pictures for people: hatched, or else they look like background, whose photo shows as well."""

import numpy as np

from gseg_cli.picture_files import enlarged
from gseg_runtime.class_map import IGNORE, IGNORE_COLOR, ClassMap
from gseg_runtime.label_map import LabelMap, Pixels, overlay

_LINES = 16  # along a side, so that a picture shrunk for a sheet still shows them
_DARK = np.array((40, 40, 40), np.uint8)


def marked(image: Pixels, labels: LabelMap, classes: ClassMap) -> Pixels:
    """The image below the class colours, and hatched where it is ignored; enlarged if it is small."""
    return with_ignored(overlay(image, labels, classes), labels)


def with_ignored(picture: Pixels, labels: LabelMap) -> Pixels:
    """The picture of these labels, hatched where they ignore it; enlarged if it is small, for lines to be thin."""
    shown, is_ignored = enlarged(picture), enlarged(labels) == IGNORE
    return np.where(is_ignored[..., None], hatched(shown), shown)


def hatched(picture: Pixels) -> Pixels:
    """Pale, below dark slanting lines: seen on any photo and in any class's colour."""
    period = max(4, max(picture.shape) // _LINES)
    height, width = picture.shape[:2]
    is_line = (np.arange(height)[:, None] + np.arange(width)) % period < period // 4
    pale = picture // 2 + np.array(IGNORE_COLOR, np.uint8) // 2
    return np.where(is_line[..., None], _DARK, pale)
