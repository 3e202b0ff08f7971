"""The embedded default as a subject: toy faces, whose labels are exact, and the reference annotator for samples."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.builtin import PREFIX, SMALL
from gseg_cli.datasets.splits import SUPERVISED_SEED, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, render
from gseg_cli.datasets.toy_faces.views import View, render_view
from gseg_cli.distill.pairs import PairSet
from gseg_cli.evaluate.reference import annotate_samples, reference_path
from gseg_cli.evaluate.samples import TEACHER_SEEDS
from gseg_cli.gan.load import GanModule
from gseg_cli.reproduce.subject import Photo, ScoredPhotos, Subject, Task
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import LabelMap, Pixels

GAN = PREFIX + SMALL
PSI = 0.7  # of the annotated samples
MIN_PIXELS = 6  # of every class: whoever labels few samples picks ones that show all parts
SHOTS = 10  # of each draw
CHUNK = 256  # samples annotated at once
LABELS_PER_DRAW = 10_000
# One thing at a time; the strings are the columns of the table.
VIEWS = {
    "as trained": View(),
    "scale 0.5": View(scale=0.5),
    "scale 0.7": View(scale=0.7),
    "scale 1.4": View(scale=1.4),
    "scale 2": View(scale=2.0),
    "shift 15 %": View(shift=0.15),
    "shift 30 %": View(shift=0.3),
    "turn 10°": View(rotation_deg=10),
    "turn 20°": View(rotation_deg=20),
    "turn 45°": View(rotation_deg=45),
}
Render = Callable[[int, int], tuple[Pixels, LabelMap]]  # of a seed and a size


def _classes(*names: str) -> ClassMap:
    return ClassMap(names, tuple(CLASSES.colors[CLASSES.names.index(name)] for name in names))


# The second is the paper's: eyes, mouth and nose, the rest is background.
TASKS = (Task("10 classes", CLASSES), Task("3 classes", _classes("background", "eyes", "mouth", "nose")))


class ToyFaces(Subject):
    name, suffix = "toy-faces", ""
    tasks = TASKS
    num_annotations = SHOTS
    num_labelled = LABELS_PER_DRAW

    def __init__(self, gan: Path, device: torch.device) -> None:
        super().__init__(gan, device)
        self._complete: AnnotationSet | None = None
        self.title = f"toy faces of {self.size} px"

    @cached_property
    def key(self) -> dict[str, Any]:
        return {"subject": "toy-faces", "size": self.size, "reference": sha256_file(reference_path(self.size))}

    def annotations(self, task: Task, shots: int, draw: int) -> AnnotationSet:
        first = SHOTS * draw
        if self._complete is None or len(self._complete.seeds) < first + SHOTS:
            self._complete = complete_samples(self.generator, self.gan_sha256, first + SHOTS)
        return task.merged(self._complete.rows(range(first, first + shots)))

    def test(self, count: int | None) -> ScoredPhotos:
        seeds = TEST_SEEDS[:count]
        key = {"photos": "test", "first": seeds[0], "count": len(seeds)}
        return ScoredPhotos("test", key, len(seeds), partial(self._read, seeds, render))

    def views(self, count: int) -> dict[str, ScoredPhotos]:
        seeds = TEST_SEEDS[:count]

        def photo_set(name: str, view: View) -> ScoredPhotos:
            key = {"photos": "view", "first": seeds[0], "count": len(seeds), **asdict(view)}
            return ScoredPhotos(name, key, len(seeds), partial(self._read, seeds, partial(render_view, view=view)))

        return {name: photo_set(name, view) for name, view in VIEWS.items()}

    def _read(self, seeds: range, render: Render, task: Task) -> Iterator[Photo]:
        for seed in seeds:
            image, labels = render(seed, self.size)
            yield Photo.of(image, task.merge(labels, CLASSES), self.size)

    def labelled(self, count: int, draw: int) -> PairSet:
        first = SUPERVISED_SEED + draw * LABELS_PER_DRAW
        faces = [render(seed, self.size) for seed in range(first, first + count)]
        return PairSet.exact(np.stack([image for image, _ in faces]), np.stack([labels for _, labels in faces]))

    @cache  # noqa: B019 (one subject lives as long as the process)
    def samples(self, count: int) -> AnnotationSet:
        return annotate_samples(self.generator, TEACHER_SEEDS[:count], 1.0, self.gan_sha256)


def complete_samples(generator: GanModule, gan_sha256: str, count: int) -> AnnotationSet:
    """The first `count` samples, by seed, on which the reference annotator finds every class.

    GsegError when the samples before those that teachers are measured on do not hold so many.
    """
    found: AnnotationSet | None = None
    for start in range(0, TEACHER_SEEDS[0], CHUNK):
        seeds = range(start, min(start + CHUNK, TEACHER_SEEDS[0]))
        a = annotate_samples(generator, seeds, PSI, gan_sha256)
        rows = np.flatnonzero(a.pixel_counts.min(axis=1) >= MIN_PIXELS).tolist()
        if rows:
            found = found.joined(a.rows(rows)) if found else a.rows(rows)
        if found and len(found.seeds) >= count:
            return found.rows(range(count))
    message = (
        f"only {len(found.seeds) if found else 0} of {TEACHER_SEEDS[0]} samples show every class, {count} are needed"
    )
    raise GsegError(message, "a smaller --seed and fewer --draws need fewer; was this GAN trained on toy faces?")
