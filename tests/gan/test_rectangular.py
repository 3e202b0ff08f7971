"""Rectangular GANs: a constant of 4 x 2 pixels and the like draws a picture, which lies in a square between bars."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.distill import stage as distill_stage
from gseg_cli.distill.config import DistillConfig, PairsConfig, StudentConfig
from gseg_cli.distill.pairs import read_pairs
from gseg_cli.distill.stage import run_distill
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import load_annotated, load_teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.gan.bars import outside, with_bars
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.load import load_generator, read_gan, save_gan
from gseg_cli.gan.networks.config import StyleGAN2Config
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.sample import write_samples
from gseg_cli.gan.training.stage import run_or_resume_gan_train
from gseg_runtime.errors import CheckpointError, ConfigError
from gseg_runtime.files import sha256_file
from tests import tiny

CPU = torch.device("cpu")
TALL = replace(tiny.CONFIG, img_resolution=32, first_layer=(4, 2))  # 32 x 16 pixels
SHAPES = {"tall": TALL, "wide": replace(TALL, first_layer=(4, 8), img_resolution=64), "odd": replace(
    TALL, first_layer=(5, 4), img_resolution=40
)}  # fmt: skip


def make(config):
    torch.manual_seed(0)
    generator = StyleGAN2(config).eval().requires_grad_(False)
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(0.3)
    generator.mapping_network.w_avg.normal_()
    return generator


@pytest.fixture
def gan(tmp_path):
    """As other programs write it: nothing but the tensors."""
    state = {k.replace("_network.", "."): t for k, t in make(TALL).state_dict().items()}
    path = tmp_path / "human.pt"
    torch.save({"G_ema": state}, path)
    return path


@pytest.mark.parametrize("shape", SHAPES)
def test_picture_and_activations_lie_in_the_middle_of_squares(shape):
    config = SHAPES[shape]
    generator, side = make(config), config.img_resolution
    ws = generator.mapping(torch.randn(2, 16))
    layers = []
    picture = generator.synthesis_network(ws, [torch.float32] * len(config.resolutions), False, layers.append)
    height, width = config.size_at(config.resolutions[-1])
    assert picture.shape == (2, 3, height, width) and max(height, width) == side
    image, stack = generator.features(ws)
    top, left = (side - height) // 2, (side - width) // 2
    window = (..., slice(top, top + height), slice(left, left + width))
    assert torch.equal(image[window], picture) and image.shape == (2, 3, side, side)
    assert (image[..., outside(generator, side)] == 0).all()
    assert len(stack.maps) == len(layers) == len(generator.feature_channels)
    for square, layer, (channels, size) in zip(stack.maps, layers, config.feature_layers, strict=True):
        assert square.shape == (2, channels, size, size)
        assert square.abs().sum().item() == pytest.approx(layer.abs().sum().item(), rel=1e-4)


def test_a_square_has_no_bars():
    x = torch.rand(1, 2, 8, 8)
    assert with_bars(x) is x and outside(tiny.make_generator(), 16) is None


def test_a_rectangular_gan_of_another_program_is_opened(gan):
    generator, expected = load_generator(gan), make(TALL)
    assert generator.config.first_layer == (4, 2) and generator.img_resolution == 32
    z = torch.randn(2, 16)
    assert torch.equal(generator.synthesis(generator.mapping(z)), expected.synthesis(expected.mapping(z)))


def test_noise_that_the_file_lacks_has_the_pictures_shape(gan, tmp_path):
    state = torch.load(gan)["G_ema"]
    torch.save({"G_ema": {k: t for k, t in state.items() if "noise_const" not in k}}, tmp_path / "bare.pt")
    shapes = [b.shape for name, b in load_generator(tmp_path / "bare.pt").named_buffers() if "noise_const" in name]
    assert shapes == [(4, 2), (8, 4), (8, 4), (16, 8), (16, 8), (32, 16), (32, 16)]


@pytest.mark.parametrize("first", [(0, 4), (4,), (4, 65), (4.0, 4), "44", (4, True)])
def test_a_constant_of_no_shape_is_refused(first):
    with pytest.raises(ConfigError, match="first_layer: expected height and width up to 64"):
        StyleGAN2Config(first_layer=first)


@pytest.mark.parametrize(("first", "side"), [((5, 4), 64), ((4, 6), 6), ((4, 8), 8192)])
def test_a_side_that_doubling_does_not_come_to_is_refused(first, side):
    with pytest.raises(ConfigError, match=rf"img_resolution: expected {max(first)} times 2, 4, 8 \.\.\., got {side}"):
        StyleGAN2Config(first_layer=first, img_resolution=side)


def test_a_constant_that_is_too_large_is_refused_before_anything_is_built(gan, tmp_path):
    state = torch.load(gan)["G_ema"]
    state["synthesis.b4.const"] = torch.zeros(1, 1, 100_000)
    torch.save({"G_ema": state}, tmp_path / "large.pt")
    with pytest.raises(CheckpointError, match="first_layer: expected height and width up to 64"):
        load_generator(tmp_path / "large.pt")


def test_its_discriminator_is_left_out_and_it_is_not_trained(gan, tmp_path):
    judge = Discriminator(TALL).state_dict()
    torch.save({**torch.load(gan), "D": judge}, tmp_path / "both.pt")
    assert read_gan(tmp_path / "both.pt").meta["discriminator"] == "left out: it judges rectangular pictures"
    with pytest.raises(ConfigError, match="a rectangular GAN; gan-train trains square ones"):
        run_or_resume_gan_train(tiny.write_photos(tmp_path / "photos"), {}, tmp_path / "runs", CPU, init_from=gan)


def test_info_tells_the_pictures_size(gan, tmp_path, capsys):
    save_gan(tmp_path / "own.safetensors", make(TALL), Discriminator(TALL), {})
    for path in (gan, tmp_path / "own.safetensors"):
        assert main(["--json", "info", str(path)]) == 0
        facts = json.loads(capsys.readouterr().out)["data"]
        assert facts["resolution"] == 32 and facts["picture"] == {"width": 16, "height": 32}


def test_samples_are_squares_with_grey_bars(gan, tmp_path):
    samples = write_samples(load_generator(gan), gan, [3], 1.0, tmp_path / "samples")
    with Image.open(samples.image_path(3)) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (32, 32, 3)
    assert (pixels[:, :8] == 128).all() and (pixels[:, 24:] == 128).all() and pixels[:, 8:24].std() > 10


def annotate(gan, folder, beside=2):
    """The bars labelled as if they belonged to that class."""
    generator = load_generator(gan)
    labels = tiny.brightness_labels(generator, [0, 1])
    labels[:, outside(generator, 32)] = beside
    tiny.annotate(generator, [0, 1], labels, sha256_file(gan)).save(folder, source="a test")
    return generator


def test_a_teacher_does_not_learn_from_the_bars_and_calls_them_background(gan, tmp_path):
    generator = annotate(gan, tmp_path / "annotations")
    config = FewshotConfig(model="mlp", steps=20, pixels=256, num_heads=2)
    trained = run_fewshot_train(gan, tmp_path / "annotations", config, tmp_path / "runs", CPU)
    bars = outside(generator, 32)
    assert (load_annotated(trained.checkpoint).labels[:, bars] == 255).all()
    prediction = predict(generator, load_teacher(trained.checkpoint)[0], generator.mapping(torch.randn(2, 16)))
    assert (prediction.labels[:, bars] == 0).all() and (prediction.doubt[:, bars] == 0).all()
    assert (prediction.doubt[:, ~bars] > 0).all()


def test_bars_that_nobody_labelled_are_no_gap_to_fill(gan, tmp_path):
    annotate(gan, tmp_path / "annotations", beside=255)
    steps = []
    config = FewshotConfig(model="mlp", steps=20, pixels=256)
    trained = run_fewshot_train(gan, tmp_path / "annotations", config, tmp_path / "runs", CPU, on_step=steps.append)
    assert {step.total for step in steps} == {20}
    with Image.open(trained.run / "teacher.png") as picture:  # nor hatched like one
        labels_beside = np.asarray(picture)[80:190, 180:200]
    assert (labels_beside == 128).all()


def test_a_student_of_a_rectangular_gan_does_not_look_at_the_bars(gan, tmp_path, monkeypatch):
    monkeypatch.setattr(distill_stage, "NUM_HELD_OUT", 4)
    annotate(gan, tmp_path / "annotations")
    config = FewshotConfig(model="mlp", steps=20, pixels=256)
    teacher = run_fewshot_train(gan, tmp_path / "annotations", config, tmp_path / "runs", CPU).checkpoint
    small = StudentConfig(pairs=PairsConfig(count=6), train=DistillConfig(student="tiny", steps=3, batch=4))
    done = run_distill(gan, teacher, small, tmp_path / "runs", CPU)
    pairs = read_pairs(done.run / "pairs")
    assert pairs.first.shape == (6, 32, 32)
    assert (pairs.first[:, :, :8] == 255).all() and (pairs.first[:, :, 8:24] != 255).all()
    assert (pairs.images[:, :, :8] == 128).all() and 0 < done.held_out_miou <= 1


def test_a_photo_is_inverted_within_the_picture(gan):
    inverter = Inverter.load(gan, InvertConfig(steps=2), CPU)
    photos = np.zeros((1, 32, 32, 3), np.uint8)
    inside = np.ones((1, 32, 32), bool)
    other = photos.copy()
    other[:, :, :8] = 200
    one, two = (inverter.fit(pixels, inside) for pixels in (photos, other))
    assert np.array_equal(one.images, two.images) and np.array_equal(one.errors, two.errors)


def test_a_file_whose_config_and_tensors_disagree_is_refused(tmp_path):
    save_gan(tmp_path / "a.safetensors", make(TALL), Discriminator(TALL), {})
    tensors, meta = load_checkpoint(tmp_path / "a.safetensors")
    meta["config"]["first_layer"] = [4, 4]
    save_checkpoint(tmp_path / "b.safetensors", tensors, meta)
    with pytest.raises(CheckpointError, match="do not fit its config"):
        load_generator(tmp_path / "b.safetensors")
