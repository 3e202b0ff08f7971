"""Growing and shrinking: a GAN goes on at twice or half the size as what it was, not from scratch."""

from dataclasses import replace

import pytest
import torch

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.gan.load import load_gan, make_networks, save_gan
from gseg_cli.gan.networks import ops
from gseg_cli.gan.networks.config import make_config
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.grow import grow, load_start, shrink
from gseg_cli.gan.training.stage import run_gan_train, run_or_resume_gan_train
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_runtime.errors import ConfigError
from tests import tiny

CPU = torch.device("cpu")
CONFIG = replace(tiny.CONFIG, channel_base=256)  # 8 channels at 32 px
GROWN = GanTrainConfig(resolution=32, batch=4, precision="fp32", r1_interval=2, kimg=0.016)


@pytest.fixture(params=[CONFIG, replace(CONFIG, conv_clamp=256.0, img_channels=1)], ids=["", "grey and clamped"])
def gan(request):
    torch.manual_seed(0)
    G, D = StyleGAN2(request.param).requires_grad_(False), Discriminator(request.param).requires_grad_(False)
    for parameter in (*G.parameters(), *D.parameters()):
        parameter.add_(0.1 * torch.randn_like(parameter))
    return G, D


def test_a_grown_generator_starts_with_the_upsampled_picture(gan):
    old, (new, _) = gan[0], grow(*gan)
    z = torch.randn(3, 16)
    filtered = ops.upsample2d(old.synthesis(old.mapping(z)), ops.resample_filter())
    image = new.synthesis(new.mapping(z))
    assert image.shape == (3, 3, 32, 32) and image.std() > 0.1
    torch.testing.assert_close(image, filtered, rtol=0, atol=1e-5)


def test_a_grown_discriminator_starts_by_judging_the_halved_picture(gan):
    old, (_, new) = gan[1], grow(*gan)
    image = torch.randn(8, 3, 32, 32)
    halved = ops.downsample2d(image, ops.resample_filter())
    logits = new(image)
    torch.testing.assert_close(logits, old(halved), rtol=1e-4, atol=1e-4)
    assert (logits - old(torch.nn.functional.avg_pool2d(image, 2))).abs().max() > 1e-3  # so the comparison can tell


def test_a_shrunk_generator_starts_with_the_colours_it_had_at_that_size(gan):
    old, (new, _) = gan[0], shrink(*gan)
    ws, reached = old.mapping(torch.randn(3, 16)), {}
    last = old.synthesis_network.b16
    last.torgb.register_forward_pre_hook(lambda module, given: reached.update(x=given[0], w=given[1]))
    whole = old.synthesis(ws)
    added = last.torgb(reached["x"], reached["w"])
    image = new.synthesis(ws[:, : new.num_ws])
    assert image.shape == (3, 3, 8, 8) and image.std() > 0.1
    torch.testing.assert_close(ops.upsample2d(image, ops.resample_filter()) + added, whole, rtol=0, atol=1e-5)


def test_a_gan_that_was_grown_and_shrunk_makes_the_pictures_it_made(gan):
    new, _ = shrink(*grow(*gan))
    z = torch.randn(3, 16)
    assert torch.equal(new.synthesis(new.mapping(z)), gan[0].synthesis(gan[0].mapping(z)))


def test_a_shrunk_discriminator_keeps_all_but_the_layer_that_reads_the_picture(gan):
    _, new = shrink(*gan)
    old, kept = gan[1].state_dict(), new.state_dict()
    fresh = [name for name in kept if name not in old or not torch.equal(kept[name], old[name])]
    assert sorted(fresh) == ["b8.fromrgb.bias", "b8.fromrgb.weight"]


def test_a_shrunk_discriminator_judges_much_as_the_old_one_judges_the_enlarged_picture(gan):
    torch.manual_seed(0)
    small, new = (net.requires_grad_(False) for net in shrink(*gan))
    pictures = small.synthesis(small.mapping(torch.randn(64, 16)))
    before = gan[1](ops.upsample2d(pictures, ops.resample_filter()))[:, 0]
    blind = Discriminator(new.config).requires_grad_(False)
    blind.load_state_dict({**new.state_dict(), "b8.fromrgb.weight": torch.randn_like(new.b8.fromrgb.weight)})
    seen, unseen = (float(torch.corrcoef(torch.stack([before, D(pictures)[:, 0]]))[0, 1]) for D in (new, blind))
    assert seen > 0.7 and seen > unseen + 0.2, (seen, unseen)


@pytest.mark.parametrize("times", [0.5, 2, 4])
def test_every_layer_of_a_gan_of_another_size_learns(gan, tmp_path, times):
    save_gan(tmp_path / "gan.safetensors", *gan, {})
    size = int(16 * times)
    images = torch.randint(0, 256, (16, 3, size, size), dtype=torch.uint8)
    trainer = GanTrainer(replace(GROWN, resolution=size), images, CPU, init_from=tmp_path / "gan.safetensors")
    before = {key: value.clone() for key, value in trainer.state().items()}
    for _ in range(6):
        trainer.step()
    after = trainer.state()
    unchanged = [key for key in before if key[:2] in ("G.", "D.") and torch.equal(before[key], after[key])]
    assert all("noise_const" in key or "resample_filter" in key for key in unchanged)
    assert all(torch.isfinite(value).all() for value in after.values())


def test_the_run_takes_its_widths_from_the_file_it_begins_with(gan, tmp_path):
    save_gan(tmp_path / "gan.safetensors", *gan, {})
    photos = tiny.write_photos(tmp_path / "photos")
    said = []
    trained = run_gan_train(
        photos, GROWN, tmp_path / "runs", CPU, init_from=tmp_path / "gan.safetensors", say=said.append
    )
    config = load_checkpoint(trained.checkpoint)[1]["config"]
    widths = {key: config[key] for key in ("img_resolution", "channel_base", "channel_max", "z_dim")}
    assert widths == {"img_resolution": 32, "channel_base": 256, "channel_max": 16, "z_dim": 16}
    assert any("channel_base 256" in line for line in said)


def test_a_gan_without_a_discriminator_gets_a_fresh_one(gan, tmp_path):
    path = tmp_path / "gan.safetensors"
    save_gan(path, *gan, {})
    tensors, meta = load_checkpoint(path)
    save_checkpoint(path, {name: tensor for name, tensor in tensors.items() if name.startswith("G_ema.")}, meta)
    G, D = load_start(path, 16)
    assert torch.equal(G.synthesis_network.b4.const, gan[0].synthesis_network.b4.const)
    assert D(torch.zeros(4, 3, 16, 16)).shape == (4, 1)
    said = []
    photos = tiny.write_photos(tmp_path / "photos")
    run_gan_train(photos, GROWN, tmp_path / "runs", CPU, init_from=path, say=said.append, minutes=0.0)
    assert f"warning: {path}: training begins with a fresh discriminator (none in the file)" in said


def test_what_can_neither_grow_nor_shrink_is_refused(gan, tmp_path):
    save_gan(tmp_path / "small.safetensors", *gan, {})
    torch.manual_seed(0)
    dcgan = make_networks("dcgan", make_config("dcgan", {"img_resolution": 16, "z_dim": 8, "channel_base": 64}))
    save_gan(tmp_path / "dcgan.safetensors", *dcgan, {})
    for name, resolution in (("small", 24), ("dcgan", 32), ("dcgan", 8)):
        with pytest.raises(ConfigError, match=f"a GAN of 16 px cannot train at {resolution} px") as caught:
            load_start(tmp_path / f"{name}.safetensors", resolution)
        assert "train at 16 px" in caught.value.hint
    assert load_gan(tmp_path / "dcgan.safetensors")[0].img_resolution == 16


def test_a_gan_of_several_classes_is_refused_before_a_run_is_opened(tmp_path):
    torch.manual_seed(0)
    config = replace(CONFIG, c_dim=3)
    save_gan(tmp_path / "classes.safetensors", StyleGAN2(config), Discriminator(config), {})
    photos = tiny.write_photos(tmp_path / "photos")
    with pytest.raises(ConfigError, match="conditional GAN with 3 classes") as caught:
        run_or_resume_gan_train(photos, {}, tmp_path / "runs", CPU, init_from=tmp_path / "classes.safetensors")
    assert "photos of 3 classes" in caught.value.hint
    assert not (tmp_path / "runs").exists()
