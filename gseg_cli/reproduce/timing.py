"""How long jobs will take: each kind of work is done in small and timed, here and now, and multiplied.

mlp, cnn-s, cnn-l    training steps of a teacher      student      training steps of a UNet
pair                 generated pairs                  sample       generated images that a teacher is scored on
inversion            photos times steps               photo        photos read
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gseg_cli.distill.distill import PairsConfig, make_training_pairs
from gseg_cli.distill.train import DistillConfig, fit_student
from gseg_cli.fewshot.model import MODELS
from gseg_cli.fewshot.train import FewshotConfig, fit_teacher
from gseg_cli.reproduce.jobs import Job
from gseg_cli.reproduce.setup import Setup

FEW, MORE = 4, 12  # steps; their difference leaves out what a training needs before its first step
NUM_PAIRS, NUM_PHOTOS = 32, 4


def seconds_per_unit(setup: Setup, kinds: Iterable[str]) -> dict[str, float]:
    """Of each of these kinds of work; a first, untimed try leaves out what is slow once."""
    costs = {}
    for kind in kinds:
        work = _WORK[kind]
        work(setup, FEW)
        costs[kind] = max(work(setup, MORE) - work(setup, FEW), 0.0) / (MORE - FEW)
    return costs


def total_work(jobs: Iterable[Job]) -> Counter[str]:
    total: Counter[str] = Counter()
    for job in jobs:
        total.update(job.work)
    return total


def estimate(jobs: Iterable[Job], costs: Mapping[str, float]) -> float:
    """Seconds."""
    return sum(units * costs[kind] for kind, units in total_work(jobs).items())


def _timed(work: Callable[[], Any]) -> float:
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s


def _teacher_steps(model: str) -> Callable[[Setup, int], float]:
    def work(setup: Setup, steps: int) -> float:
        subject = setup.subject
        annotations = subject.annotations(subject.tasks[0], max(setup.shots), setup.size.first_draw)
        return _timed(lambda: fit_teacher(subject.generator, annotations, FewshotConfig(model=model, steps=steps)))

    return work


def _student_steps(setup: Setup, steps: int) -> float:
    """On noise: what is in the pictures costs nothing."""
    from gseg_cli.distill.pairs import PairSet

    side, num_classes = setup.subject.size, len(setup.subject.tasks[0].classes)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (NUM_PHOTOS, side, side, 3), np.uint8)
    pairs = PairSet.exact(images, random.integers(0, num_classes, images.shape[:3], np.uint8))
    config: DistillConfig = replace(setup.size.distill(0), steps=steps)
    return _timed(lambda: fit_student(pairs, num_classes, config, setup.subject.device))


def _pairs(setup: Setup, count: int) -> float:
    """`count` batches of pairs, each as long as a few pairs."""
    subject = setup.subject
    annotations = subject.annotations(subject.tasks[0], 1, setup.size.first_draw)
    teacher = fit_teacher(subject.generator, annotations, FewshotConfig(steps=FEW))
    with tempfile.TemporaryDirectory(prefix="gseg-") as folder:
        config = PairsConfig(count=count * NUM_PAIRS // FEW)
        seconds = _timed(lambda: make_training_pairs(subject.generator, teacher, config, Path(folder)))
    return seconds / (NUM_PAIRS // FEW)


def _inversion_steps(setup: Setup, steps: int) -> float:
    """Of one batch, divided by the photos in it."""
    squares = np.stack([photo.square for photo in _some_photos(setup, setup.inverter.batch)])
    inverter = replace(setup.inverter, config=replace(setup.size.invert(), steps=steps))
    return _timed(lambda: inverter.fit(squares, np.ones(squares.shape[:3], bool))) / len(squares)


def _photos(setup: Setup, count: int) -> float:
    return _timed(lambda: _some_photos(setup, count))


def _some_photos(setup: Setup, count: int) -> list[Any]:
    return next(setup.test.batches(setup.subject.tasks[0], count))


_WORK: dict[str, Callable[[Setup, int], float]] = {
    **{model: _teacher_steps(model) for model in MODELS},
    "student": _student_steps,
    "pair": _pairs,
    "sample": _pairs,
    "inversion": _inversion_steps,
    "photo": _photos,
}
