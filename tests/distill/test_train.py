"""The student learns what its pairs say, and only that."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.app import main
from gseg_cli.checkpoint import read_meta
from gseg_cli.distill import config as settings
from gseg_cli.distill import stage as module
from gseg_cli.distill import train
from gseg_cli.distill.config import AugmentConfig, DistillConfig, PairsConfig, StudentConfig, configure
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.pairs import PairSet, annotated_pairs
from gseg_cli.distill.score import predict_labels, score_student
from gseg_cli.distill.stage import run_distill
from gseg_cli.distill.student import load_student
from gseg_cli.distill.train import fit_student
from gseg_cli.distill.trainer import StudentTrainer
from gseg_cli.distill.unet import UNet
from gseg_cli.fewshot.model import Teacher, TeacherConfig, load_annotated, load_teacher, save_teacher
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.errors import CheckpointError, GsegError
from gseg_runtime.files import sha256_file
from tests.tiny import CLASSES, brightness_labels, write_gan, write_photos

CPU = torch.device("cpu")
STILL = AugmentConfig(mirror=False, scale_min=1, scale_max=1, rotation_deg=0, shift=0, colour=0)
CONFIG = DistillConfig(student="tiny", steps=80, batch=8, ema=0.9, augment=STILL)


@pytest.fixture(scope="module")
def exact():
    """Four pictures of noise in blocks, whose class is their brightness."""
    values = np.random.RandomState(0).randint(0, 3, (4, 4, 4)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    grain = np.random.RandomState(1).randint(0, 60, (4, 16, 16, 3))
    return PairSet.exact((values[..., None] * 90 + grain).astype(np.uint8), values)


def test_a_student_learns_four_pairs_by_heart(exact, monkeypatch):
    monkeypatch.setattr(train, "REPORT_STEPS", 1)  # of each step the loss
    steps = []
    student = fit_student(exact, CLASSES, CONFIG, CPU, held_out=exact, on_step=steps.append)
    assert (predict_labels(student, exact.images) == exact.first.numpy()).mean() > 0.97
    assert score_student(student, exact, 3) > 0.9
    assert steps[-1].done == steps[-1].total == 80 and steps[-1].values["loss"] < steps[0].values["loss"] / 2
    assert steps[-1].values["held_out_miou"] == score_student(student, exact, 3)
    assert not student.training and not any(p.requires_grad for p in student.parameters())


def test_before_training_classes_are_told_apart_and_expected_as_often_as_they_are_labelled(exact):
    """Else some seeds never learn the smallest classes: one in six students of toy faces found no eyes."""
    always_one = replace(exact, first=torch.ones_like(exact.first))
    trainer = StudentTrainer(always_one, CLASSES, replace(CONFIG, annotated=0.4), CPU, annotated=exact)
    rows = trainer.student.head.weight.flatten(1)
    assert torch.allclose(rows @ rows.T, torch.eye(3), atol=1e-5)
    counts = torch.bincount(exact.first.flatten(), minlength=3)
    shares = 0.4 * counts / counts.sum() + 0.6 * torch.tensor([0, 1, 0])
    assert torch.allclose(trainer.student.head.bias.softmax(dim=0), shares, atol=1e-3)


def test_a_loss_that_counts_rare_classes_more_expects_them_as_often_as_it_counts_them(exact):
    trainer = StudentTrainer(exact, CLASSES, replace(CONFIG, loss="balanced"), CPU)
    expected = torch.bincount(exact.first.flatten(), minlength=3) ** 0.75
    assert torch.allclose(trainer.student.head.bias.softmax(dim=0), expected / expected.sum(), atol=1e-3)


def test_the_same_seed_gives_the_same_student(exact):
    config = replace(CONFIG, steps=3, augment=AugmentConfig())
    first, same, other = (fit_student(exact, CLASSES, replace(config, seed=seed), CPU) for seed in (0, 0, 1))
    for (name, one), two, three in zip(first.named_parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two), name
        assert not torch.equal(one, three), name


def test_predicting_in_the_middle_of_training_leaves_the_network_training(exact):
    net = UNet(NetConfig(size="tiny", num_classes=3, input_size=16)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    labels = predict_labels(net, exact.images, batch=3)
    assert labels.shape == (4, 16, 16) and labels.dtype == np.uint8 and net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.fixture
def few_held_out(monkeypatch):
    monkeypatch.setattr(module, "NUM_HELD_OUT", 4)


@pytest.mark.parametrize(("steps", "scored"), [(3, [3]), (45, [23, 45]), (400, list(range(40, 401, 40)))])
def test_held_out_pairs_are_scored_ten_times_and_of_short_trainings_less(exact, monkeypatch, steps, scored):
    at = []
    monkeypatch.setattr(train, "score_student", lambda net, pairs, n: at.append(len(told) + 1) or 0.5)
    told = []
    fit_student(exact, CLASSES, replace(CONFIG, steps=steps, batch=2), CPU, held_out=exact, on_step=told.append)
    assert at == scored


@pytest.mark.parametrize(("resolution", "count"), [(64, 200), (256, 200), (512, 50), (1024, 20)])
def test_large_gans_are_measured_on_fewer_samples(tmp_path, resolution, count):
    assert module._num_held_out(tmp_path, resolution) == count


def test_a_run_is_measured_on_as_many_samples_as_it_began_with(tmp_path):
    (tmp_path / "pairs.json").write_text(json.dumps({"count": 200}))
    assert module._num_held_out(tmp_path, 1024) == 200


@pytest.mark.usefixtures("few_held_out")
def test_the_labelling_of_held_out_samples_is_shown(tiny_gan, teacher, tmp_path):
    steps = []
    run_distill(tiny_gan, teacher, SMALL, tmp_path, CPU, on_pairs=steps.append)
    assert [(step.done, step.total) for step in steps if step.unit == "held-out samples"] == [(4, 4), (4, 4)]


SMALL = StudentConfig(pairs=PairsConfig(count=10), train=replace(CONFIG, steps=4, drop=0.2))


@pytest.mark.usefixtures("few_held_out")
def test_distillation_ends_in_a_student_that_knows_where_it_comes_from(tiny_gan, teacher, tmp_path):
    done = run_distill(tiny_gan, teacher, SMALL, tmp_path, CPU)
    student, classes, meta = load_student(done.checkpoint)
    assert classes == CLASSES and student.config.input_size == 16 and done.pairs == 8
    assert [parent["sha256"] for parent in meta["parents"]] == [sha256_file(teacher), sha256_file(tiny_gan)]
    assert meta["quality"]["held_out_miou"] == done.held_out_miou
    assert meta["trained"]["pairs"]["count"] == 10 and meta["trained"]["train"]["steps"] == 4
    seeds = [json.loads((done.run / name / "pairs.json").read_text())["seeds"] for name in ("pairs", "held-out")]
    assert seeds == [[100_000, 100_009], [90_000, 90_003]]  # apart from each other, and from what people annotate


def test_a_teacher_of_another_gan_is_refused(tiny_gan, teacher, tmp_path):
    other = write_gan(tmp_path / "other.safetensors", seed=1)
    with pytest.raises(CheckpointError, match=f"of GAN {sha256_file(tiny_gan)[:12]}, not of .*other") as caught:
        run_distill(other, teacher, SMALL, tmp_path / "runs", CPU)
    assert "train the teacher again" in caught.value.hint and not list(tmp_path.glob("runs/*/*.safetensors"))


def test_a_teacher_of_another_size_is_refused_before_a_pair_is_made(tiny_gan, tmp_path):
    channels = load_generator(tiny_gan).feature_channels
    small = Teacher(TeacherConfig(model="mlp", channels=channels, num_classes=len(CLASSES), size=8))
    save_teacher(tmp_path / "small.safetensors", small, CLASSES, {"gan_sha256": sha256_file(tiny_gan)})
    with pytest.raises(CheckpointError, match="labels 8 pixels, and the GAN's samples have 16"):
        run_distill(tiny_gan, tmp_path / "small.safetensors", SMALL, tmp_path / "runs", CPU)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("few_held_out")
def test_the_command_answers_with_its_checkpoint_and_quality(tiny_gan, teacher, tmp_path, capsys):
    args = ["--gan", str(tiny_gan), "--teacher", str(teacher), "--runs", str(tmp_path), "--device", "cpu", "--json"]
    few = ["--pairs", "6", "--steps", "2", "--batch", "2", "--student", "tiny", "--geometry", "paper", "--no-mirror"]
    assert main(["distill", *args, *few]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    trained = read_meta(tmp_path / "0001-distill" / "checkpoint.safetensors")["trained"]
    assert trained["train"]["precision"] in ("bf16", "fp32")  # what `auto` came to
    assert data["pairs"] == 5 and 0 <= data["held_out_miou"] <= 1
    assert trained["train"]["augment"] == {**trained["train"]["augment"], "mirror": False, "shift": 0.5}
    photos = ["--photos", str(write_photos(tmp_path / "photos", count=3))]
    assert (
        main(["distill", *args, "--resume", "--precision", "auto", *photos]) == 0
    )  # the finished student is looked at, not trained again
    report = json.loads(capsys.readouterr().out)["data"]["photos"]
    assert report["photos"]["count"] == 3 and 0 <= report["photos"]["agreement"] <= 1
    assert (tmp_path / "0001-distill" / "photos-worst.png").is_file()


@pytest.mark.usefixtures("few_held_out")
@pytest.mark.parametrize("is_there", [True, False])
def test_without_a_choice_the_student_is_lite0_where_its_weights_are_and_that_is_said(
    tiny_gan, teacher, tmp_path, capsys, monkeypatch, is_there
):
    if not is_there:
        monkeypatch.setattr(settings, "WEIGHTS", "no_such_package")
    args = ["--gan", str(tiny_gan), "--teacher", str(teacher), "--runs", str(tmp_path), "--device", "cpu"]
    assert main(["distill", *args, "--pairs", "4", "--steps", "1", "--batch", "2", "--input-size", "32"]) == 0
    said = capsys.readouterr().err
    assert ("student: lite0, which knows ImageNet" if is_there else "student: default; on photos lite0") in said
    saved = json.loads((tmp_path / "0001-distill" / "config.json").read_text())["config"]["train"]
    assert saved["student"] == ("lite0" if is_there else "default")


def test_a_pretrained_student_takes_fewer_steps_unless_told():
    given = [{"student": "lite0"}, {"student": "lite0", "steps": 7}, {"student": "tiny"}, {}]
    assert [configure(options).train.steps for options in given] == [settings.PRETRAINED_STEPS, 7, 1000, 1000]


def test_a_missing_folder_of_photos_is_said_before_any_work(tiny_gan, teacher, tmp_path, capsys):
    args = ["--gan", str(tiny_gan), "--teacher", str(teacher), "--runs", str(tmp_path / "runs")]
    assert main(["distill", *args, "--photos", str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no such file or folder" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_the_labels_that_a_person_drew_correct_what_the_teacher_says(exact):
    always_one = replace(exact, first=torch.ones_like(exact.first))
    config = replace(CONFIG, annotated=0.75, steps=120)
    student = fit_student(always_one, CLASSES, config, CPU, annotated=exact)
    alone = fit_student(always_one, CLASSES, config, CPU)
    assert (predict_labels(alone, exact.images) == 1).all()
    right = [predict_labels(net, exact.images)[exact.first != 1] != 1 for net in (student, alone)]
    assert right[0].mean() > 0.8 and right[1].mean() == 0


@pytest.mark.usefixtures("few_held_out")
def test_a_distillation_learns_from_the_annotated_samples_too(tiny_gan, teacher, tmp_path):
    generator, taught = load_generator(tiny_gan), load_annotated(teacher)
    assert np.array_equal(taught.labels, brightness_labels(generator, [0, 1, 2]))
    drawn = annotated_pairs(generator, taught)
    assert torch.equal(drawn.images, to_uint8(generator.synthesis(ws_for_seeds(generator, [0, 1, 2], 1.0))))
    assert (drawn.share == 255).all() and torch.equal(drawn.first, taught.labels)
    with_them, without = (
        load_student(run_distill(tiny_gan, teacher, config, tmp_path, CPU).checkpoint)[0].head.weight
        for config in (SMALL, replace(SMALL, train=replace(SMALL.train, annotated=0.0)))
    )
    assert not torch.equal(with_them, without)


@pytest.mark.usefixtures("few_held_out")
def test_a_teacher_whose_file_lacks_its_lessons_still_teaches(tiny_gan, teacher, tmp_path):
    network, classes, meta = load_teacher(teacher)
    save_teacher(tmp_path / "old.safetensors", network, classes, meta)
    done = run_distill(tiny_gan, tmp_path / "old.safetensors", SMALL, tmp_path / "runs", CPU)
    assert done.pairs == 8 and "0 annotated samples" in (done.run / "log.txt").read_text()


@pytest.mark.parametrize("labels", [np.full((3, 16, 16), 7, np.uint8), np.zeros((3, 8, 8), np.uint8)])
def test_lessons_that_do_not_fit_the_teacher_are_refused(teacher, tmp_path, labels):
    network, classes, meta = load_teacher(teacher)
    taught = load_annotated(teacher)._replace(labels=torch.from_numpy(labels))
    save_teacher(tmp_path / "odd.safetensors", network, classes, meta, taught)
    with pytest.raises(GsegError, match=r"odd\.safetensors: .*(expected|class index 7)"):
        load_annotated(tmp_path / "odd.safetensors")
