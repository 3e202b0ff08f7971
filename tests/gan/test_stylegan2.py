"""StyleGAN2 is NVIDIA's to the constant; the numbers in golden/stylegan2.json were computed by their code."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.gan.load import ARCHITECTURES, load_gan, load_generator, make_networks, save_gan
from gseg_cli.gan.networks import ops
from gseg_cli.gan.networks.build import build
from gseg_cli.gan.networks.config import make_config
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.training.loss import r1_penalty
from gseg_runtime.errors import CheckpointError, ConfigError
from tests.tiny import CONFIG, make_generator

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stylegan2.json").read_text())


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """Generator, discriminator, latents, styles and images as golden/make_stylegan2.py drew them, from a checkpoint."""
    path = tmp_path_factory.mktemp("official") / "gan.safetensors"
    save_gan(path, *make_networks("stylegan2", make_config("stylegan2", GOLDEN["config"])), {})
    tensors, meta = load_checkpoint(path, "stylegan2")
    filters = {name: tensor for name, tensor in tensors.items() if name.endswith("resample_filter")}
    rng = np.random.RandomState(0)
    drawn = {
        f"{part}.{name}": offset + scale * normal(rng, shape)
        for part, weights in GOLDEN["weights"].items()
        for name, (shape, offset, scale) in weights.items()
    }
    assert drawn.keys() | filters.keys() == tensors.keys()  # NVIDIA's names
    save_checkpoint(path, filters | drawn, meta)
    z, styles, images = (normal(rng, shape) for shape in ([2, 16], [2, 6, 16], [8, 3, 16, 16]))
    return *load_gan(path), z, styles, images * torch.linspace(0.25, 2, 8)[:, None, None, None]


def normal(rng, shape):
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def figures(x):
    """Mean, deviation and seven values, as the maker of the golden file picks them."""
    flat = x.detach().flatten()
    return torch.stack([flat.mean(), flat.std(), *flat[torch.linspace(0, len(flat) - 1, 7).long()]])


def assert_golden(actual, golden):
    torch.testing.assert_close(actual, torch.tensor(golden), rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("psi", [1, 0.5])
def test_latents_are_nvidias(official, psi):
    generator, _, z, _, _ = official
    assert_golden(figures(generator.mapping(z, psi)), GOLDEN[f"ws psi={psi}"])


def test_images_and_features_are_nvidias_when_every_layer_has_a_style_of_its_own(official):
    generator, _, _, styles, _ = official
    image, stack = generator.features(styles)
    assert_golden(figures(image), GOLDEN["image"])
    for x, golden in zip(stack.maps, GOLDEN["layers"].values(), strict=True):
        assert_golden(figures(x), golden)


def test_the_discriminator_is_nvidias(official):
    _, discriminator, _, _, images = official
    assert_golden(discriminator(images).flatten(), GOLDEN["logits"])


def test_the_r1_penalty_and_its_gradients_are_nvidias(official):
    """They go twice backward through the filters, whose gradient is written by hand."""
    _, discriminator, _, _, images = official
    r1 = r1_penalty(discriminator, images)
    torch.testing.assert_close(r1.item(), GOLDEN["r1"], rtol=1e-4, atol=0)
    weights = dict(discriminator.named_parameters())
    gradients = torch.autograd.grad(r1, [weights[name] for name in GOLDEN["r1_gradients"]])
    norms = torch.stack([g.norm() for g in gradients])
    torch.testing.assert_close(norms, torch.tensor(list(GOLDEN["r1_gradients"].values())), rtol=1e-3, atol=0)


def test_upsampling_is_zero_insertion_and_a_filter():
    x = np.random.RandomState(0).randn(2, 3, 5, 5)
    padded = np.zeros((2, 3, 13, 13))
    padded[:, :, 2:12:2, 2:12:2] = x  # two zeros before, and one more than the inserted one behind
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64 * 4
    windows = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(2, 3))
    expected = (windows * kernel).sum(axis=(4, 5))
    actual = ops.upsample2d(torch.from_numpy(x), ops.resample_filter().double())
    np.testing.assert_allclose(actual.numpy(), expected, atol=1e-12)


def test_halving_is_the_filter_at_every_second_pixel():
    x, f = torch.randn(2, 3, 6, 6), ops.resample_filter()
    torch.testing.assert_close(ops.downsample2d(x, f), ops.blur(x, f, padding=1)[:, :, ::2, ::2])


@pytest.mark.parametrize(
    "filtered",
    [partial(ops.blur, padding=1), partial(ops.blur, padding=2), ops.upsample2d, ops.downsample2d],
    ids=["blur1", "blur2", "up", "down"],
)
def test_the_hand_written_gradients_of_the_filter_are_its_gradients(filtered):
    x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    f = ops.resample_filter().double()
    assert torch.autograd.gradcheck(lambda x: filtered(x, f), x)
    assert torch.autograd.gradgradcheck(lambda x: filtered(x, f) ** 2, x)


def test_a_new_generator_starts_as_nvidias_does():
    torch.manual_seed(0)
    generator, _ = make_networks("stylegan2", make_config("stylegan2", GOLDEN["config"]))
    for name, p in generator.named_parameters():
        if name.endswith("bias") or name.endswith("noise_strength"):
            assert (p == float("affine" in name)).all(), name
        else:
            scale = 100 if "mapping" in name else 1  # divided by the learning rate multiplier
            assert 0.7 < p.std() / scale < 1.3, name


def test_features_come_with_the_very_image_and_at_their_own_sizes():
    generator = make_generator()
    ws = generator.mapping(torch.randn(3, 16), 0.7)
    image, stack = generator.features(ws)
    assert torch.equal(image, generator.synthesis(ws)) and image.shape == (3, 3, 16, 16)
    assert [tuple(m.shape[2:]) for m in stack.maps] == [(4, 4), (8, 8), (8, 8), (16, 16), (16, 16)]
    assert stack.channels == generator.feature_channels == (16, 16, 16, 8, 8)
    assert torch.equal(stack[1:].maps[0], stack.maps[0][1:])


@torch.no_grad()
def test_half_precision_in_the_highest_resolutions_neither_overflows_nor_changes_the_image():
    generator = make_generator()
    for block in generator.synthesis_network.blocks():
        block.conv1.weight.mul_(1e5)  # demodulation takes it out again, but beyond what float16 holds
    ws = generator.mapping(torch.randn(2, 16))
    image, full = generator.features(ws)
    generator.compute_dtype, generator.num_lowp_res = torch.float16, 2
    lowered, stack = generator.features(ws)
    assert [m.dtype for m in stack.maps] == [torch.float32, *[torch.float16] * 4] and image.dtype == torch.float32
    torch.testing.assert_close(lowered, image, rtol=0, atol=0.01 * float(image.abs().max()))
    torch.testing.assert_close(
        stack.maps[-1].float(), full.maps[-1], rtol=0, atol=0.01 * float(full.maps[-1].abs().max())
    )


def test_a_checkpoint_brings_the_same_networks_back(tiny_gan, tmp_path):
    generator, discriminator = load_gan(tiny_gan)
    z = torch.randn(4, 16)
    image = generator.synthesis(generator.mapping(z, 0.7))
    save_gan(tmp_path / "gan.safetensors", generator, discriminator, {"num_images": 5})
    again, judge = load_gan(tmp_path / "gan.safetensors")
    assert torch.equal(again.synthesis(again.mapping(z, 0.7)), image)
    assert torch.equal(judge(image), discriminator(image))
    alone = load_generator(tmp_path / "gan.safetensors")
    assert not alone.training and not any(p.requires_grad for p in alone.parameters())
    assert torch.equal(alone.synthesis(alone.mapping(z, 0.7)), image)


def test_checkpoints_use_nvidias_names(tiny_gan):
    names = load_checkpoint(tiny_gan)[0].keys()
    assert {
        "G_ema.mapping.fc0.weight",
        "G_ema.mapping.w_avg",
        "G_ema.synthesis.b4.const",
        "G_ema.synthesis.b8.conv0.affine.bias",
        "G_ema.synthesis.b16.torgb.weight",
        "D.b16.fromrgb.weight",
        "D.b4.fc.bias",
    } <= names
    assert {name.split(".")[0] for name in names} == {"G_ema", "D"}


def test_a_checkpoint_that_is_no_gan_or_does_not_fit_is_refused(tiny_gan, tmp_path):
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, {"a": torch.zeros(1)}, {"kind": "unet"})
    with pytest.raises(
        CheckpointError, match=r"expected a GAN \(stylegan2, stylegan3, dcgan\), got a checkpoint of kind 'unet'"
    ):
        load_generator(path)
    tensors, meta = load_checkpoint(tiny_gan)
    save_checkpoint(path, tensors, {**meta, "config": {**meta["config"], "channel_max": 8}})
    with pytest.raises(CheckpointError, match=r"other\.safetensors: its tensors do not fit its config"):
        load_generator(path)


def test_weights_that_are_whole_numbers_are_named(tiny_gan, tmp_path):
    tensors, meta = load_checkpoint(tiny_gan)
    name = "G_ema.mapping.fc0.weight"
    save_checkpoint(tmp_path / "whole.safetensors", {**tensors, name: tensors[name].long()}, meta)
    with pytest.raises(CheckpointError, match=r"mapping\.fc0\.weight: expected weights in floating point, got int64$"):
        load_generator(tmp_path / "whole.safetensors")


def test_a_picture_that_is_too_large_is_told_the_largest(tiny_gan, tmp_path):
    tensors, meta = load_checkpoint(tiny_gan)
    path = tmp_path / "large.safetensors"
    save_checkpoint(path, tensors, {**meta, "config": {**meta["config"], "img_resolution": 16384}})
    with pytest.raises(CheckpointError, match="a power of two, 8 or more, got 16384; 4096 is the most"):
        load_generator(path)


WRONG = (
    {"num_wings": 2}, {"w_dim": 10**12}, {"w_dim": -1}, {"z_dim": "16"}, {"c_dim": 10**30}, {"channel_max": None},
    {"channel_base": 0}, {"channel_base": 15}, {"channel_base": 10**15}, {"mapping_layers": 10**5},
    {"mapping_layers": 1.5}, {"mapping_lr_multiplier": 0}, {"conv_clamp": "a"}, {"conv_clamp": [1] * 10**4},
    {"img_resolution": 16.0}, {"img_resolution": 2**40}, {"num_lowp_res": -1}, {"use_noise": "a"},
    {"architecture": "a\n" * 10**4}, {"discriminator": 5}, {"discriminator": {"cmap_dim": 10**30}},
    {"discriminator": {"mbstd_group_size": "a"}}, {"discriminator": {"channel_base": 1}},
)  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:40])
def test_a_config_that_no_network_has_is_one_line_with_a_hint(wrong, tiny_gan, tmp_path, capsys):
    """Nor is anything of that size allocated."""
    path = tmp_path / "other.safetensors"
    tensors, meta = load_checkpoint(tiny_gan)
    save_checkpoint(path, tensors, {**meta, "config": {**meta["config"], **wrong}})
    for command in (["info"], ["sample", "--out", str(tmp_path / "samples"), "--gan"]):
        assert main([*command, str(path)]) == 1
        error, hint = capsys.readouterr().err.splitlines()
        assert error.startswith(f"error: {path}: its config describes no GAN: ") and len(error) < 700
        assert hint.startswith("hint: ") and not (tmp_path / "samples").exists()


def test_a_network_takes_no_memory_before_a_file_is_found_to_fit():
    """A file may claim any width."""
    tensors = []

    class Watched(StyleGAN2):
        def load_state_dict(self, *args, **kwargs):
            tensors.extend(self.state_dict().values())
            return super().load_state_dict(*args, **kwargs)

    with pytest.raises(CheckpointError, match="do not fit"):
        build(Watched, {}, CONFIG)
    assert len(tensors) > 30 and all(tensor.is_meta for tensor in tensors)


@pytest.mark.parametrize("resolution", [4, 48])
def test_a_resolution_that_is_no_power_of_two_is_refused(resolution):
    for arch in ARCHITECTURES:
        with pytest.raises(ConfigError, match=f"power of two, 8 or more, got {resolution}"):
            make_config(arch, {"img_resolution": resolution})
