"""The smallest subject: a 16-px GAN that nobody trained, and pictures whose labels are how bright they are."""

from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.datasets.toy_faces.views import View
from gseg_cli.distill.config import PairsConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.reproduce.size import Size
from gseg_cli.reproduce.subject import Photo, ScoredPhotos, Subject, Task
from gseg_runtime.class_map import ClassMap
from tests.tiny import CLASSES, annotate, brightness_labels

SIZE = Size(
    draws=2,
    num_photos=20,  # more than are inverted at once
    num_samples=4,
    num_viewed=2,
    shots=(1, 2),
    labels=(1, 3),
    models=("mlp", "cnn-s"),
    max_steps=3,
    pairs=PairsConfig(count=8),
    student={"student": "tiny", "batch": 4},
    invert_steps=2,
)


class TinySubject(Subject):
    name, title, suffix = "toy-faces", "tiny pictures", ""
    tasks = (Task("3 classes", CLASSES), Task("2 classes", ClassMap.of_names(["dark", "light"])))
    num_annotations = 8
    num_labelled = 3

    def __init__(self, gan: Path) -> None:
        super().__init__(gan, torch.device("cpu"))

    @cached_property
    def key(self) -> dict[str, Any]:
        return {"subject": "tiny"}

    def annotations(self, task: Task, shots: int, draw: int) -> AnnotationSet:
        seeds = [10 * draw + i for i in range(shots)]
        return task.merged(annotate(self.generator, seeds, brightness_labels(self.generator, seeds)))

    def test(self, count: int | None) -> ScoredPhotos:
        seeds = range(100, 100 + (count or 20))
        return ScoredPhotos("test", {"photos": "test", "count": len(seeds)}, len(seeds), partial(self._read, seeds))

    def views(self, count: int) -> dict[str, ScoredPhotos]:
        views = {"as trained": View(), "scale 2": View(scale=2), "shift": View(shift=0.2), "turn": View(rotation_deg=9)}
        keys = {name: {"view": name, "count": count, **vars(view)} for name, view in views.items()}
        return {n: ScoredPhotos(n, key, count, partial(self._read, range(count))) for n, key in keys.items()}

    def samples(self, count: int) -> AnnotationSet:
        seeds = list(range(200, 200 + count))
        return annotate(self.generator, seeds, brightness_labels(self.generator, seeds))

    def labelled(self, count: int, draw: int) -> PairSet:
        photos = list(self._read(range(300, 300 + count), self.tasks[0]))
        return PairSet.exact(np.stack([p.square for p in photos]), np.stack([p.truth for p in photos]))

    def _read(self, seeds: range, task: Task) -> Iterator[Photo]:
        images = to_uint8(self.generator.synthesis(ws_for_seeds(self.generator, seeds, 1.0))).numpy()
        labels = task.merge(brightness_labels(self.generator, list(seeds)), CLASSES)
        for image, truth in zip(images, labels, strict=True):
            yield Photo.of(image, truth, self.size)
