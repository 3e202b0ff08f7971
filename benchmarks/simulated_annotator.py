"""A person at `gseg label`, simulated: polygons and brush strokes that correct most of what the page shows wrong.

The reference annotator's label maps are the truth. benchmarks/label.py measures what such strokes are worth.
"""

import queue
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from benchmarks.outlines import Mask, outlined
from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.evaluate.reference import annotate_samples
from gseg_cli.gan.load import GanModule
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.features import SampleFeatures
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.prediction import Picture
from gseg_cli.label.teacher import LiveTeacher
from gseg_runtime.class_map import IGNORE
from gseg_runtime.label_map import LabelMap
from gseg_runtime.metrics import Matrix, confusion_matrix

Masks = npt.NDArray[np.bool_]  # [N, S, S]
Labels = npt.NDArray[np.uint8]  # [N, S, S]
PATIENCE_S = 600.0
POLYGON, BRUSH = "polygon", "brush"
WIDTHS, LENGTH = (1, 3, 5, 7), 24  # of a brush stroke, in pixels
SMALLEST = 3  # pixels of a part that is worth a polygon
REGIONS = 12  # so many of the largest wrong ones are tried with the brush
ANGLES = np.arange(16) * np.pi / 16


@dataclass(frozen=True, eq=False)
class Region:
    """Connected pixels of one true class in one sample, or what is painted with it. tool: what with."""

    row: int
    label: int
    mask: Mask
    tool: str = ""


class Watcher:
    """Looks at what the live teacher makes of all samples after each stroke, refined. Pictures up to 64 px, of which
    thumbnails are whole. Close it."""

    def __init__(self, generator: GanModule, truth: AnnotationSet) -> None:
        self.generator, self.seeds = generator, truth.seeds
        self.labels = np.full_like(truth.labels, IGNORE)
        made = (truth.truncation_psi, truth.gan_sha256, generator.img_resolution)
        self._events: queue.Queue[tuple[str, str | None]] = queue.Queue()
        subject = GanSamples(Path(), generator, SampleSet(Path(), truth.seeds, truth.ws, *made))
        self._teacher = LiveTeacher(subject, self._labels_of, self._hear)

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
        features, classifier = SampleFeatures(GanSamples(Path(), self.generator, samples)), self._teacher._current
        assert classifier
        return [returned(classifier.predict(features.whole(seed))) for seed in samples.seeds]

    def _labels_of(self, seed: int) -> LabelMap:
        return self.labels[self.seeds.index(seed)].copy()

    def _hear(self, name: str, data: dict[str, Any]) -> None:
        self._events.put((name, data.get("stage")))


def returned(steps: Generator[None, None, Picture]) -> Picture:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def annotate(watcher: Watcher, truth: AnnotationSet, strokes: int) -> Iterator[tuple[list[Picture], dict[str, int]]]:
    """What the teacher makes of the samples after each stroke, from the one that shows the last class on; and how many
    strokes were made with each tool.

    First a stroke of each class. Whatever corrects most is drawn: a polygon around a whole part, over what is labelled
    or only where nothing is, or a line of the brush inside a part. A pixel counts by the root of how rare its class is:
    whoever looks at a face sees that an eye is wrong.
    """
    weight = np.bincount(truth.labels.ravel(), minlength=256).clip(1)[truth.labels] ** -0.5
    outlines = outlined_parts(np.ones_like(truth.labels, bool), truth.labels)
    shown, pictures, tools = watcher.labels, list[Picture](), {POLYGON: 0, BRUSH: 0}
    for count in range(strokes):
        right = shown == truth.labels
        acts = [*polygons(outlines, watcher.labels), *lines(right, truth.labels, weight)]
        among = [act for act in acts if act.label == count] if count < len(truth.classes) else acts
        best = max(among, key=lambda act: gain(act, right, truth.labels, weight))
        watcher.labels[best.row][best.mask] = best.label
        tools[best.tool] += 1
        if count >= len(truth.classes) - 1:
            yield (pictures := watcher.look()), tools.copy()
        shown = accepted(watcher.labels, pictures, 0) if pictures else watcher.labels


def outlined_parts(where: Masks, truth: Labels) -> list[Region]:
    """What polygons around whole parts cover."""
    parts = [part for part in regions(where, truth) if part.mask.sum() >= SMALLEST]
    return [Region(part.row, part.label, outlined(part.mask), POLYGON) for part in parts]


def regions(where: Masks, truth: Labels) -> list[Region]:
    """Connected pixels of one true class, among those of where."""
    found = []
    for row, (mask, labels) in enumerate(zip(where, truth, strict=True)):
        for label in np.unique(labels[mask]):
            parts, count = ndimage.label(mask & (labels == label))
            found += [Region(row, int(label), parts == part) for part in range(1, count + 1)]
    return found


def gain(act: Region, right: Masks, truth: Labels, weight: npt.NDArray[np.float64]) -> float:
    """What more is right after it than before."""
    row, mask = act.row, act.mask
    return float((weight[row][mask] * ((truth[row][mask] == act.label) * 1.0 - right[row][mask])).sum())


def polygons(outlines: list[Region], labels: Labels) -> list[Region]:
    """Over everything, and only where nothing is labelled."""
    return outlines + [replace(o, mask=o.mask & (labels[o.row] == IGNORE)) for o in outlines]


def lines(right: Masks, truth: Labels, weight: npt.NDArray[np.float64], scale: int = 1) -> list[Region]:
    """Through the largest wrong regions, with brushes of every width. scale: of widths and lengths."""
    wrong = sorted(regions(~right, truth), key=lambda region: -float(weight[region.row][region.mask].sum()))
    return [
        replace(region, mask=stroke(region.mask, truth[region.row] == region.label, width * scale, scale), tool=BRUSH)
        for region in wrong[:REGIONS]
        for width in WIDTHS
    ]


def stroke(region: Mask, inside: Mask, width: int, scale: int = 1) -> Mask:
    """A straight line through the middle of the region, in the direction in which it stays inside the longest."""
    depth = ndimage.distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
    middle = np.array(np.unravel_index(depth.argmax(), region.shape))
    line = max((_line(inside, middle, angle, LENGTH * scale) for angle in ANGLES), key=len)
    drawn = np.zeros_like(region)
    drawn[tuple(line.T)] = True
    return inside & (ndimage.distance_transform_edt(~drawn) < width / 2)


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
