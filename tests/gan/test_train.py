"""Training a GAN: it can be stopped and resumed without a trace, and never goes on in silence when it has failed."""

import json
import math
import os
import shutil
import signal
import sys
import zipfile
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.checkpoint import load_checkpoint, read_meta, save_checkpoint
from gseg_cli.device import cpu_has_bf16
from gseg_cli.distill.config import WEIGHTS
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.training import photo_store, stage
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.data import load_images
from gseg_cli.gan.training.stage import resume_gan_train, run_gan_train, run_or_resume_gan_train
from gseg_cli.gan.training.train import STATE, train_gan
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_cli.interruption import Interrupted
from gseg_cli.runs import METRICS, Run, open_run
from gseg_runtime.errors import ConfigError, GsegError, ProjectError
from gseg_runtime.files import read_json, write_json
from gseg_runtime.pip_hint import install
from tests import tiny

CPU = torch.device("cpu")
# Every kind of step comes within 12 of them: R1 every second, path length every third.
CONFIG = GanTrainConfig(
    resolution=16, channel_base=128, channel_max=16, z_dim=16, batch=4, precision="fp32",
    r1_interval=2, pl_weight=2.0, pl_interval=3, kimg=0.048,
)  # fmt: skip


@pytest.fixture(scope="module")
def images():
    """Smooth random pictures, uint8 [32, 3, 16, 16]."""
    coarse = torch.rand(32, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return (torch.nn.functional.interpolate(coarse, size=16, mode="bilinear") * 255).to(torch.uint8)


@pytest.fixture(scope="module")
def photos(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for i, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def train(images, config, tmp_path, **options):
    run = open_run(tmp_path, "gan", {})
    train_gan(images, config, run, CPU, **options)
    return run


def losses(run):
    lines = (run.dir / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {row["step"]: {k: v for k, v in row.items() if k not in ("step", "wall_s", "s_per_kimg")} for row in rows}


@pytest.mark.parametrize("arch", ["stylegan2", "dcgan"])
def test_a_resumed_training_takes_the_steps_of_an_uninterrupted_one(images, tmp_path, arch):
    config = replace(CONFIG, arch=arch, pl_weight=CONFIG.pl_weight if arch == "stylegan2" else 0.0)
    whole = train(images, config, tmp_path)
    stopped = train(images, replace(config, kimg=0.02), tmp_path)
    train_gan(images, config, stopped, CPU, resume=True)
    assert losses(whole)[48] == losses(stopped)[48] and list(losses(stopped)) == [20, 48]
    for name in (STATE, "checkpoint.safetensors"):
        expected, actual = (load_checkpoint(run.dir / name)[0] for run in (whole, stopped))
        for key, value in expected.items():
            assert torch.equal(value, actual[key]), f"{name}: {key}"


def test_training_changes_both_networks_and_averages_the_generator(images, tmp_path):
    trainer = GanTrainer(CONFIG, images, CPU)
    before = {key: value.clone() for key, value in trainer.state().items()}
    for _ in range(12):
        trainer.step()
    after = trainer.state()
    unchanged = {key for key, value in before.items() if torch.equal(value, after[key])}
    assert all("noise_const" in key or "resample_filter" in key for key in unchanged - {"augment_p", "signs"})
    for key in (key for key in before if key.startswith("G.") and key.endswith("weight")):
        moved = (after[key] - before[key]).norm()
        assert 0 < (after["G_ema." + key[2:]] - before[key]).norm() < moved or moved < 1e-4, key


def test_the_default_precision_trains(images, tmp_path):
    run = train(images, replace(CONFIG, precision="auto"), tmp_path)
    assert all(np.isfinite(list(losses(run)[48].values())))
    generator = load_generator(run.checkpoint)
    assert generator.compute_dtype == torch.float32
    assert torch.isfinite(generator.synthesis(generator.mapping(torch.randn(4, 16)))).all()


@pytest.mark.skipif(not cpu_has_bf16(), reason="this processor has no bfloat16")
def test_bfloat16_is_the_default_where_the_processor_has_it(images):
    trainer = GanTrainer(replace(CONFIG, precision="auto"), images, CPU)
    assert trainer.G.compute_dtype == trainer.D.compute_dtype == torch.bfloat16
    assert trainer.G_ema.compute_dtype == torch.float32  # what is saved and sampled


def test_a_diverged_loss_is_an_error_and_leaves_the_last_checkpoint(images, tmp_path):
    run = train(images, replace(CONFIG, kimg=0.004), tmp_path)
    good = run.checkpoint.read_bytes()
    for change in ({"r1_gamma": math.inf, "r1_interval": 1, "kimg": 0.004}, {"lr": 1e20, "kimg": 0.08}):
        with pytest.raises(GsegError, match=r"diverged after \d+ images") as caught:
            train_gan(images, replace(CONFIG, **change), run, CPU)
        assert "--lr" in caught.value.hint and run.checkpoint.read_bytes() == good


def test_a_run_describes_itself(images, tmp_path):
    first = train(images, replace(CONFIG, kimg=0.004), tmp_path)
    run = train(images, replace(CONFIG, kimg=0.004), tmp_path, init_from=first.checkpoint)
    meta = read_meta(run.checkpoint)
    assert (meta["kind"], meta["num_images"], meta["trained"]["num_photos"]) == ("stylegan2", 4, 32)
    assert meta["config"]["img_resolution"] == 16 and meta["trained"]["lr"] == CONFIG.lr
    assert [parent["path"] for parent in meta["parents"]] == [str(first.checkpoint)]
    with Image.open(run.dir / "previews" / "fakes-00000004.png") as preview:
        assert preview.size == (160, 96)


def test_training_goes_on_from_another_gan(images, tmp_path):
    first = train(images, CONFIG, tmp_path)
    trainer = GanTrainer(replace(CONFIG, channel_base=64), images, CPU, init_from=first.checkpoint)
    z = torch.randn(2, 16)
    image, expected = (net.synthesis(net.mapping(z)) for net in (trainer.G_ema, load_generator(first.checkpoint)))
    torch.testing.assert_close(image, expected, rtol=0, atol=1e-5)
    with pytest.raises(ConfigError, match="a GAN of 16 px cannot train at 12 px"):
        GanTrainer(CONFIG, images[:, :, :12, :12], CPU, init_from=first.checkpoint)


def test_ctrl_c_saves_what_was_trained_and_resume_goes_on_as_if_it_had_not_been(
    images, tmp_path, hears_ctrl_c, monkeypatch
):
    whole, stopped = train(images, CONFIG, tmp_path), open_run(tmp_path, "gan", {})
    monkeypatch.setattr("gseg_cli.gan.training.train.REPORT_STEPS", 5)
    with pytest.raises(Interrupted):
        train_gan(images, CONFIG, stopped, CPU, on_step=lambda step: signal.raise_signal(signal.SIGINT))
    assert read_meta(stopped.checkpoint)["num_images"] == 5 * CONFIG.batch
    assert len(list((stopped.dir / "previews").iterdir())) == 1
    train_gan(images, CONFIG, stopped, CPU, resume=True)
    expected, actual = (load_checkpoint(run.dir / STATE)[0] for run in (whole, stopped))
    assert all(torch.equal(actual[key], value) for key, value in expected.items())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_gan_train_says_at_its_end_that_it_can_be_gone_on_with(
    photos, tmp_path, hears_ctrl_c, monkeypatch, capsys, how
):
    call = ["gan-train", str(photos), "--resolution", "8", "--kimg", "0.04", "--runs", str(tmp_path)]
    with monkeypatch.context() as patch:
        patch.setattr(GanTrainer, "step", after(lambda: press_twice(how)))  # as launchers pass signals on
        assert main(call) == 130
    assert capsys.readouterr().err.endswith(
        "error: interrupted\nhint: what was trained is saved: --resume goes on from there\n"
    )
    assert main([*call, "--resume"]) == 0


def test_a_second_ctrl_c_does_not_wait(photos, tmp_path, hears_ctrl_c, monkeypatch, capsys):
    monkeypatch.setattr("gseg_cli.interruption.ONCE_S", 0.0)
    monkeypatch.setattr(GanTrainer, "step", after(lambda: press_twice(signal.SIGINT)))
    assert main(["gan-train", str(photos), "--resolution", "8", "--kimg", "0.04", "--runs", str(tmp_path)]) == 130
    assert capsys.readouterr().err.endswith("error: interrupted\n") and not list(tmp_path.glob("*/" + STATE))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def press_twice(how):
    signal.raise_signal(how)
    signal.raise_signal(how)


def after(action):
    """A training's step with something before it."""
    step = GanTrainer.step

    def patched(trainer):
        action()
        return step(trainer)

    return patched


def test_resume_goes_on_with_the_newest_run(photos, tmp_path):
    run_gan_train(photos, CONFIG, tmp_path, CPU)
    first = run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0)
    assert first.num_images == 4
    again = resume_gan_train(photos, {}, tmp_path, CPU)
    assert (again.run, again.num_images, again.num_photos) == (first.run, 48, 32)
    done = resume_gan_train(photos, {}, tmp_path, CPU)
    assert done.num_images == 48 and len(list(tmp_path.iterdir())) == 2
    longer = resume_gan_train(photos, {"kimg": 0.06, "lr": CONFIG.lr}, tmp_path, CPU)
    assert longer.num_images == 60


@pytest.mark.parametrize(
    ("change", "start", "message"),
    [
        ({"held_out": 32}, None, "held_out: expected fewer than the 32 photos, got 32"),
        ({"precision": "fp16"}, None, "fp16 needs a CUDA device"),
        ({"discriminator": "projected"}, None, "EfficientNet-Lite0 are not installed"),
        ({"resolution": 32, "channel_base": 256}, "dcgan", "a GAN of 16 px cannot train at 32 px"),
    ],
)
def test_what_cannot_be_trained_leaves_no_run_to_stumble_over(
    photos, images, tmp_path, monkeypatch, change, start, message
):
    """--resume takes the newest."""
    monkeypatch.setitem(sys.modules, WEIGHTS, None)
    if start:
        start = train(images, replace(CONFIG, arch=start, pl_weight=0.0, kimg=0.004), tmp_path / "start").checkpoint
    with pytest.raises(GsegError, match=message):
        run_gan_train(photos, replace(CONFIG, **change), tmp_path / "runs", CPU, init_from=start)
    assert not (tmp_path / "runs").exists()


def test_a_run_that_still_trains_is_not_resumed_beside_it(photos, tmp_path):
    """Nor called stopped, with the advice to delete it, while it has saved nothing yet."""
    tried = []

    def resume(step):
        tried.append(step)
        with pytest.raises(GsegError, match="0001-gan: another process is training in this run"):
            resume_gan_train(photos, {}, tmp_path, CPU)

    first = run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0, on_step=resume)
    resume_gan_train(photos, {"kimg": CONFIG.kimg}, tmp_path, CPU, on_step=resume)
    assert len(tried) >= 1 and first.num_images == 4


def test_resume_does_not_pass_over_a_run_that_saved_nothing(photos, tmp_path):
    run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0)
    killed = open_run(tmp_path, "gan", {})
    with pytest.raises(ProjectError, match=f"{killed.dir.name}: was stopped before its first snapshot") as caught:
        resume_gan_train(photos, {}, tmp_path, CPU)
    assert "start again" in caught.value.hint


@pytest.mark.parametrize("change", [{"lr": 0.1}, {"mirror": False}, {"arch": "dcgan"}, {"crop": [0, 0, 8, 8]}])
def test_resume_with_other_options_is_refused_by_name(photos, tmp_path, change):
    run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0)
    (name,) = change
    with pytest.raises(ConfigError, match=f"{name} was .* when this run started") as caught:
        resume_gan_train(photos, change, tmp_path, CPU)
    assert "resume with the same options" in caught.value.hint


def test_resume_with_other_photos_is_refused(photos, tmp_path):
    run_gan_train(photos, CONFIG, tmp_path / "runs", CPU, minutes=0.0)
    with pytest.raises(ConfigError, match=r"started with 32 photos, .* now has 20"):
        resume_gan_train(tiny.write_photos(tmp_path / "photos"), {}, tmp_path / "runs", CPU)


def test_resume_says_that_the_photos_are_others_though_they_are_as_many(photos, tmp_path):
    run_gan_train(photos, CONFIG, tmp_path / "runs", CPU, minutes=0.0)
    said = []
    resume_gan_train(photos, {}, tmp_path / "runs", CPU, minutes=0.0, say=said.append)
    assert not any("other photos" in line for line in said)
    first = min(photos.iterdir())
    first.rename(first.with_name("zz.png"))
    resume_gan_train(photos, {}, tmp_path / "runs", CPU, minutes=0.0, say=said.append)
    assert any(line.startswith(f"warning: {photos}: other photos than when this run started") for line in said)


def test_a_run_that_began_with_another_gan_is_resumed_without_it(photos, tmp_path):
    first = run_gan_train(photos, replace(CONFIG, channel_base=64), tmp_path / "first", CPU, minutes=0.0)
    run_gan_train(photos, CONFIG, tmp_path / "runs", CPU, init_from=first.checkpoint, minutes=0.0)
    first.checkpoint.unlink()
    again = resume_gan_train(photos, {}, tmp_path / "runs", CPU, minutes=0.0)
    meta = read_meta(again.checkpoint)
    assert again.num_images == 8 and meta["config"]["channel_base"] == 64
    assert [parent["path"] for parent in meta["parents"]] == [str(first.checkpoint)]


def test_a_run_from_before_there_was_augmentation_goes_on_as_it_was(photos, tmp_path):
    run = run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0).run
    config = read_json(run / "config.json")
    for key in ("mapping_layers", "microbatch", "augment", "augment_p", "ada_target", "ada_kimg", "held_out", "fit"):
        del config["config"][key]
    write_json(run / "config.json", config)
    tensors, meta = load_checkpoint(run / STATE)
    save_checkpoint(run / STATE, {k: v for k, v in tensors.items() if k not in ("augment_p", "signs")}, meta)
    assert resume_gan_train(photos, {"lr": CONFIG.lr}, tmp_path, CPU).num_images == 48
    assert losses(Run(run))[48] == losses(train_photos(photos, tmp_path / "whole"))[48]


def train_photos(photos, runs):
    return Run(run_gan_train(photos, CONFIG, runs, CPU).run)


def test_trainings_that_begin_at_once_do_not_mix_their_photos(photos, tmp_path, monkeypatch):
    others, runs, mine = tiny.write_photos(tmp_path / "others"), tmp_path / "runs", load_images(photos, 16)[0]

    def load_while_another_begins(source, *args, **options):
        loaded = load_images(source, *args, **options)
        if source == photos:
            run_gan_train(others, CONFIG, runs, CPU, minutes=0.0)
        return loaded

    monkeypatch.setattr(photo_store, "needs_store", lambda *args: True)
    monkeypatch.setattr(photo_store, "load_images", load_while_another_begins)
    trained = []
    monkeypatch.setattr(
        stage, "train_gan", lambda images, *args, **how: trained.append(images) or train_gan(images, *args, **how)
    )
    run_gan_train(photos, CONFIG, runs, CPU, minutes=0.0)
    assert torch.equal(trained[1], mine) and len(trained[0]) == 20
    assert sorted(path.name for path in runs.iterdir()) == ["0001-gan", "0002-gan"]


def test_the_photos_of_a_killed_training_are_removed_and_those_of_a_living_one_are_not(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(photo_store, "needs_store", lambda *args: True)
    killed, living = (tmp_path / f"{photo_store.STORE}{name}.npy" for name in ("killed", "living"))
    for store in (killed, living):
        store.touch()
    os.utime(killed, (0, 0))
    run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0)
    assert sorted(tmp_path.iterdir()) == [living, tmp_path / "0001-gan"]


def test_ctrl_c_while_photos_are_read_leaves_nothing_behind(photos, tmp_path, monkeypatch):
    def interrupted(*args, store, **options):
        store.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(photo_store, "needs_store", lambda *args: True)
    monkeypatch.setattr(photo_store, "load_images", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_gan_train(photos, CONFIG, tmp_path, CPU)
    assert not list(tmp_path.iterdir())


def test_resume_without_a_run_says_so(photos, tmp_path):
    with pytest.raises(ProjectError, match="no gan run with a saved state") as caught:
        resume_gan_train(photos, {}, tmp_path, CPU)
    assert "--resume" in caught.value.hint and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resolution", "48"], "expected a power of two, 8 or more, got 48"),
        (["--batch", "8", "--microbatch", "3"], "expected a divisor of the batch of 8, got 3"),
    ],
)
def test_the_command_refuses_what_cannot_be_trained_before_it_begins(photos, tmp_path, capsys, options, message):
    code = main(["gan-train", str(photos), "--runs", str(tmp_path / "runs"), "--device", "cpu", *options])
    assert code == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_the_command_starts_from_the_toy_faces_unless_it_is_told_not_to(photos, tmp_path, capsys):
    def call(runs, *more):
        sizes = ["--batch", "2", "--held-out", "0", "--kimg", "0.002"]
        return main(["gan-train", str(photos), "--runs", str(tmp_path / runs), "--device", "cpu", *sizes, *more])

    def parents(runs):
        return [parent["path"] for parent in read_meta(tmp_path / runs / "0001-gan/checkpoint.safetensors")["parents"]]

    assert call("usual") == 0 and parents("usual") == [str(Builtin(SMALL).start)]
    assert "goes on from the toy faces of gseg, which learns sooner; --init-from none" in capsys.readouterr().err
    assert call("usual", "--resume", "--kimg", "0.004") == 0
    assert call("usual", "--resume", "--init-from", "none") == 1 and "init_from was" in capsys.readouterr().err
    assert call("anew", "--init-from", "none") == 0 and parents("anew") == []
    assert call("no", "--init-from", "nil") == 1 and "--init-from: no such file: nil" in capsys.readouterr().err


def test_without_matplotlib_nothing_is_trained_that_could_not_be_drawn(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for resume in ([], ["--resume"]):
        code = main(["gan-train", str(photos), "--runs", str(tmp_path / "runs"), "--device", "cpu", *resume])
        assert code == 1 and install("charts") in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_photos_held_out_are_measured_against_and_never_trained_on(images, tmp_path):
    run = train(images, replace(CONFIG, held_out=8), tmp_path)
    figures = read_meta(run.checkpoint)["figures"]
    assert figures["swd"] > 0 and "held_out_sign" in figures
    trainer = GanTrainer(replace(CONFIG, held_out=8), images, CPU)
    assert sorted(torch.cat([trainer.rows, trainer.held_out]).tolist()) == list(range(32))
    assert trainer.held_out.tolist() == list(range(0, 32, 4))
    with Image.open(run.dir / "curves.png") as curves:
        assert curves.height > curves.width / 2 and curves.info["Software"] == "gseg"  # three panels


def test_photos_held_out_that_are_trained_on_as_copies_are_spoken_of(tmp_path):
    folder, runs, said = tiny.write_photos(tmp_path / "photos"), tmp_path / "runs", []
    config = replace(CONFIG, held_out=2)
    run_gan_train(folder, config, runs, CPU, minutes=0.0, say=said.append)
    shutil.copyfile(folder / "00.png", folder / "01.png")  # the first of all is held out
    shutil.copyfile(folder / "04.png", folder / "05.png")
    run_gan_train(folder, replace(CONFIG, held_out=0), runs, CPU, minutes=0.0, say=said.append)
    assert not any("copy" in line for line in said)
    run_gan_train(folder, config, runs, CPU, minutes=0.0, say=said.append)
    (warning,) = [line for line in said if "copy" in line]
    assert warning.startswith("warning: 1 held-out photo of 2 is a copy of photos that are trained on: ")


def test_the_discriminator_that_memorises_is_spoken_of(images, tmp_path, monkeypatch):
    figures = {"overfit": 0.7, "held_out_sign": -1.0}
    monkeypatch.setattr("gseg_cli.gan.training.train.overfit", lambda *args: figures)
    said = []
    run = train(images, replace(CONFIG, held_out=8, kimg=0.004), tmp_path, say=said.append)
    assert len(said) == 1 and "knows its photos by heart" in said[0] and "70%" in said[0]
    assert "by heart" in (run.dir / "log.txt").read_text()


def test_steps_without_a_doubt_are_spoken_of_once(images, tmp_path):
    from gseg_cli.gan.training.train import _Session

    said = []
    session = _Session(GanTrainer(CONFIG, images, CPU), open_run(tmp_path, "gan", {}), {}, said.append, print, None)
    for loss in [0.01] * 49 + [0.5] + [0.01] * 120:
        session._watch_balance({"loss_D": loss})
    assert len(said) == 1 and "the generator no longer learns" in said[0]


EDITED_CONFIGS = {
    "a list": ([], "expected config and parents"),
    "no parents": ({"config": asdict(CONFIG)}, "expected config and parents"),
    "a parent that is text": ({"config": asdict(CONFIG), "parents": ["gan"]}, "expected config and parents"),
    "text for a number": ({"batch": "4"}, "batch: expected a whole number, got '4'"),
    "text for a length": ({"kimg": "long"}, "kimg: expected a number, got 'long'"),
    "a number for yes": ({"mirror": 1}, "mirror: expected true or false, got 1"),
    "a crop of two": ({"crop": [0, 4]}, r"crop: expected 4 numbers or null, got \[0, 4\]"),
    "no batch": ({"batch": 0}, "batch: expected 1 or more, got 0"),
    "a negative length": ({"kimg": -1.0}, "kimg: expected 0 or more, got -1.0"),
    "more than all": ({"style_mixing": 1.5}, "style_mixing: expected 0 to 1, got 1.5"),
    "another fit": ({"fit": "squeeze"}, "fit: expected one of crop, letterbox"),
}


@pytest.mark.parametrize(("content", "message"), EDITED_CONFIGS.values(), ids=EDITED_CONFIGS)
def test_a_config_that_was_edited_is_an_error_that_names_the_file(photos, tmp_path, content, message):
    run = Run(run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0).run)
    whole = read_json(run.config)
    is_whole = isinstance(content, list) or "config" in content
    write_json(run.config, content if is_whole else {**whole, "config": {**whole["config"], **content}})
    with pytest.raises(ConfigError, match=message) as caught:
        resume_gan_train(photos, {}, tmp_path, CPU, minutes=0.0)
    assert caught.value.message.startswith(f"{run.config}: ") and "put it back" in caught.value.hint


DAMAGED_METRICS = [
    b"\xff\xfe\x00}\n",
    b'{"loss_D": 1.0}\n',
    b'{"step": "4"}\n',
    b'[4, "}"]}\n',
    b'{"step": 4, "swd": "few"}\n',
]


@pytest.mark.parametrize("line", DAMAGED_METRICS)
def test_metrics_that_are_damaged_are_an_error_that_names_the_file_before_anything_is_trained(photos, tmp_path, line):
    run = Run(run_gan_train(photos, CONFIG, tmp_path, CPU, minutes=0.0).run)
    with (run.dir / METRICS).open("ab") as file:
        file.write(line)
    with pytest.raises(GsegError, match="expected lines of step and figures") as caught:
        resume_gan_train(photos, {}, tmp_path, CPU)
    assert caught.value.message.startswith(f"{run.dir / METRICS}: ") and "take that line out" in caught.value.hint
    (run.dir / METRICS).unlink()
    assert resume_gan_train(photos, {}, tmp_path, CPU).num_images == 48


def test_too_few_photos_are_refused_before_anything_else_is_tried(photos, tmp_path):
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photos.iterdir())[:15]:
        shutil.copy(path, few)
    said = []
    with pytest.raises(GsegError, match="few: expected at least 16 photos, got 15"):
        run_or_resume_gan_train(few, {}, tmp_path / "runs", CPU, trials=tmp_path / "trials.json", say=said.append)
    assert not said and not (tmp_path / "trials.json").exists()


def test_what_is_in_a_zip_is_read_once(photos, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in photos.iterdir():
            archive.write(path, path.name)
    opened, really = [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: opened.append(args) or really(*args))
    given = {name: value for name, value in asdict(CONFIG).items() if value is not None}
    run_or_resume_gan_train(tmp_path / "photos.zip", given, tmp_path / "runs", CPU, minutes=0.0)
    assert len(opened) == 1


def test_metrics_after_the_last_snapshot_are_forgotten(tmp_path):
    run = open_run(tmp_path, "gan", {})
    for step in (160, 320, 480):
        run.metric(step, loss_D=1.0)
    with (run.dir / "metrics.jsonl").open("a") as file:
        file.write('{"step": 640, "lo')  # killed while it wrote
    run.forget_after(320)
    assert list(losses(run)) == [160, 320]
