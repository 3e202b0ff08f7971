"""A person at `gseg label`, simulated: strokes where the live teacher is most wrong, of the class that is right there.

As interactive segmentation is measured: the largest wrong region, of which the middle is marked. The reference
annotator's label maps are the truth. benchmarks/label.py measures what such strokes are worth.
"""

import queue
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.evaluate.reference import annotate_samples
from gseg_cli.gan.load import GanModule
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.features import SampleFeatures
from gseg_cli.label.prediction import Picture
from gseg_cli.label.teacher import LiveTeacher
from gseg_runtime.class_map import IGNORE
from gseg_runtime.label_map import LabelMap
from gseg_runtime.metrics import Matrix, confusion_matrix

Mask = npt.NDArray[np.bool_]  # [S, S]
Labels = npt.NDArray[np.uint8]  # [N, S, S]
PATIENCE_S = 600.0
ANGLES = np.arange(16) * np.pi / 16


@dataclass(frozen=True)
class Hand:
    """How it paints. width and length: of a stroke at most, in pixels. inside: what a stroke stays inside, the wrong
    region or the whole part that the region is of. order: which wrong region is the largest, by its pixels or by its
    share of all pixels of its class."""

    width: int = 3
    length: int = 16
    inside: Literal["region", "part"] = "region"
    order: Literal["pixels", "share"] = "pixels"


@dataclass(frozen=True, eq=False)
class Region:
    """Connected pixels of one true class in one sample."""

    row: int
    label: int
    mask: Mask


class Watcher:
    """Looks at what the live teacher makes of all samples after each stroke, refined. Pictures up to 64 px, of which
    thumbnails are whole. Close it."""

    def __init__(self, generator: GanModule, truth: AnnotationSet) -> None:
        self.generator, self.seeds = generator, truth.seeds
        self.labels = np.full_like(truth.labels, IGNORE)
        made = (truth.truncation_psi, truth.gan_sha256, generator.img_resolution)
        self._events: queue.Queue[tuple[str, str | None]] = queue.Queue()
        self._teacher = LiveTeacher(
            generator, SampleSet(Path(), truth.seeds, truth.ws, *made), self._labels_of, self._hear
        )

    def look(self) -> list[Picture]:
        """Of every sample."""
        if any(self._teacher.shelf.newest(seed) is None for seed in self.seeds):
            self._follow()
            while any(self._teacher.shelf.newest(seed) is None for seed in self.seeds):
                self._events.get(timeout=PATIENCE_S)
        self._follow()  # with the statistics of all samples
        return [self._newest(seed) for seed in self.seeds]

    def judge(self, seeds: Sequence[int]) -> Matrix:
        """The live teacher as it is, against the reference annotator on other samples of truncation_psi 1."""
        truth = annotate_samples(self.generator, seeds, 1.0, "")
        samples = SampleSet(Path(), truth.seeds, truth.ws, 1.0, "", self.generator.img_resolution)
        pictures = self._teacher.call(lambda: self._predict(samples))
        return confusion_matrix(np.stack([p.labels for p in pictures]), truth.labels, len(truth.classes))

    def close(self) -> None:
        self._teacher.close()

    def _follow(self) -> None:
        self._teacher.follow(self.seeds[0])
        while self._events.get(timeout=PATIENCE_S) != ("fit", "mlp"):
            pass
        while self._events.get(timeout=PATIENCE_S)[0] != "next":
            pass

    def _newest(self, seed: int) -> Picture:
        newest = self._teacher.shelf.newest(seed)
        assert newest and newest.small.size == self.labels.shape[-1]
        return newest.small

    def _predict(self, samples: SampleSet) -> list[Picture]:
        features, classifier = SampleFeatures(self.generator, samples), self._teacher._current
        assert classifier
        return [_returned(classifier.predict(features.whole(seed))) for seed in samples.seeds]

    def _labels_of(self, seed: int) -> LabelMap:
        return self.labels[self.seeds.index(seed)].copy()

    def _hear(self, name: str, data: dict[str, Any]) -> None:
        self._events.put((name, data.get("stage")))


def _returned(steps: Generator[None, None, Picture]) -> Picture:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def annotate(watcher: Watcher, truth: AnnotationSet, strokes: int, hand: Hand) -> Iterator[list[Picture]]:
    """What the teacher makes of the samples after each stroke, from the one that shows the last class on.

    First a stroke in the largest region of each class, then always one where the teacher is most wrong.
    """
    for label in range(len(truth.classes)):
        _paint(watcher.labels, regions(truth.labels == label, truth.labels), truth.labels, hand)
    yield (pictures := watcher.look())
    for _ in range(strokes - len(truth.classes)):
        wrong = np.stack([p.labels for p in pictures]) != truth.labels
        _paint(watcher.labels, regions(wrong, truth.labels), truth.labels, hand)
        yield (pictures := watcher.look())


def regions(where: Mask, truth: Labels) -> list[Region]:
    """Connected pixels of one true class, among those of where [N, S, S]."""
    found = []
    for row, (mask, labels) in enumerate(zip(where, truth, strict=True)):
        for label in np.unique(labels[mask]):
            parts, count = ndimage.label(mask & (labels == label))
            found += [Region(row, int(label), parts == part) for part in range(1, count + 1)]
    return found


def _paint(labels: Labels, among: list[Region], truth: Labels, hand: Hand) -> None:
    """One stroke in the largest."""
    size_of = np.bincount(truth.ravel(), minlength=256) if hand.order == "share" else np.ones(256)
    region = max(among, key=lambda region: region.mask.sum() / size_of[region.label])
    inside = region.mask if hand.inside == "region" else truth[region.row] == region.label
    labels[region.row][stroke(region.mask, inside, hand)] = region.label


def stroke(region: Mask, inside: Mask, hand: Hand) -> Mask:
    """A straight line through the middle of the region, in the direction in which it stays inside the longest."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    middle = np.array(np.unravel_index(depth.argmax(), region.shape))
    line = max((_line(inside, middle, angle, hand.length) for angle in ANGLES), key=len)
    drawn = np.zeros_like(region)
    drawn[tuple(line.T)] = True
    return inside & (ndimage.distance_transform_edt(~drawn) < hand.width / 2)


def _line(inside: Mask, middle: npt.NDArray[np.int64], angle: float, length: int) -> npt.NDArray[np.int64]:
    """Pixels [P, 2], as far as they are inside, at most half the length to each side."""
    step, points = np.array([np.sin(angle), np.cos(angle)]), [middle]
    for sign in (1, -1):
        for distance in range(1, length // 2 + 1):
            point = np.rint(middle + sign * distance * step).astype(int)
            if not _holds(inside, point):
                break
            points.append(point)
    return np.stack(points)


def _holds(mask: Mask, point: npt.NDArray[np.int64]) -> bool:
    return bool((point >= 0).all() and (point < mask.shape).all() and mask[tuple(point)])


def accepted(labels: Labels, pictures: Sequence[Picture], least: int | None) -> Labels:
    """Labels [N, S, S] with the predictions where nothing is labelled, from a confidence on; None: without any."""
    if least is None:
        return labels.copy()
    predicted, confidence = (
        np.stack(parts) for parts in zip(*((p.labels, p.confidence) for p in pictures), strict=True)
    )
    return np.where((labels == IGNORE) & (confidence >= least), predicted, labels)
