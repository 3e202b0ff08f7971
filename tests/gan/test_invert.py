"""Inversion: the GAN's own images are found again, each photo for itself, and photos of another kind are told."""

import sys
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch

from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.choices import Space
from gseg_cli.datasets.toy_faces.dataset import render
from gseg_cli.gan.framing import CenterCrop, frame, frame_labels
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.inversion import drawn_samples as sampled
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.domain import Domain, Gaussian
from gseg_cli.gan.inversion.drawn_samples import draw_samples, look_at
from gseg_cli.gan.inversion.image_distance import discriminator_features, lpips_features
from gseg_cli.gan.inversion.invert import invert
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.inversion.own_distances import own_distances
from gseg_cli.gan.load import load_gan
from gseg_cli.gan.networks.config import DCGANConfig
from gseg_cli.gan.networks.dcgan import DCGAN, DCDiscriminator
from gseg_cli.gan.networks.noise_maps import copy_noise, structure, with_noise
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.errors import BackendUnavailable, ConfigError, UsageError
from gseg_runtime.pip_hint import install
from tests.tiny import make_generator

CPU = torch.device("cpu")
CONFIG = InvertConfig(space="w+", steps=40, noise=False)


@pytest.fixture(scope="module", autouse=True)
def few_samples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampled, "MAX_SAMPLES", 256)
        yield


@pytest.fixture(scope="module")
def networks(tiny_gan):
    networks = load_gan(tiny_gan)
    for network in networks:
        network.eval().requires_grad_(False)
    return networks


@pytest.fixture(scope="module")
def samples(networks):
    return draw_samples(*networks, 0, CPU)


@pytest.fixture(scope="module")
def photos(networks):
    """Three images of seeds that are not among the samples."""
    return networks[0].synthesis(ws_for_seeds(networks[0], range(9000, 9003), 1.0))


def gap(images, photos):
    return (images - photos).square().mean(dim=[1, 2, 3])


@torch.no_grad()
def drawn(generator, inversion):
    with inversion.drawn_by(generator):
        return generator.synthesis(inversion.ws)


def test_images_of_the_gan_are_found_again_in_every_space(networks, samples, photos):
    generator, discriminator = networks
    features = discriminator_features(discriminator)
    start = samples.nearest(photos)[:, None].expand(-1, generator.num_ws, -1)
    before, gaps = gap(generator.synthesis(start), photos), {}
    for space in get_args(Space):
        found = invert(generator, photos, samples, features, replace(CONFIG, space=space))
        gaps[space] = gap(drawn(generator, found), photos)
        assert found.ws.shape == (3, generator.num_ws, generator.w_dim) and not found.ws.requires_grad
        is_one_latent = torch.equal(found.ws, found.ws[:, :1].expand_as(found.ws))
        assert is_one_latent == (space == "w") and (found.offset is not None) == (space == "f")
    assert all((after < 0.25 * before).all() for after in gaps.values())
    assert (gaps["f"] < gaps["w+"]).all()


def test_a_photo_comes_out_the_same_whatever_is_beside_it(networks, samples, photos):
    generator, discriminator = networks
    config = InvertConfig(space="f", steps=20)
    together = invert(generator, photos, samples, discriminator_features(discriminator), config)
    alone = invert(generator, photos[1:2], samples, discriminator_features(discriminator), config)
    torch.testing.assert_close(together.ws[1:2], alone.ws, rtol=0, atol=1e-3)
    torch.testing.assert_close(drawn(generator, together)[1:2], drawn(generator, alone), rtol=0, atol=1e-3)


def test_what_lies_beside_the_photo_counts_for_nothing(networks, samples, photos):
    generator, discriminator = networks
    inside = torch.zeros(3, 1, 16, 16, dtype=torch.bool)
    inside[..., 4:12, :] = True
    boxed, features = torch.where(inside, photos, 0.0), discriminator_features(discriminator)
    found = invert(generator, boxed, samples, features, CONFIG, inside=inside)
    whole = invert(generator, boxed, samples, features, CONFIG)
    rows = slice(4, 12)
    windows = [gap(drawn(generator, x)[..., rows, :], photos[..., rows, :]).mean() for x in (found, whole)]
    assert windows[0] < 0.8 * windows[1]  # without the bars to draw, the photo comes out better


def test_noise_maps_are_of_each_image_and_leave_the_generator_as_it_was(networks):
    generator = networks[0]
    ws = ws_for_seeds(generator, [1, 1], 1.0)
    before = generator.synthesis(ws)
    maps = copy_noise(generator, 2)
    for noise in maps.values():
        noise[1].normal_(generator=torch.Generator().manual_seed(0))
    with with_noise(generator, maps):
        one, other = generator.synthesis(ws)
        stack = generator.features(ws)[1]
    assert torch.equal(one, before[0]) and (one - other).abs().max() > 0.01
    assert all(len(m) == 2 for m in stack.maps) and torch.equal(generator.synthesis(ws), before)
    assert structure(maps).shape == (2,)
    stripes = {"a": torch.ones(1, 1, 16, 16).index_fill(3, torch.arange(0, 16, 2), -1.0)}
    noise = {"a": torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))}
    assert structure(stripes) > 10 * structure(noise)


def test_a_gan_without_noise_or_coarse_layer_is_inverted_too_and_space_f_is_refused():
    torch.manual_seed(0)
    config = DCGANConfig(img_resolution=16, z_dim=8, channel_base=128, channel_max=16)
    generator, discriminator = DCGAN(config).eval().requires_grad_(False), DCDiscriminator(config).requires_grad_(False)
    samples = draw_samples(generator, discriminator, 0, CPU)
    photos = generator.synthesis(ws_for_seeds(generator, [9000], 1.0))
    features = discriminator_features(discriminator)
    found = invert(generator, photos, samples, features, InvertConfig(space="w", steps=40))
    assert found.noise == {} and gap(drawn(generator, found), photos) < 0.1 * photos.var()
    with pytest.raises(ConfigError, match="space: f is for StyleGAN2, this is a dcgan"):
        invert(generator, photos, samples, features, InvertConfig(space="f", steps=1))


def test_faces_are_of_the_face_gans_kind_and_upside_down_ones_and_noise_are_not(monkeypatch):
    """With half of the usual samples; benchmarks/invert.md has the figures."""
    monkeypatch.setattr(sampled, "MAX_SAMPLES", 768)
    generator, discriminator = load_gan(Builtin(SMALL).gan)
    domain = Domain.of(draw_samples(generator.eval(), discriminator.eval(), 0, CPU).look)
    faces = np.stack([render(seed, 64)[0] for seed in range(7_000_000, 7_000_024)])
    noise = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), np.uint8)

    def distances(images):
        photos = torch.from_numpy(images.copy()).permute(0, 3, 1, 2) / 127.5 - 1
        with torch.no_grad():
            return domain.distance_of(look_at(photos, discriminator))

    upright, turned = distances(faces), distances(faces[:, ::-1])
    assert (upright > 1).sum() <= 3 and (turned > 1).sum() >= 20 and (distances(noise) > 2).all()
    torch.testing.assert_close(distances(faces[7:8]), upright[7:8], rtol=0, atol=1e-3)


def test_the_distance_of_few_vectors_is_that_of_the_full_covariance():
    torch.manual_seed(0)
    x = torch.randn(40, 6) @ torch.randn(6, 6)
    z = (x - x.mean(dim=0)) / (x.std(dim=0) + 1e-6)
    covariance = z.T @ z / len(z) + 0.1 * torch.eye(6)
    expected = ((z @ torch.linalg.inv(covariance) * z).sum(dim=1) / 6).sqrt()
    torch.testing.assert_close(Gaussian.of(x).distance(x), expected, rtol=1e-3, atol=1e-3)


def test_only_the_pixels_of_a_photo_count_in_its_distance(tiny_gan):
    inverter = Inverter.load(tiny_gan, replace(CONFIG, space="w", steps=1), CPU)
    whole = to_uint8(inverter.generator.synthesis(ws_for_seeds(inverter.generator, [9000, 9001], 1.0))).numpy()
    inside = np.zeros((2, 16, 16), bool)
    inside[:, 4:12] = True
    of_whole = inverter.fit(whole, np.ones_like(inside))
    for bars in (128, 255):
        boxed = np.where(inside[..., None], whole, np.uint8(bars))
        boxed_fit = inverter.fit(boxed, inside)
        assert (boxed_fit.distances > of_whole.distances).all()  # the bars count there
        as_the_photos_go_on = replace(boxed_fit, images=whole)
        distances = own_distances(inverter, boxed, inside, as_the_photos_go_on)
        np.testing.assert_allclose(distances, of_whole.distances, rtol=0, atol=1e-5)


def test_a_gan_without_discriminator_inverts_by_pixels_and_judges_no_photo(tiny_gan, tmp_path):
    from gseg_cli.checkpoint import load_checkpoint, save_checkpoint

    tensors, meta = load_checkpoint(tiny_gan)
    save_checkpoint(tmp_path / "g.safetensors", {k: v for k, v in tensors.items() if k.startswith("G_ema.")}, meta)
    inverter = Inverter.load(tmp_path / "g.safetensors", replace(CONFIG, steps=40), CPU)
    image = to_uint8(make_generator(0).synthesis(ws_for_seeds(inverter.generator, [9000], 1.0))).numpy()
    fitted = inverter.fit(image, np.ones((1, 16, 16), bool))
    assert (
        fitted.distances is None and fitted.images.shape == image.shape and 0 < fitted.errors[0] < 40
    )  # the nearest sample: 64


def test_lpips_without_its_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(BackendUnavailable, match="LPIPS needs the package lpips") as caught:
        lpips_features(tmp_path / "vgg16.pth", CPU)
    assert caught.value.hint == install("perceptual")


@pytest.mark.parametrize("fit", ["letterbox", "crop"])
def test_labels_go_into_the_square_and_back_and_nothing_is_said_beside_it(fit):
    labels = np.tile(np.arange(12, dtype=np.uint8).repeat(8), (32, 1))  # [32, 96]: twelve columns of 8
    framing = frame(32, 96, 16, fit)
    square = frame_labels(labels, framing)
    back = framing.undo_labels(square)
    assert back.shape == labels.shape and square.shape == (16, 16)
    if fit == "crop":
        assert (
            (back[:, 32:64] == labels[:, 32:64]).all() and (back[:, :32] == 255).all() and (back[:, 64:] == 255).all()
        )
    else:
        assert (square[:5] == 255).all() and (square[10:] == 255).all() and (square[5:10] != 255).all()
        assert set(np.unique(back)) <= set(range(12))


def test_the_middle_of_a_photo_is_cropped_as_for_training():
    photo = np.zeros((20, 40, 3), np.uint8)
    photo[:, 10:30] = 200
    assert (CenterCrop(20, 40, 8).apply(photo) > 150).all()
    with pytest.raises(UsageError, match="--fit: expected one of letterbox, crop, got 'squeeze'"):
        frame(20, 40, 8, "squeeze")
