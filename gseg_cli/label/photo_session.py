"""Painting on photos: beside the painting, a student learns from those that are labelled all over.

What the page's teacher sees in photos is how they look; a student has also learned where things are. What it says of
the other photos is one more thing for the teacher to go by. benchmarks/label_photos.md has what that is worth.
"""

import os
import sys
import threading
from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from gseg_cli.distill.config import PHOTOS_GEOMETRY, configure_supervised
from gseg_cli.distill.larger_input import with_larger_input
from gseg_cli.distill.net_config import PRETRAINED
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.student import Student
from gseg_cli.distill.trainer import StudentTrainer
from gseg_cli.label.photos import Photos
from gseg_cli.label.session import Session
from gseg_cli.label.store import State
from gseg_cli.label.worker import Worker
from gseg_cli.project import Project
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError

WHOLE = 0.9  # of a photo's pixels have labels: it is worth learning from
LEAST = 3  # such photos; a student of fewer misleads as often as it helps
STEPS, SIDE = 60, 128  # of `gseg student-train`'s 250 at 192 px: somebody waits
NICE = 10


class PhotoSession(Session):
    """Close it, so that both threads end."""

    subject: Photos

    def __init__(self, project: Project, photos: Photos) -> None:
        super().__init__(project, photos)
        self._studied: frozenset[int] = frozenset()
        self._apprentice = Worker("gseg label apprentice")
        self._apprentice.submit(self._train)

    def close(self) -> None:
        try:
            self._apprentice.close()
        finally:
            super().close()

    def _follow(self, seed: int, state: State) -> None:
        super()._follow(seed, state)
        if (seed in self._studied) != (self.share(seed) >= WHOLE):
            self._apprentice.submit(self._train)

    def _train(self) -> Iterator[None]:
        """Anew, from all photos that are labelled all over; where they are too few, what was learned is forgotten."""
        _step_back()
        self._studied = whole = frozenset(seed for seed in self.subject.seeds if self.share(seed) >= WHOLE)
        if len(whole) < LEAST or len(self.classes) < 2:
            self._take(None)
            return
        try:
            self._take((yield from self._study(sorted(whole))))
        except Exception:
            self.events.publish("student_failed")
            raise  # the worker writes it to the terminal
        self.events.publish("student", photos=len(whole))

    def _study(self, seeds: list[int]) -> Generator[None, None, Student]:
        device = next(self.subject.encoder.parameters()).device
        return (yield from study(self._pairs(seeds), self.classes, device))

    def _pairs(self, seeds: list[int]) -> PairSet:
        squares = []
        for seed in seeds:
            with Image.open(self.subject.image_path(seed)) as picture:
                squares.append(np.array(picture))
        return PairSet.exact(np.stack(squares), np.stack([self.store.labels(seed) for seed in seeds]))

    def _take(self, student: Student | None) -> None:
        with self._mutex:
            if student is not self.subject.student:
                self._go_on_with(replace(self.subject, student=student))


def study(photos: PairSet, classes: ClassMap, device: torch.device) -> Generator[None, None, Student]:
    """A student of photos in squares, in the short; pauses after each step. GsegError when it diverges."""
    given = {"student": PRETRAINED, "geometry": PHOTOS_GEOMETRY, "input_size": SIDE, "steps": STEPS}
    config = configure_supervised(given).train
    trainer = StudentTrainer(photos.at(SIDE), classes, config, device)
    for step in range(STEPS):
        loss = trainer.step(step / STEPS)
        yield
    if not loss.isfinite():
        raise GsegError("the student's training diverged")
    return with_larger_input(trainer.student.eval().requires_grad_(False), config.augment)


def _step_back() -> None:
    """Let the threads that answer strokes go first, where each has a priority of its own; helpers inherit it."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
