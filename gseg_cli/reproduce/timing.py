"""How long jobs will take: a little of each kind of work is done and timed, here and now, and multiplied.

mlp, cnn-s, cnn-l    training steps of a teacher      student      training steps of a UNet
pair                 generated pairs                  sample       generated images that a teacher is scored on
inversion            photos times steps               photo        photos read
"""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from gseg_cli.choices import TeacherModel
from gseg_cli.distill.config import PairsConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.stage import make_training_pairs
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import MODELS
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.reproduce.jobs import Job
from gseg_cli.reproduce.setup import Setup
from gseg_cli.steps import Step

STEPS, NUM_PAIRS, NUM_PHOTOS = 6, 96, 5


class Watch:
    """Is told how much is done. What comes before the first report is slow only once and counts for nothing."""

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []

    def __call__(self, done: float) -> None:
        self._seen.append((done, time.perf_counter()))

    def on_step(self, step: Step) -> None:
        self(step.done)

    def seconds_per_unit(self) -> float:
        (first, start_s), (last, end_s) = self._seen[0], self._seen[-1]
        return (end_s - start_s) / (last - first)


def seconds_per_unit(setup: Setup, kinds: Iterable[str]) -> dict[str, float]:
    costs = {}
    for kind in kinds:
        watch = Watch()
        _WORK[kind](setup, watch)
        costs[kind] = watch.seconds_per_unit()
    return costs


def total_work(jobs: Iterable[Job]) -> Counter[str]:
    total: Counter[str] = Counter()
    for job in jobs:
        total.update(job.work)
    return total


def estimate(jobs: Iterable[Job], costs: Mapping[str, float]) -> float:
    """Seconds."""
    return sum(units * costs[kind] for kind, units in total_work(jobs).items())


def _teach(model: TeacherModel, setup: Setup, watch: Watch) -> None:
    subject = setup.subject
    annotations = subject.annotations(subject.tasks[0], max(setup.shots), setup.size.first_draw)
    fit_teacher(subject.generator, annotations, FewshotConfig(model=model, steps=STEPS), on_step=watch.on_step)


def _train_unet(setup: Setup, watch: Watch) -> None:
    """On noise: what is in the pictures costs nothing."""
    side, classes = setup.subject.size, setup.subject.tasks[0].classes
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (NUM_PHOTOS, side, side, 3), np.uint8)
    pairs = PairSet.exact(images, random.integers(0, len(classes), images.shape[:3], np.uint8))
    config = replace(setup.size.distill(0), steps=STEPS)
    fit_student(pairs, classes, config, setup.subject.device, on_step=watch.on_step)


def _make_pairs(setup: Setup, watch: Watch) -> None:
    subject = setup.subject
    annotations = subject.annotations(subject.tasks[0], 1, setup.size.first_draw)
    teacher = fit_teacher(subject.generator, annotations, FewshotConfig(steps=STEPS))
    with tempfile.TemporaryDirectory(prefix="gseg-") as folder:
        make_training_pairs(subject.generator, teacher, PairsConfig(count=NUM_PAIRS), Path(folder), watch.on_step)


def _invert(setup: Setup, watch: Watch) -> None:
    photos = next(setup.test.batches(setup.subject.tasks[0], setup.inverter.batch))
    squares = np.stack([photo.square for photo in photos])
    inverter = replace(setup.inverter, config=replace(setup.size.invert(), steps=STEPS))
    inverter.fit(squares, np.ones(squares.shape[:3], bool), lambda step, gap: watch(step * len(squares)))


def _read_photos(setup: Setup, watch: Watch) -> None:
    watch(0)
    count = len(next(setup.test.batches(setup.subject.tasks[0], NUM_PHOTOS)))
    watch(count)


_WORK: dict[str, Callable[[Setup, Watch], None]] = {
    **{model: partial(_teach, model) for model in MODELS},
    "student": _train_unet,
    "pair": _make_pairs,
    "sample": _make_pairs,
    "inversion": _invert,
    "photo": _read_photos,
}
