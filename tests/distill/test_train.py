"""The student learns what its pairs say, and only that."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gseg_cli.app import main
from gseg_cli.checkpoint import read_meta
from gseg_cli.distill import distill as module
from gseg_cli.distill.augment import AugmentConfig, Batch
from gseg_cli.distill.distill import PairsConfig, StudentConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.start import start_distill
from gseg_cli.distill.train import DistillConfig, fit_student, predict_labels, score_student, soft_cross_entropy
from gseg_cli.distill.unet import UNet, UNetConfig, load_unet
from gseg_cli.fewshot.start import start_fewshot
from gseg_cli.fewshot.train import FewshotConfig
from gseg_cli.gan.networks import load_generator
from gseg_cli.runs import open_run
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import sha256_file
from tests.tiny import CLASSES, annotate, brightness_labels, write_gan

CPU = torch.device("cpu")
STILL = AugmentConfig(mirror=False, scale_min=1, scale_max=1, rotation_deg=0, shift=0, colour=0)
CONFIG = DistillConfig(student="tiny", steps=80, batch=8, ema=0.9, augment=STILL)


@pytest.fixture
def target():
    torch.manual_seed(0)
    first, second = torch.randint(0, 5, [2, 3, 8, 8]).to(torch.uint8)
    share = torch.randint(128, 256, [3, 8, 8]).to(torch.uint8)
    first[0, :3] = IGNORE
    return Batch(torch.zeros(3, 3, 8, 8), first, second, share)


def dense(target):
    """Probabilities [P, 5] of the labelled pixels."""
    known = target.first != IGNORE
    first, second, share = target.first[known].long(), target.second[known].long(), target.share[known] / 255
    return F.one_hot(first, 5) * share[:, None] + F.one_hot(second, 5) * (1 - share)[:, None]


def test_the_loss_is_cross_entropy_with_the_dense_soft_labels(target):
    logits = torch.randn(3, 5, 8, 8, requires_grad=True)
    loss = soft_cross_entropy(logits, target)
    at_known = logits.movedim(1, -1)[target.first != IGNORE]
    expected = F.cross_entropy(at_known, dense(target))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (loss, expected)))


def test_ignored_pixels_do_not_matter(target):
    logits = torch.randn(3, 5, 8, 8)
    changed = logits.masked_fill((target.first == IGNORE)[:, None], 1e4)
    other = replace(target, second=torch.where(target.first == IGNORE, 3, target.second))
    assert torch.equal(soft_cross_entropy(logits, target), soft_cross_entropy(changed, other))
    nothing = replace(target, first=torch.full_like(target.first, IGNORE))
    assert soft_cross_entropy(logits, nothing) == 0


@pytest.fixture(scope="module")
def exact():
    """Four pictures of noise in blocks, whose class is their brightness."""
    values = np.random.RandomState(0).randint(0, 3, (4, 4, 4)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    grain = np.random.RandomState(1).randint(0, 60, (4, 16, 16, 3))
    return PairSet.exact((values[..., None] * 90 + grain).astype(np.uint8), values)


def test_a_student_learns_four_pairs_by_heart(exact):
    steps = []
    student = fit_student(exact, 3, CONFIG, CPU, held_out=exact, on_step=steps.append)
    assert (predict_labels(student, exact.images) == exact.first.numpy()).mean() > 0.97
    assert score_student(student, exact, 3) > 0.9
    assert steps[-1].done == steps[-1].total == 80 and steps[-1].values["loss"] < steps[0].values["loss"] / 2
    assert steps[-1].values["held_out_miou"] == score_student(student, exact, 3)
    assert not student.training and not any(p.requires_grad for p in student.parameters())


def test_the_same_seed_gives_the_same_student(exact):
    config = replace(CONFIG, steps=3, augment=AugmentConfig())
    first, same, other = (fit_student(exact, 3, replace(config, seed=seed), CPU) for seed in (0, 0, 1))
    for (name, one), two, three in zip(first.named_parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name
        assert not torch.equal(one, three), name


def test_predicting_in_the_middle_of_training_leaves_the_network_training(exact):
    net = UNet(UNetConfig(size="tiny", num_classes=3, input_size=16)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    labels = predict_labels(net, exact.images, batch=3)
    assert labels.shape == (4, 16, 16) and labels.dtype == np.uint8 and net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.fixture(scope="module")
def teacher(tiny_gan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    generator, seeds = load_generator(tiny_gan), [0, 1, 2]
    annotations = annotate(generator, seeds, brightness_labels(generator, seeds), sha256_file(tiny_gan))
    annotations.save(folder / "annotations", source="a test")
    config = FewshotConfig(model="mlp", steps=20, pixels=256)
    return start_fewshot(tiny_gan, folder / "annotations", config, folder / "runs", CPU)["checkpoint"]


@pytest.fixture
def few_held_out(monkeypatch):
    monkeypatch.setattr(module, "NUM_HELD_OUT", 4)


SMALL = StudentConfig(pairs=PairsConfig(count=10), train=replace(CONFIG, steps=4, drop=0.2))


@pytest.mark.usefixtures("few_held_out")
def test_distillation_ends_in_a_student_that_knows_where_it_comes_from(tiny_gan, teacher, tmp_path):
    done = start_distill(tiny_gan, teacher, SMALL, tmp_path, CPU)
    student, classes, meta = load_unet(done["checkpoint"])
    assert classes == CLASSES and student.config.input_size == 16 and done["pairs"] == 8
    assert [parent["sha256"] for parent in meta["parents"]] == [sha256_file(teacher), sha256_file(tiny_gan)]
    assert meta["quality"]["held_out_miou"] == done["held_out_miou"]
    assert meta["trained"]["pairs"]["count"] == 10 and meta["trained"]["train"]["steps"] == 4
    seeds = [json.loads((done["run"] / name / "pairs.json").read_text())["seeds"] for name in ("pairs", "held-out")]
    assert seeds == [[100_000, 100_009], [90_000, 90_003]]  # apart from each other, and from what people annotate


def test_a_teacher_of_another_gan_is_refused(tiny_gan, teacher, tmp_path):
    other = write_gan(tmp_path / "other.safetensors", seed=1)
    run = open_run(tmp_path / "runs", "distill", {})
    with pytest.raises(CheckpointError, match=f"of GAN {sha256_file(tiny_gan)[:12]}, not of .*other") as caught:
        module.distill(load_generator(other), other, teacher, SMALL, run)
    assert "train the teacher again" in caught.value.hint and not run.checkpoint.exists()


@pytest.mark.usefixtures("few_held_out")
def test_the_command_answers_with_its_checkpoint_and_quality(tiny_gan, teacher, tmp_path, capsys):
    args = ["--gan", str(tiny_gan), "--teacher", str(teacher), "--runs", str(tmp_path), "--device", "cpu", "--json"]
    few = ["--pairs", "6", "--steps", "2", "--batch", "2", "--student", "tiny", "--geometry", "paper", "--no-mirror"]
    assert main(["distill", *args, *few]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    trained = read_meta(tmp_path / "0001-distill" / "checkpoint.safetensors")["trained"]
    assert data["pairs"] == 6 and 0 <= data["held_out_miou"] <= 1
    assert trained["train"]["augment"] == {**trained["train"]["augment"], "mirror": False, "shift": 0.5}
