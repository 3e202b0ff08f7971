"""Networks on photos whose labels are known: figures over all of them, each at its own size, and seconds per photo."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import Student
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.reproduce.inversions import Inverted
from gseg_cli.reproduce.subject import Photo, ScoredPhotos, Task
from gseg_runtime.class_map import ClassMap
from gseg_runtime.label_map import LabelMap, resize_labels
from gseg_runtime.metrics import Matrix, confusion_matrix, iou_per_class, mean_iou, weighted_iou

BATCH = 32


@dataclass
class Score:
    """Grows with every photo."""

    classes: ClassMap
    matrix: Matrix
    photos: int = 0

    @classmethod
    def empty(cls, classes: ClassMap) -> "Score":
        return cls(classes, np.zeros((len(classes), len(classes) + 1), np.int64))

    def add(self, predicted: LabelMap, truth: LabelMap) -> None:
        self.matrix += confusion_matrix(predicted, truth, len(self.classes))
        self.photos += 1

    def figures(self) -> dict[str, Any]:
        """JSON: photos, miou, weighted_iou and per_class_iou; None for a class that the truth does not hold."""
        per_class = [None if np.isnan(value) else round(float(value), 4) for value in iou_per_class(self.matrix)]
        return {
            "photos": self.photos,
            "miou": round(mean_iou(self.matrix), 4),
            "weighted_iou": round(weighted_iou(self.matrix), 4),
            "per_class_iou": dict(zip(self.classes.names, per_class, strict=True)),
        }


def score_unet(net: Student, photos: ScoredPhotos, task: Task) -> dict[str, Any]:
    """Of a student or a supervised network; with seconds and CPU seconds per photo of the network alone."""
    score, seconds = Score.empty(task.classes), np.zeros(2)
    for chunk in photos.batches(task, BATCH):
        squares = torch.from_numpy(np.stack([photo.square for photo in chunk]))
        start = _clocks()
        labels = predict_labels(net, squares)
        seconds += _clocks() - start
        _add(score, chunk, labels)
    return {**score.figures(), **per_photo(seconds, score.photos)}


def score_inverted(
    inverter: Inverter, teacher: Teacher, photos: ScoredPhotos, inverted: Iterator[Inverted], task: Task
) -> dict[str, Any]:
    """Of a teacher on photos by way of their latents."""
    score = Score.empty(task.classes)
    truths = photos.read(task)
    for part in inverted:
        with part.inversion.drawn_by(inverter.generator):
            labels = predict(inverter.generator, teacher, part.inversion.ws).labels.cpu().numpy()
        _add(score, [next(truths) for _ in labels], labels)
    return score.figures()


def score_samples(generator: Any, teacher: Teacher, samples: AnnotationSet) -> dict[str, Any]:
    """Of a teacher on generated images, against somebody's labels of them."""
    score = Score.empty(samples.classes)
    for ws, truths in zip(_parts(samples.ws), _parts(samples.labels), strict=True):
        latents = torch.from_numpy(ws).to(next(teacher.parameters()).device)
        labels = predict(generator, teacher, latents).labels.cpu().numpy()
        for predicted, truth in zip(labels, truths, strict=True):
            score.add(predicted, truth)
    return score.figures()


def _parts(array: np.ndarray) -> list[np.ndarray]:
    return np.split(array, range(BATCH, len(array), BATCH))


def _add(score: Score, photos: Sequence[Photo], labels: LabelMap) -> None:
    """labels: of the squares, uint8 [N, S, S]; a teacher's may be smaller than the square."""
    for photo, square in zip(photos, labels, strict=True):
        side = photo.framing.size
        score.add(photo.framing.undo_labels(resize_labels(square, (side, side))), photo.truth)


def per_photo(seconds: np.ndarray, count: int) -> dict[str, float]:
    """seconds: wall and CPU, of all photos."""
    wall_s, cpu_s = (float(f"{s / max(1, count):.3g}") for s in seconds)
    return {"s_per_photo": wall_s, "cpu_s_per_photo": cpu_s}


def _clocks() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])
