"""The pretrained student goes the way of the others: trained, resumed, exported, with an input of its own size."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.distill import stage
from gseg_cli.distill.config import GEOMETRIES, DistillConfig, PairsConfig, StudentConfig
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.larger_input import segmented_size
from gseg_cli.distill.lite_net import LiteNet
from gseg_cli.distill.net_config import NetConfig, usual_input_size
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.stage import run_distill
from gseg_cli.distill.student import load_student
from gseg_cli.distill.train import fit_student
from gseg_cli.distill.trainer import StudentTrainer
from gseg_cli.pretrained.lite0 import NOTICE, load_lite0
from gseg_runtime import Segmenter
from gseg_runtime.class_map import ClassMap
from gseg_runtime.onnx_file import read_card

CPU = torch.device("cpu")
CLASSES = ClassMap.of_names(["dark", "light"])
CONFIG = DistillConfig(student="lite0", steps=2, batch=4, input_size=32)


@pytest.fixture(autouse=True)
def few_and_alone(monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.setattr(stage, "NUM_HELD_OUT", 4)


def test_it_learns_from_pictures_smaller_than_its_input(halves):
    student = fit_student(halves, CLASSES, replace(CONFIG, steps=25, input_size=64), CPU)
    assert isinstance(student, LiteNet) and student.config.input_size == 64
    assert (predict_labels(student, halves.images) == halves.first.numpy()).mean() > 0.95


def test_it_starts_from_imagenet_and_its_encoder_learns_slower_than_the_rest(halves):
    trainer = StudentTrainer(halves, CLASSES, CONFIG, CPU)
    known = load_lite0().state_dict()
    assert all(torch.equal(tensor, known[name]) for name, tensor in trainer.net.encoder.state_dict().items())
    head = trainer.net.head.weight.clone()
    trainer.step(0.1)
    moved = [(trainer.net.encoder.state_dict()[name] - tensor).abs().max() for name, tensor in known.items()]
    assert 0 < max(moved) < (trainer.net.head.weight - head).abs().max()


def test_its_input_is_twice_the_gan_s_from_128_to_256_px_and_never_less_than_the_gan_s():
    sizes = (32, 64, 72, 128, 256, 1024)
    assert [usual_input_size("lite0", size) for size in sizes] == [128, 128, 160, 256, 256, 1024]
    assert usual_input_size("default", 64) == 64


@pytest.mark.parametrize(
    ("student", "geometry", "learned", "segmented"),
    [("lite0", "paper", 128, 160), ("lite0", "paper", 256, 320), ("lite0", "aligned", 128, 128),
     ("lite0", "aligned", 256, 256), ("default", "paper", 128, 128)],
)  # fmt: skip
def test_what_saw_objects_enlarged_twofold_segments_larger_pictures(student, geometry, learned, segmented):
    net = NetConfig(size=student, num_classes=2, input_size=learned)
    assert segmented_size(net, GEOMETRIES[geometry]) == segmented


def test_pairs_of_another_size_keep_their_pixels_together():
    labels = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    pairs = PairSet.exact(np.repeat(labels[..., None], 3, axis=3) * 10, labels)
    large = pairs.at(8)
    assert torch.equal(large.first[0, ::2, ::2], pairs.first[0]) and torch.equal(large.at(4).first, pairs.first)
    assert large.images.shape == (1, 8, 8, 3) and pairs.at(4) is pairs
    assert (large.images[0, 1:7, 1:7, 0] / 10 - large.first[0, 1:7, 1:7]).abs().max() < 3  # blended, and not shifted


def test_distilled_exported_and_used_it_says_whose_weights_it_began_with(tiny_gan, teacher, tmp_path):
    config = StudentConfig(pairs=PairsConfig(count=6), train=replace(CONFIG, augment=GEOMETRIES["paper"]))
    done = run_distill(tiny_gan, teacher, config, tmp_path / "runs", CPU)
    student, _, meta = load_student(done.checkpoint)
    assert isinstance(student, LiteNet) and meta["notices"] == [NOTICE]
    export_student(done.checkpoint, tmp_path / "model.onnx")
    card = read_card(tmp_path / "model.onnx")
    assert card.input_size == 32 and card.notices == (NOTICE,)
    with Segmenter.load(tmp_path / "model.onnx", "cpu") as segmenter:
        assert segmenter.segment([np.zeros((40, 30, 3), np.uint8)])[0].shape == (40, 30)


def test_a_resumed_training_takes_the_same_steps(halves, tmp_path):
    whole, half = (StudentTrainer(halves, CLASSES, replace(CONFIG, steps=4), CPU) for _ in range(2))
    for i in range(4):
        whole.step(i / 4)
    for i in range(2):
        half.step(i / 4)
    resumed = StudentTrainer(halves, CLASSES, replace(CONFIG, steps=4), CPU)
    resumed.load_state(half.state())
    for i in range(2, 4):
        resumed.step(i / 4)
    for (name, one), two in zip(whole.state().items(), resumed.state().values(), strict=True):
        assert name == "elapsed_s" or torch.equal(one, two), name
