from pathlib import Path

import pytest
import torch

from gseg_cli.checkpoint import save_checkpoint
from gseg_cli.distill.net_config import STRIDES, NetConfig
from gseg_cli.distill.student import load_student, make_student, save_student
from gseg_cli.distill.unet import UNet
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import CheckpointError, ConfigError

CLASSES = ClassMap.of_names(["background", "skin", "hair"])


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def tiny_net() -> UNet:
    torch.manual_seed(0)
    net = UNet(NetConfig(size="tiny", num_classes=len(CLASSES), input_size=16))
    net.train()(torch.randn(4, 3, 16, 16))  # moves the normalisation's statistics away from their start
    return net.eval()


@pytest.mark.parametrize("size", STRIDES)
def test_every_size_answers_with_logits_as_large_as_its_input(size: str) -> None:
    config = NetConfig(size=size, num_classes=3, input_size=32)
    net = make_student(config).eval()
    with torch.no_grad():
        assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 3, 32, 32)
        assert net(torch.zeros(1, 3, 32 + config.stride, 32)).shape == (1, 3, 32 + config.stride, 32)


@pytest.mark.parametrize("size", ["tiny", "default", "lite0"])
def test_training_computes_what_the_exported_network_does(size: str) -> None:
    net = make_student(NetConfig(size=size, num_classes=3, input_size=32)).double().train()
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    weight = net.decoder[0][0].weight  # of the lowest level that joins two maps

    def outcome() -> list[torch.Tensor]:
        logits = net(images)
        return [logits, *torch.autograd.grad(logits.square().sum(), [images, weight])]

    quick = outcome()
    net.training = False  # of the network alone: its normalisations go on as they do in training
    for ours, plain in zip(quick, outcome(), strict=True):
        torch.testing.assert_close(ours, plain)


def test_the_paper_size_is_the_published_network() -> None:
    with torch.device("meta"):
        net = UNet(NetConfig(size="paper", num_classes=10, input_size=512))
    convs = [module for module in net.modules() if isinstance(module, torch.nn.Conv2d)]
    redundant_biases = sum(conv.out_channels for conv in convs if conv.bias is None)
    num_parameters = sum(parameter.numel() for parameter in net.parameters())
    assert round((num_parameters + redundant_biases) / 1e6, 2) == 17.27


@pytest.mark.parametrize(("input_size", "nearest"), [(1, 16), (23, 16), (24, 32), (100, 96), (129, 128), (0, 16)])
def test_an_input_the_levels_cannot_halve_is_refused_with_the_nearest_that_fits(input_size: int, nearest: int) -> None:
    with pytest.raises(ConfigError, match=f"multiple of 16, got {input_size}") as caught:
        NetConfig(size="default", num_classes=3, input_size=input_size)
    assert caught.value.hint == f"the nearest is {nearest}"
    NetConfig(size="default", num_classes=3, input_size=nearest)


def test_unknown_sizes_and_too_few_classes_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected one of tiny, default, paper, lite0, got 'huge'"):
        NetConfig(size="huge", num_classes=3, input_size=64)
    with pytest.raises(ConfigError, match="expected 2 to 255 classes, got 1"):
        NetConfig(num_classes=1, input_size=64)


def test_a_student_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    net, parents = tiny_net(), [{"kind": "fewshot", "path": "teacher.safetensors", "sha256": "0" * 64}]
    save_student(tmp_path / "student.safetensors", net, CLASSES, {"parents": parents, "config": {"steps": 7}})
    again, classes, meta = load_student(tmp_path / "student.safetensors", "cpu")
    image = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(again(image), net(image), rtol=0, atol=0)
    assert (again.config, classes) == (net.config, CLASSES)
    assert (meta["kind"], meta["parents"], meta["config"]["steps"]) == ("unet", parents, 7)
    assert not again.training and not any(parameter.requires_grad for parameter in again.parameters())


def test_classes_that_do_not_fit_the_student_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="3 classes, but 2 are named"):
        save_student(tmp_path / "student.safetensors", tiny_net(), ClassMap.of_names(["background", "skin"]))


def test_checkpoints_that_are_no_students_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, {"a": torch.zeros(1)}, {"kind": "fewshot"})
    with pytest.raises(CheckpointError, match="expected a unet checkpoint, got a fewshot checkpoint"):
        load_student(path)
    config = {"size": "tiny", "num_classes": 3, "input_size": 16, "classes": CLASSES.to_json()}
    for broken in (config, {**config, "size": "huge"}, {"size": "tiny"}, {**config, "input_size": "16"}):
        save_checkpoint(path, {"a": torch.zeros(1)}, {"kind": "unet", "config": broken})
        with pytest.raises(CheckpointError, match=r"other\.safetensors: the student cannot be rebuilt"):
            load_student(path)
