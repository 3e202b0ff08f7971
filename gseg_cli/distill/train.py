"""Distillation: a network that learns from generated pairs to segment photos in one pass, without the GAN."""

import math
import time
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.device import fixed_shapes
from gseg_cli.distill.clock import Clock
from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import score_student
from gseg_cli.distill.student import Student
from gseg_cli.distill.trainer import StudentTrainer
from gseg_cli.interruption import Interrupted, Interruption, put_off
from gseg_cli.runs import Run
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_cli.world import ALONE, World
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError

STATE = "state.safetensors"
STATE_KIND = "unet-state"
REPORT_STEPS = 20
NUM_SCORES = 10  # of the held-out pairs, on the way; fewer where a score would come sooner than a report


def fit_student(
    pairs: PairSet,
    classes: ClassMap,
    config: DistillConfig,
    device: torch.device,
    *,
    annotated: PairSet | None = None,
    labelled: PairSet | None = None,
    held_out: PairSet | None = None,
    run: Run | None = None,
    resume: bool = False,
    world: World = ALONE,
    on_step: OnStep = ignore_step,
) -> Student:
    """Train a student on pairs (of a teacher, or with exact labels); its averaged weights, in evaluation mode.

    classes: of the labels; their names tell which of them mirroring exchanges (sides.py).
    annotated: the samples that the teacher learned from; labelled: photos with labels; both are mixed in as the config
    says. held_out pairs are scored up to ten times on the way, against their first labels. A run keeps the figures, and
    a state from which `resume` goes on; without one it starts anew. Of many processes, all are given the same pairs and
    run, and only the first writes.
    GsegError when the loss is no longer finite; of a run, Interrupted after Ctrl-C, with its state saved.
    """
    trainer = StudentTrainer(pairs, classes, config, device, world, annotated, labelled)
    if run and resume and (run.dir / STATE).is_file():
        trainer.load_state(load_checkpoint(run.dir / STATE, STATE_KIND)[0])
    session = _Session(trainer, held_out, run if world.is_first else None, on_step)
    session.begin()
    progress = session.progress()
    with put_off(is_saved=run is not None) as interruption:
        while progress < 1:
            with fixed_shapes(device):
                loss = trainer.step(progress)
            before, progress = progress, session.progress()
            session.after_step(loss, before, progress)
            session.stop_if(interruption)
    return trainer.student.eval().requires_grad_(False)


@dataclass
class _Session:
    """How far a training is, and what one call of `fit_student` tells and writes."""

    trainer: StudentTrainer
    held_out: PairSet | None
    run: Run | None  # the first process's
    on_step: OnStep
    loss: dict[str, float] = field(default_factory=dict)  # of the last report; empty before the first
    values: dict[str, float] = field(default_factory=dict)
    start_s: float = field(default_factory=time.monotonic)
    earlier_s: float = field(init=False)  # what was spent before this call
    saved_s: float = field(default_factory=time.monotonic)
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.earlier_s = self.trainer.elapsed_s
        self.clock = Clock(self.trainer.world, self.trainer.num_steps)

    def begin(self) -> None:
        if self.run:
            self.run.forget_after(self.trainer.num_steps)

    def progress(self) -> float:
        """0 to 1, by the steps taken or by the first process's clock."""
        trainer, config = self.trainer, self.trainer.config
        trainer.elapsed_s = self.earlier_s + time.monotonic() - self.start_s
        if config.minutes is None:
            return min(1.0, trainer.num_steps / config.steps)
        return min(1.0, self.clock.seconds(trainer.num_steps, trainer.elapsed_s) / (config.minutes * 60))

    @property
    def num_scores(self) -> int:
        config = self.trainer.config
        return NUM_SCORES if config.minutes else min(NUM_SCORES, max(1, config.steps // REPORT_STEPS))

    def after_step(self, loss: Tensor, before: float, progress: float) -> None:
        trainer, is_last = self.trainer, progress >= 1
        is_report = trainer.num_steps % REPORT_STEPS == 0 or is_last
        if is_report:  # reading the loss waits for the GPU: between reports, the last one stands
            self.loss = {"loss": float(loss)}
            if not math.isfinite(self.loss["loss"]):
                raise _diverged(trainer)
        if not trainer.world.is_first:
            return
        if self.held_out is not None and int(progress * self.num_scores) > int(before * self.num_scores):
            self.values["held_out_miou"] = score_student(trainer.student, self.held_out, trainer.num_classes)
        if self.run and is_report:
            self.run.metric(trainer.num_steps, **self.loss, **self.values)
        if self.run and not is_last and time.monotonic() - self.saved_s >= trainer.config.save_minutes * 60:
            self._save()
        self.on_step(Step(trainer.num_steps, self._total(progress), {**self.loss, **self.values}))

    def stop_if(self, interruption: Interruption) -> None:
        """Of many processes the first decides, as often as they report."""
        world, is_report = self.trainer.world, self.trainer.num_steps % REPORT_STEPS == 0
        if (world.size == 1 or is_report) and world.agree(interruption.is_asked):
            if self.run:  # the first process's
                self._save()
            raise Interrupted

    def _save(self) -> None:
        assert self.run is not None
        save_checkpoint(self.run.dir / STATE, self.trainer.state(), {"kind": STATE_KIND})
        self.saved_s = time.monotonic()

    def _total(self, progress: float) -> int:
        """Steps in all, as far as the clock lets them be foreseen."""
        trainer = self.trainer
        if trainer.config.minutes is None:
            return trainer.config.steps
        return max(trainer.num_steps, round(trainer.num_steps / max(progress, 1e-9)))


def _diverged(trainer: StudentTrainer) -> GsegError:
    return GsegError(
        f"training diverged: the loss of step {trainer.num_steps} is not finite",
        hint="use another --loss, or with gseg distill --precision fp32",
    )
