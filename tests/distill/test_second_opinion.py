"""Where a second network, which learned from drawn labels alone, says otherwise than the teacher, no student learns."""

from dataclasses import replace

import pytest
import torch

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.distill import forecast as forecasts
from gseg_cli.distill import stage
from gseg_cli.distill.config import AugmentConfig, DistillConfig, PairsConfig, StudentConfig, configure
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.second_opinion import FOLDER, agreed, second_opinion, unknown_classes
from gseg_cli.distill.stage import resume_distill, run_distill
from gseg_cli.distill.student import load_student
from gseg_cli.fewshot.model import ANNOTATED, load_teacher
from gseg_cli.gan.load import load_generator
from gseg_cli.interruption import Interrupted
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import CheckpointError
from tests.tiny import CLASSES

CPU = torch.device("cpu")
TRAIN = DistillConfig(
    student="tiny", steps=120, batch=4, precision="fp32", augment=AugmentConfig(rotation_deg=0, shift=0, mirror=False)
)
CONFIG = StudentConfig(pairs=PairsConfig(count=6), train=replace(TRAIN, steps=4, labels="agreed"))


@pytest.fixture(autouse=True)
def few(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(stage, "NUM_HELD_OUT", 4)


def test_pixels_that_the_two_label_otherwise_are_ignored_and_counted(halves):
    net = second_opinion(halves, CLASSES, TRAIN, CPU)
    assert (predict_labels(net, halves.images) == halves.first.numpy()).all()
    wrong = halves.first.clone()
    wrong[0, :4], wrong[1, 3, 3] = 2, IGNORE
    kept = agreed(replace(halves, first=wrong), net)
    assert (kept.first[0, :4] == IGNORE).all() and torch.equal(kept.first[0, 4:], halves.first[0, 4:])
    assert kept.score.tolist() == [0.25, 0, 0, 0] and torch.equal(kept.first[2:], halves.first[2:])
    assert (kept.first[1] == IGNORE).sum() == 1 and torch.equal(kept.images, halves.images)


def test_the_share_that_differs_is_of_the_pixels_that_the_teacher_labels(halves):
    """Bars beside the samples of a rectangular GAN are labelled by nobody."""
    net = second_opinion(halves, CLASSES, TRAIN, CPU)
    barred = halves.first.clone()
    barred[:, 8:], barred[0, :4], barred[1] = IGNORE, 2, IGNORE
    assert agreed(replace(halves, first=barred), net).score.tolist() == [0.5, 0, 0, 0]


def test_a_class_of_which_next_to_nothing_is_left_is_named(tiny_gan, teacher, tmp_path, monkeypatch):
    def without_the_last(pairs, *_):
        return replace(pairs, first=pairs.first.masked_fill(pairs.first == pairs.first.max(), IGNORE))

    monkeypatch.setattr(stage, "agreed", without_the_last)
    said = []
    made = run_distill(tiny_gan, teacher, CONFIG, tmp_path, CPU, say=said.append)
    (line,) = [line for line in said if line.startswith("warning: second opinion")]
    assert any(f"the teacher's {name} 0% is left" in line for name in CLASSES.names) and "--labels soft" in line
    assert line in (made.run / "log.txt").read_text()


def test_classes_that_stay_or_were_never_there_are_not_called_unknown(halves):
    few = halves.first.clone()
    few[0, :4] = IGNORE
    assert unknown_classes(halves, replace(halves, first=few), 5) == {}
    few[halves.first == 0] = IGNORE
    assert unknown_classes(halves, replace(halves, first=few), 5) == {0: 0.0}


def test_it_learns_from_labelled_photos_too(halves):
    swapped = replace(halves, first=1 - halves.first, second=1 - halves.first)
    net = second_opinion(halves, CLASSES, replace(TRAIN, labelled_share=0.99), CPU, labelled=swapped)
    assert (predict_labels(net, halves.images) == swapped.first.numpy()).mean() > 0.9


def test_a_resumed_distillation_does_not_ask_again_and_ends_as_if_nothing_had_happened(tiny_gan, teacher, tmp_path):
    whole = run_distill(tiny_gan, teacher, CONFIG, tmp_path / "whole", CPU)

    def stop(step):
        raise Interrupted

    with pytest.raises(Interrupted):
        run_distill(tiny_gan, teacher, CONFIG, tmp_path / "cut", CPU, on_step=stop)
    asked, units = tmp_path / "cut" / "0001-distill" / FOLDER / "checkpoint.safetensors", set()
    before = asked.stat().st_mtime_ns
    done = resume_distill({}, tmp_path / "cut", CPU, on_pairs=lambda step: units.add(step.unit))
    assert asked.stat().st_mtime_ns == before and "second-opinion steps" not in units and "pairs compared" in units
    tensors = [load_checkpoint(made.checkpoint, "unet")[0] for made in (whole, done)]
    assert all(torch.equal(tensor, tensors[1][name]) for name, tensor in tensors[0].items())
    other = load_student(asked)[0]
    assert other.config == load_student(done.checkpoint)[0].config


def test_a_teacher_s_file_without_its_samples_is_refused_before_any_work(tiny_gan, teacher, tmp_path):
    tensors, meta = load_checkpoint(teacher, "fewshot")
    old = tmp_path / "old.safetensors"
    save_checkpoint(old, {name: t for name, t in tensors.items() if not name.startswith(ANNOTATED)}, meta)
    with pytest.raises(CheckpointError, match=r"old\.safetensors: holds no annotated samples") as caught:
        run_distill(tiny_gan, old, CONFIG, tmp_path / "runs", CPU)
    assert "--labels soft" in caught.value.hint and not (tmp_path / "runs").exists()
    assert run_distill(tiny_gan, old, replace(CONFIG, train=replace(CONFIG.train, labels="soft")), tmp_path / "r", CPU)


def test_a_pretrained_student_asks_for_one_unless_told():
    given = [{"student": "lite0"}, {"student": "lite0", "labels": "soft", "annotated": 0.1}, {"student": "tiny"}, {}]
    trains = [configure(options).train for options in given]
    assert [configure(options).pairs.count for options in given] == [2000, 2000, 4000, 4000]
    assert [(t.labels, t.annotated) for t in trains] == [("agreed", 0.5), ("soft", 0.1), ("soft", 0.25), ("soft", 0.25)]


def test_the_time_of_both_networks_is_foretold(tiny_gan, teacher, monkeypatch):
    monkeypatch.setattr(forecasts, "_seconds_of_step", lambda *_: 10.0)
    generator, network = load_generator(tiny_gan), load_teacher(teacher)[0]

    def told(labels):
        config = replace(CONFIG, train=replace(TRAIN, steps=720, labels=labels))
        return next(forecasts.forecast(generator, network, config, 8, 10, 1))

    assert "2.0 hours to train" in told("soft") and "3.0 hours to train" in told("agreed")
