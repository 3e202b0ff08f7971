"""Labelled photos that a student does not learn from, to see how good it is on photos it does not know."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np

from gseg_cli.annotate.hatching import marked
from gseg_cli.annotate.legend import with_legend
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import Student
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import ConfigError
from gseg_runtime.label_map import LabelMap, Pixels, contact_sheet
from gseg_runtime.metrics import confusion_matrix, iou_per_class, mean_iou
from gseg_runtime.spread import spread

TITLES = ("photo", "labels", "student")
SHOWN, COLUMNS, CELL = 24, 2, 160

T = TypeVar("T")


@dataclass(frozen=True)
class HeldOut:
    """How good a student is on so many photos. miou: over the classes that they show; per_class_iou: by name, without
    the others.
    """

    photos: int
    miou: float
    per_class_iou: dict[str, float]


def split(photos: Sequence[T], count: int) -> tuple[list[T], list[T]]:
    """Those to learn from, and so many others, evenly spread. ConfigError where nothing would be left to learn from."""
    if not 0 <= count < len(photos):
        message = f"held_out: expected fewer than the {len(photos)} labelled photos, got {count}"
        raise ConfigError(message, "label more, or hold out fewer")
    held = {(2 * i + 1) * len(photos) // (2 * count) for i in range(count)}
    return [photo for i, photo in enumerate(photos) if i not in held], [photos[i] for i in sorted(held)]


def measure(student: Student, photos: PairSet, classes: ClassMap) -> tuple[HeldOut, LabelMap]:
    """The student on photos of its own size, and what it says of them, [N, S, S]."""
    predicted, truth = predict_labels(student, photos.images), photos.first.numpy()
    matrix = confusion_matrix(predicted, truth, len(classes))
    found = zip(classes.names, iou_per_class(matrix).tolist(), strict=True)
    per_class = {name: round(iou, 4) for name, iou in found if not np.isnan(iou)}
    return HeldOut(len(photos), round(mean_iou(matrix), 4), per_class), predicted


def draw_held_out(photos: PairSet, predicted: LabelMap, classes: ClassMap) -> Pixels:
    """Some of them, each beside its labels and what the student says, below the classes' colours."""
    rows = [_row(photos, predicted, row, classes) for row in spread(range(len(photos)), SHOWN)]
    lines = [list(chain(*rows[first : first + COLUMNS])) for first in range(0, len(rows), COLUMNS)]
    return with_legend(contact_sheet(lines, CELL, TITLES * min(COLUMNS, len(rows))), classes)


def _row(photos: PairSet, predicted: LabelMap, row: int, classes: ClassMap) -> list[Pixels]:
    """Beside the photo and where its labels are ignored, nothing is compared, and nothing shown."""
    image, labels = photos.images[row].numpy(), photos.first[row].numpy()
    compared = np.where(labels == IGNORE, IGNORE, predicted[row])
    return [image, marked(image, labels, classes), marked(image, compared, classes)]
