"""What large GANs cost is said before it is spent, and is no more than the student needs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.distill import forecast as forecasts
from gseg_cli.distill import score, stage
from gseg_cli.distill.config import DistillConfig, PairsConfig, StudentConfig, configure
from gseg_cli.distill.forecast import forecast
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.pairs import NAMES, make_pairs
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.stage import run_distill
from gseg_cli.distill.student import start_student
from gseg_cli.duration import seconds_of, told
from gseg_cli.fewshot.model import load_teacher
from gseg_cli.gan.load import load_generator

CPU = torch.device("cpu")
SMALL = StudentConfig(
    pairs=PairsConfig(count=6), train=DistillConfig(student="tiny", steps=2, batch=4, input_size=8, precision="fp32")
)


def test_pairs_of_the_students_size_are_what_it_would_see_of_the_gans(tiny_gan, teacher, tmp_path):
    generator, (network, _, _) = load_generator(tiny_gan), load_teacher(teacher)
    whole = make_pairs(generator, network, range(5), tmp_path / "whole").at(8)
    small = make_pairs(generator, network, range(5), tmp_path / "small", size=8)
    assert small.images.shape == (5, 8, 8, 3)
    assert all(torch.equal(getattr(whole, name), getattr(small, name)) for name in NAMES)


@pytest.mark.parametrize(("asked", "expected"), [(None, 8), (16, 16)])
def test_distillation_keeps_pairs_of_the_students_size_unless_asked(
    asked, expected, tiny_gan, teacher, tmp_path, monkeypatch
):
    monkeypatch.setattr(stage, "NUM_HELD_OUT", 4)
    config = replace(SMALL, pairs=configure({"pair_size": asked} if asked else {}, SMALL).pairs)
    done = run_distill(tiny_gan, teacher, config, tmp_path, CPU)
    for folder in ("pairs", "held-out"):
        with np.load(done.run / folder / "00000.npz") as shard:
            assert shard["images"].shape[1:] == (expected, expected, 3)
    settings = json.loads((done.run / "pairs" / "pairs.json").read_text())
    assert settings.get("size") == (None if asked else 8)  # the GAN's size goes without saying


def test_few_images_at_a_time_get_the_labels_of_many(monkeypatch):
    torch.manual_seed(0)
    net = start_student(NetConfig(size="tiny", num_classes=3, input_size=16))
    images = torch.randint(256, (5, 16, 16, 3), dtype=torch.uint8)
    expected, seen = predict_labels(net, images), []
    monkeypatch.setattr(score, "MAX_PIXELS", 2 * 16**2)
    net.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    assert (predict_labels(net, images) == expected).mean() > 0.99
    assert seen == [2, 2, 1]


def test_long_work_is_told_before_it_starts_and_short_work_is_not(tiny_gan, teacher, monkeypatch):
    generator, (network, _, _) = load_generator(tiny_gan), load_teacher(teacher)
    assert list(forecast(generator, network, SMALL, 8, 10, 1)) == []
    (long,) = forecast(generator, network, replace(SMALL, train=replace(SMALL.train, steps=10**7)), 8, 10, 1)
    assert "to draw and label 10 samples of 16 px" in long and "hours to train at 8 px" in long
    monkeypatch.setattr(forecasts, "LONG_STEP_S", 0.0)
    (warning,) = forecast(generator, network, SMALL, 8, 10, 1)
    assert warning.startswith("warning: each step takes about") and "--input-size 4" in warning


def test_a_long_distillation_says_so_first(tiny_gan, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "NUM_HELD_OUT", 4)
    monkeypatch.setattr(forecasts, "LONG_S", 0.0)
    told_first: list[str] = []
    run_distill(
        tiny_gan, teacher, SMALL, tmp_path, CPU, say=told_first.append, on_pairs=lambda _: told_first.append("")
    )
    assert told_first[0].startswith("this will take about") and told_first[1] == ""
    (sheet,) = tmp_path.glob("*-distill/pairs.png")
    assert any(line.startswith(f"look at {sheet}: ") for line in told_first)


def test_durations_are_told_as_exactly_as_a_guess_can_be():
    assert [told(s) for s in (0.2, 61, 300, 9000)] == ["2 seconds", "61 seconds", "5 minutes", "2.5 hours"]


def test_what_a_first_call_makes_once_is_not_told_for_every_piece(monkeypatch):
    clock = iter([0.0, 3.0, 3.0, 3.5])  # the second that PyTorch takes to begin, on a busy machine
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    assert seconds_of(lambda: None) == 0.5


def test_a_quick_piece_is_timed_when_what_is_made_once_is_there():
    calls: list[int] = []
    assert seconds_of(lambda: calls.append(1)) < 1 and len(calls) == 2
