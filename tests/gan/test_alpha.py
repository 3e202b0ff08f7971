"""GANs with an alpha channel: trained, shown over a checkerboard, kept as they are, and taught over plain colours."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint
from gseg_cli.distill.pairs import annotated_pairs, make_pairs
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import Annotated, save_teacher
from gseg_cli.fewshot.segment_files import TABLE
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.framing import mask_of
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.inversion import drawn_samples
from gseg_cli.gan.inversion.square import read_square
from gseg_cli.gan.load import load_generator, save_gan
from gseg_cli.gan.networks import ops
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.sample import write_samples, ws_for_seeds
from gseg_cli.gan.training.augment import apply_packed, apply_transforms, draw_transforms, packed
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.data import has_transparent, load_images
from gseg_cli.gan.training.grow import grow, shrink
from gseg_cli.gan.training.stage import resume_gan_train, run_gan_train, run_or_resume_gan_train
from gseg_cli.gan.training.train import STATE, sample_grid
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_cli.gan.transparency import over_board, plain_colours
from gseg_cli.project import Project
from gseg_runtime.errors import ConfigError
from gseg_runtime.files import sha256_file
from tests import tiny

CPU = torch.device("cpu")
CONFIG = GanTrainConfig(
    resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=4, precision="fp32", r1_interval=2,
    pl_weight=2.0, pl_interval=3, kimg=0.048, alpha=True, held_out=4, augment="fixed", augment_p=0.5,
)  # fmt: skip


@pytest.fixture
def sprites(tmp_path):
    """Bright discs on nothing."""
    folder = tmp_path / "sprites"
    folder.mkdir()
    y, x = np.mgrid[:16, :16]
    for i in range(20):
        pixels = np.full((16, 16, 4), (255, 90, 200, 0), np.uint8)
        pixels[(y - 8) ** 2 + (x - 6 - i % 5) ** 2 < 20] = (220, 200 - 5 * i, 10, 255)
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
    return folder


@pytest.fixture
def gan(tmp_path):
    torch.manual_seed(0)
    config = replace(tiny.CONFIG, img_channels=4)
    generator = StyleGAN2(config).eval().requires_grad_(False)
    save_gan(tmp_path / "gan.safetensors", generator, Discriminator(config), {})
    return tmp_path / "gan.safetensors"


def test_alpha_is_a_fourth_channel_and_nothing_shines_through(sprites):
    images, found = load_images(sprites, 16, alpha=True)
    assert images.shape == (20, 4, 16, 16) and not found.unreadable
    assert images[0, :, 8, 6].tolist() == [220, 200, 10, 255]
    assert images[0, :, 0, 0].tolist() == [0, 0, 0, 0]  # not the pink that the file has there
    small, _ = load_images(sprites, 8, alpha=True)
    seen = small[:, 3] > 100
    assert (small[:, 2][seen] < 40).all()  # no fringe of it either


@pytest.mark.parametrize(("mode", "alpha"), [("RGB", 255), ("L", 255), ("LA", 128), ("P", 0)])
def test_every_kind_of_picture_has_its_alpha(sprites, mode, alpha):
    image = Image.new("RGBA", (16, 16), (200, 200, 200, 128))
    options = {"transparency": 0} if mode == "P" else {}
    picture = Image.new("P", (16, 16), 0) if mode == "P" else image.convert(mode)
    picture.save(sprites / "00.png", **options)
    images, found = load_images(sprites, 8, alpha=True)
    assert not found.unreadable and (images[0, 3] == alpha).all()


def test_a_letterbox_has_nothing_beside_the_photo(sprites):
    Image.new("RGB", (32, 16), (9, 9, 9)).save(sprites / "00.png")
    images, _ = load_images(sprites, 8, alpha=True, fit="letterbox")
    assert (images[0, :, :2] == 0).all() and (images[0, 3, 2:6] == 255).all()


def test_photos_are_turned_with_their_alpha(sprites):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(pixels)).save(sprites / "00.png", exif=exif)
    images, _ = load_images(sprites, 16, alpha=True)
    assert (images[0, 3, :8] == 255).all() and (images[0, 3, 8:] == 0).all()


def test_transparency_that_is_lost_is_said(sprites, tmp_path):
    assert has_transparent(sprites) and not has_transparent(tiny.write_photos(tmp_path / "photos"))
    said = []
    config = replace(CONFIG, alpha=False, kimg=0.004)
    run_gan_train(sprites, config, tmp_path / "runs", CPU, say=said.append)
    assert any("transparent in part; they are shown over black (--alpha" in line for line in said)


def test_a_gan_learns_what_is_transparent(sprites):
    images, _ = load_images(sprites, 8, alpha=True)
    config = replace(CONFIG, resolution=8, batch=8, pl_weight=0.0, augment="none", r1_interval=16, held_out=0)
    trainer = GanTrainer(config, images, CPU)
    for _ in range(150):
        trainer.step()
    drawn = trainer.G_ema.draw(trainer.G_ema.mapping(torch.randn(16, 16)))
    assert drawn.shape == (16, 4, 8, 8)
    assert drawn[:, 3, 4, 3:5].mean() > 0.5 and drawn[:, 3, :, 0].mean() < -0.5
    assert sample_grid(trainer.G_ema, CPU).shape == (48, 80, 3)


def test_a_resumed_training_with_alpha_takes_the_steps_of_an_uninterrupted_one(sprites, tmp_path):
    whole = run_gan_train(sprites, CONFIG, tmp_path / "whole", CPU)
    run_gan_train(sprites, replace(CONFIG, kimg=0.02), tmp_path / "stopped", CPU)
    stopped = resume_gan_train(sprites, {"kimg": CONFIG.kimg}, tmp_path / "stopped", CPU)
    assert whole.figures == stopped.figures
    for name in (STATE, "checkpoint.safetensors"):
        expected, actual = (load_checkpoint(trained.run / name)[0] for trained in (whole, stopped))
        assert all(torch.equal(value, actual[key]) for key, value in expected.items())


def test_augmentation_moves_alpha_and_recolours_the_rest_alone():
    images = torch.rand(6, 4, 16, 16) * 2 - 1
    torch.manual_seed(0)
    transforms = draw_transforms(6, 1.0)
    out = apply_transforms(images, transforms)
    torch.testing.assert_close(out[:, :3], apply_transforms(images[:, :3], transforms), rtol=0, atol=1e-5)
    still = replace(transforms, **{name: torch.zeros(6) for name in ("brightness", "luma_flip", "hue")})
    still = replace(still, contrast=torch.ones(6), saturation=torch.ones(6))
    alpha = apply_transforms(images[:, 3:].expand(-1, 3, -1, -1), still)[:, :1]
    torch.testing.assert_close(out[:, 3:], alpha, rtol=0, atol=1e-5)
    torch.testing.assert_close(apply_packed(images, packed(transforms, 16)), out, rtol=0, atol=5e-3)


@pytest.mark.parametrize("channels", [2, 4], ids=["grey", "colours"])
def test_a_gan_with_alpha_goes_on_with_alpha_at_any_size(sprites, tmp_path, channels):
    config = replace(tiny.CONFIG, img_channels=channels)
    path = tmp_path / "start.safetensors"
    save_gan(path, StyleGAN2(config), Discriminator(config), {})
    for resolution in (8, 16, 32):
        given = {"kimg": 0.008, "resolution": resolution, "batch": 4}
        trained = run_or_resume_gan_train(sprites, given, tmp_path / "runs", CPU, init_from=path)
        assert load_generator(trained.checkpoint).config.img_channels == channels
    plain = tiny.write_gan(tmp_path / "plain.safetensors", seed=0)
    with pytest.raises(ConfigError, match="a GAN without alpha"):
        run_or_resume_gan_train(sprites, {"alpha": True}, tmp_path / "runs", CPU, init_from=plain)


def test_growing_keeps_what_the_discriminator_says_of_alpha():
    torch.manual_seed(0)
    config = replace(tiny.CONFIG, img_channels=4, channel_base=512)
    G, D = StyleGAN2(config).requires_grad_(False), Discriminator(config).requires_grad_(False)
    _, new = grow(G, D)
    image = torch.rand(4, 4, 32, 32) * 2 - 1
    halved = ops.downsample2d(image, ops.resample_filter())
    torch.testing.assert_close(new(image), D(halved), rtol=1e-4, atol=1e-4)
    assert shrink(G, D)[1](image[:, :, :8, :8]).shape == (4, 1)


def test_a_photo_without_alpha_is_judged_as_opaque(gan):
    discriminator = Discriminator(replace(tiny.CONFIG, img_channels=4))
    photo = torch.rand(2, 3, 16, 16) * 2 - 1
    opaque = torch.cat([photo, torch.ones(2, 1, 16, 16)], dim=1)
    assert torch.equal(discriminator(photo), discriminator(opaque))


def test_samples_are_written_over_a_checkerboard_and_as_they_are(gan, tmp_path):
    generator = load_generator(gan)
    samples = write_samples(generator, gan, [3, 5], 1.0, tmp_path / "samples")
    drawn = to_uint8(generator.draw(torch.from_numpy(samples.ws))).numpy()
    for seed, expected in zip((3, 5), drawn, strict=True):
        with Image.open(samples.transparent_path(seed)) as image:
            assert image.mode == "RGBA"
            np.testing.assert_array_equal(np.asarray(image), expected)
        with Image.open(samples.image_path(seed)) as image:
            assert image.mode == "RGB"
    samples.image_path(3).unlink()
    write_samples(generator, gan, [3, 5, 7], 1.0, tmp_path / "samples")
    assert len(list((tmp_path / "samples" / "transparent").iterdir())) == 3
    write_samples(generator, gan, [1], 1.0, tmp_path / "samples", overwrite=True)
    assert [path.name for path in (tmp_path / "samples" / "transparent").iterdir()] == ["000001.png"]


@pytest.fixture
def two_photos(gan, tmp_path):
    """The same sample twice: with its alpha, and over the checkerboard."""
    samples = write_samples(load_generator(gan), gan, [3], 1.0, tmp_path / "samples")
    (tmp_path / "photos").mkdir()
    pixels = np.array(Image.open(samples.transparent_path(3)))
    board = to_uint8(over_board(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1))[0].numpy()
    Image.fromarray(pixels).save(tmp_path / "photos" / "alpha.png")
    Image.fromarray(board).save(tmp_path / "photos" / "board.png")
    return tmp_path / "photos"


@pytest.mark.parametrize("fit", ["letterbox", "crop"])
def test_a_photo_to_invert_lies_over_the_checkerboard_of_samples(two_photos, tmp_path, fit):
    squares = [read_square(two_photos / name, 16, fit, on_board=True)[0] for name in ("alpha.png", "board.png")]
    np.testing.assert_allclose(*(square.astype(int) for square in squares), atol=1)
    Image.new("RGBA", (8, 32)).save(tmp_path / "wide.png", exif=turned())
    square, framing = read_square(tmp_path / "wide.png", 16, fit, on_board=True)
    empty, plain = square[framing.window], read_square(tmp_path / "wide.png", 16, fit)[0]
    assert sorted(np.unique(empty)) == [179, 230] and (plain[framing.window] == 0).all()
    beside = ~mask_of(framing)
    assert beside.any() == (fit == "letterbox") and np.array_equal(square[beside], plain[beside])


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def test_a_photo_is_inverted_alike_with_its_alpha_and_over_the_checkerboard(gan, two_photos, tmp_path, monkeypatch):
    monkeypatch.setattr(drawn_samples, "MAX_SAMPLES", 256)
    generator = load_generator(gan)
    annotations = tiny.annotate(generator, [0, 1], tiny.brightness_labels(generator, [0, 1]))
    network = fit_teacher(generator, annotations, FewshotConfig(steps=3, num_heads=1))
    save_teacher(tmp_path / "teacher.safetensors", network, tiny.CLASSES, {"gan_sha256": sha256_file(gan)})
    how = ["--gan", str(gan), "--teacher", str(tmp_path / "teacher.safetensors"), "--steps", "2", "--device", "cpu"]
    assert main(["fewshot-segment", str(two_photos), "-o", str(tmp_path / "out"), *how]) == 0
    with (tmp_path / "out" / TABLE).open(newline="") as file:
        first, second = (float(row["error"]) for row in csv.DictReader(file))
    assert first == pytest.approx(second, abs=0.5)


def test_labelled_photos_are_imported_over_the_checkerboard(gan, two_photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(drawn_samples, "MAX_SAMPLES", 256)
    project = Project.create(tmp_path / "p", classes=tiny.CLASSES, gan=str(gan))
    (tmp_path / "drawn").mkdir()
    for name in ("alpha", "board"):
        Image.fromarray(np.eye(16, dtype=np.uint8)).save(tmp_path / "drawn" / f"{name}.png")
    how = ["--photos", str(two_photos), "--steps", "2", "--device", "cpu", "-C", str(project.dir), "--json"]
    assert main(["annotate-import", str(tmp_path / "drawn"), *how]) == 0
    first, second = json.loads(capsys.readouterr().out)["data"]["photos"]
    assert first["error"] == pytest.approx(second["error"], abs=0.5)


def test_a_student_sees_pictures_over_a_plain_colour_each(gan, tmp_path):
    generator = load_generator(gan)
    labels = tiny.brightness_labels(generator, [0, 1])
    annotations = tiny.annotate(generator, [0, 1], labels)
    teacher = fit_teacher(generator, annotations, FewshotConfig(steps=3, num_heads=1))
    pairs = make_pairs(generator, teacher, range(10, 14), tmp_path / "pairs", batch=3)
    drawn = generator.draw(ws_for_seeds(generator, range(10, 14), 1.0))
    alpha = (drawn[:, 3:] / 2 + 0.5).clamp(0, 1)
    expected = drawn[:, :3] * alpha + plain_colours(range(10, 14)) * (1 - alpha)
    assert (pairs.images.int() - to_uint8(expected).int()).abs().max() <= 1
    assert plain_colours([10, 11]).unique(dim=0).shape == (2, 3, 1, 1)
    taught = annotated_pairs(generator, Annotated(torch.from_numpy(annotations.ws), torch.from_numpy(labels)))
    assert taught.images.shape == (2, 16, 16, 3)
    board = to_uint8(generator.synthesis(torch.from_numpy(annotations.ws)))
    assert (taught.images.int() - board.int()).abs().max() > 20


def test_gan_train_and_info_speak_of_alpha(sprites, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--resolution", "8", "--channel-base", "64", "--kimg", "0.01", "--batch", "2", "--device", "cpu"]
    assert main(["gan-train", str(sprites), "--alpha", *small]) == 0
    assert "shown over black" not in capsys.readouterr().err
    assert main(["--json", "info", "runs/0001-gan/checkpoint.safetensors"]) == 0
    facts = json.loads(capsys.readouterr().out)["data"]
    assert facts["colours"] == 4 and facts["alpha"] is True
    assert main(["gan-train", str(sprites), "--alpha", "--arch", "dcgan", *small]) == 1
    assert "alpha: a dcgan has none" in capsys.readouterr().err
