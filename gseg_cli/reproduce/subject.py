"""What the tables are measured on: a GAN, annotated samples of it, labelled photos to test on and to train on."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.distill.pairs import PairSet
from gseg_cli.gan.load import GanModule, load_generator
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.files import sha256_file
from gseg_runtime.geometry import Letterbox
from gseg_runtime.label_map import LabelMap, Pixels


@dataclass(frozen=True)
class Task:
    """A division of the picture into classes. name: for people and for keys, such as "3 classes"."""

    name: str
    classes: ClassMap

    def merge(self, labels: LabelMap, classes: ClassMap) -> LabelMap:
        """Label maps of `classes` in those of the task, by name; what the task does not name is background."""
        table = np.zeros(256, np.uint8)
        table[IGNORE] = IGNORE
        for index, name in enumerate(classes.names):
            table[index] = self.classes.names.index(name) if name in self.classes.names else 0
        return table[labels]

    def merged(self, annotations: AnnotationSet) -> AnnotationSet:
        labels = self.merge(annotations.labels, annotations.classes)
        return replace(annotations, labels=labels, classes=self.classes)


@dataclass(frozen=True)
class Photo:
    """square: as it comes into the networks, uint8 [R, R, 3]; truth: of the photo, uint8 [H, W]."""

    square: Pixels
    framing: Letterbox
    truth: LabelMap

    @classmethod
    def of(cls, pixels: Pixels, truth: LabelMap, size: int) -> "Photo":
        height, width = pixels.shape[:2]
        framing = Letterbox(height, width, size)
        return cls(framing.apply(pixels), framing, truth)


@dataclass(frozen=True)
class ScoredPhotos:
    """key: JSON that says which photos; count: about how many; read: one by one, with labels in a task's classes."""

    name: str
    key: Mapping[str, Any]
    count: int
    read: Callable[[Task], Iterator[Photo]]

    def batches(self, task: Task, size: int) -> Iterator[list[Photo]]:
        photos = self.read(task)
        while batch := list(islice(photos, size)):
            yield batch


class Subject(ABC):
    """name: as tables know it; title: for headings; suffix: of file names. tasks: the first is the finest, and the one
    of students and supervised networks. num_annotations, num_labelled: how many there are. What the methods return for
    one draw overlaps little with that of others.
    """

    name: str
    title: str
    suffix: str
    tasks: tuple[Task, ...]
    num_annotations: int
    num_labelled: int
    class_index: int | None = None

    def __init__(self, gan: Path, device: torch.device) -> None:
        self.gan, self.device = gan, device
        self.gan_sha256 = sha256_file(gan)

    @cached_property
    def generator(self) -> GanModule:
        return load_generator(self.gan, self.device, self.class_index)

    @property
    def size(self) -> int:
        """The side of the GAN's images, and of what all networks see, in pixels."""
        return self.generator.img_resolution

    @property
    @abstractmethod
    def key(self) -> dict[str, Any]:
        """What decides figures besides the GAN, the code and what is in a job's own config."""

    @abstractmethod
    def annotations(self, task: Task, shots: int, draw: int) -> AnnotationSet:
        """Annotated samples of the GAN."""

    @abstractmethod
    def test(self, count: int | None) -> ScoredPhotos:
        """At most so many photos that nothing was trained on, None for all."""

    @abstractmethod
    def labelled(self, count: int, draw: int) -> PairSet:
        """Photos with their true labels in the finest task, to train on."""

    def samples(self, count: int) -> AnnotationSet | None:
        """Generated images with their labels, to score teachers on; None where nobody labels them."""
        return None

    def views(self, count: int) -> dict[str, ScoredPhotos]:
        """Photos unlike the GAN's in size, place or orientation, by what was changed; empty where there are none."""
        return {}
