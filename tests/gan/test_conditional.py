"""Conditional training: each photo's class goes with it, and the GAN draws what it is asked for."""

import json
import shutil
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.checkpoint import load_checkpoint, read_meta
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.metrics import generate
from gseg_cli.gan.training.photo_classes import count_labels, read_classes
from gseg_cli.gan.training.stage import resume_gan_train, run_gan_train, run_or_resume_gan_train
from gseg_cli.gan.training.train import STATE, sample_grid
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_runtime.errors import ConfigError, GsegError
from tests import tiny

CPU = torch.device("cpu")
CONFIG = GanTrainConfig(
    resolution=8, channel_base=128, channel_max=16, z_dim=16, batch=4, precision="fp32", r1_interval=2,
    pl_weight=2.0, pl_interval=3, kimg=0.048, num_classes=2, held_out=4, augment="fixed", augment_p=0.5,
)  # fmt: skip


@pytest.fixture
def by_folder(tmp_path):
    """Ten dark photos and ten bright ones."""
    draw = np.random.default_rng(0)
    for name, level in (("dark", 0), ("bright", 190)):
        (tmp_path / "photos" / name / "inner").mkdir(parents=True)
        for i in range(10):
            pixels = draw.integers(level, level + 60, (8, 8, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / ("inner" if i % 2 else "") / f"{i}.png")
    return tmp_path / "photos"


def listed(folder, labels):
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def labels_of(folder, bright=5):
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png"))
    return [[name, bright if name.startswith("bright") else 0] for name in names]


def pack(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return path


def test_classes_are_those_of_the_folders_by_their_names(by_folder, tmp_path):
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        for file in sorted(by_folder.rglob("*.png")):
            archive.add(file, str(file.relative_to(by_folder)))
    for source in (by_folder, pack(by_folder, tmp_path / "photos.zip"), tmp_path / "photos.tar"):
        classes = read_classes(source)
        assert classes.names == ("bright", "dark") and classes.indices.tolist() == [0] * 10 + [1] * 10
    assert str(classes) == "2 classes: 0 bright (10), 1 dark (10)"


def test_the_parts_of_a_data_set_are_no_classes(by_folder, tmp_path):
    """Photos of all parts are trained on, as they are without --conditional."""
    for part in ("train", "Val"):
        shutil.copytree(by_folder, tmp_path / "parted" / part)
    assert str(read_classes(tmp_path / "parted")) == "2 classes: 0 bright (20), 1 dark (20)"
    shutil.copytree(by_folder, tmp_path / "vehicles" / "train")
    shutil.copytree(by_folder, tmp_path / "vehicles" / "bus")
    assert read_classes(tmp_path / "vehicles").names == ("bus", "train")
    shutil.copytree(by_folder / "dark", tmp_path / "flat" / "test")
    shutil.copytree(by_folder / "bright", tmp_path / "flat" / "train", ignore=shutil.ignore_patterns("inner"))
    with pytest.raises(GsegError, match=r"10 photos without a class, test/0\.png for one"):
        read_classes(tmp_path / "flat")


def test_a_tar_of_the_folder_it_lies_in_has_the_folders_classes(by_folder, tmp_path):
    """`tar cf photos.tar .` puts ./ before each name."""
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(by_folder, arcname=".")
        assert "./dark/0.png" in tar.getnames()
    assert read_classes(tmp_path / "photos.tar").names == ("bright", "dark")


def test_a_folder_around_all_classes_is_none(by_folder, tmp_path):
    """`zip -r set.zip set` and `tar cf set.tar set` pack it with them; in it may be the parts of a data set."""
    for part in ("train", "val"):
        shutil.copytree(by_folder, tmp_path / "top" / "set" / part)
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        tar.add(by_folder, arcname="set")
    for source in (tmp_path / "top", pack(tmp_path / "top", tmp_path / "set.zip"), tmp_path / "set.tar"):
        assert read_classes(source).names == ("bright", "dark")
    (by_folder / "bright").rename(tmp_path / "bright")
    with pytest.raises(GsegError, match=r"expected photos of 2 to 16384 classes, got 1 \(dark\)"):
        read_classes(by_folder)


def test_a_list_of_classes_is_found_in_a_folder_around_all_photos(by_folder, tmp_path):
    shutil.copytree(listed(by_folder, labels_of(by_folder)), tmp_path / "top" / "set")
    for source in (tmp_path / "top", pack(tmp_path / "top", tmp_path / "set.zip")):
        classes = read_classes(source)
        assert classes.names is None and classes.indices.tolist() == [5] * 10 + [0] * 10
        assert count_labels(source) == 20


@pytest.mark.parametrize("top", [".", "", "set"])
def test_a_list_of_classes_is_found_in_a_tar_as_in_a_zip(by_folder, tmp_path, top):
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(listed(by_folder, labels_of(by_folder)), arcname=top)
        (by_folder / "dark" / "dataset.json").write_text("of another program")
        tar.add(by_folder / "dark" / "dataset.json", arcname=f"{top}/set/dark/dataset.json")
    classes = read_classes(tmp_path / "photos.tar")
    assert classes.names is None and classes.indices.tolist() == [5] * 10 + [0] * 10
    assert count_labels(tmp_path / "photos.tar") == 20
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(listed(by_folder, labels_of(by_folder)[1:]), arcname=top)
    with pytest.raises(GsegError, match=r"photos\.tar/\S*dataset\.json: gives 1 photo no class"):
        read_classes(tmp_path / "photos.tar")


def test_a_list_of_classes_that_is_damaged_is_an_error_and_not_passed_over(by_folder, tmp_path):
    path = pack(listed(by_folder, labels_of(by_folder)), tmp_path / "photos.zip")
    data = bytearray(path.read_bytes())
    data[data.find(b'"labels"')] ^= 1  # its checksum is then wrong
    path.write_bytes(data)
    with pytest.raises(GsegError, match=r"photos\.zip: dataset\.json cannot be read: Bad CRC-32"):
        read_classes(path)
    assert count_labels(path) == 0


def test_a_list_of_classes_goes_before_folders(by_folder, tmp_path):
    source = listed(by_folder, labels_of(by_folder)[::-1])
    for place in (source, pack(source, tmp_path / "photos.zip")):
        classes = read_classes(place)
        assert classes.num_classes == 6 and classes.names is None
        assert classes.indices.tolist() == [5] * 10 + [0] * 10


def test_photos_that_cannot_be_read_take_their_class_with_them(by_folder):
    (by_folder / "bright" / "0.png").write_bytes(b"none")
    assert read_classes(by_folder, {"bright/0.png"}).indices.tolist() == [0] * 9 + [1] * 10


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, r'expected "labels", a list, got None'),
        ({"a": 1}, 'expected "labels", a list'),
        ([["a.png", 10**12]], "expected a name and a class from 0 to 16383, got"),
        ([["a.png", True]], "expected a name and a class"),
        ([["a.png", [0.5, 0.5]]], "expected a name and a class"),
        ([["a.png", -1]], "expected a name and a class"),
        (["a.png"], "expected a name and a class"),
        ([["bright/0.png", 1]], r"gives 19 photos no class, bright/2\.png for one"),
    ],
)
def test_a_list_that_gives_no_classes_is_refused(by_folder, labels, message):
    with pytest.raises(GsegError, match=message) as caught:
        read_classes(listed(by_folder, labels))
    assert "dataset.json" in caught.value.message and caught.value.hint


def test_photos_without_classes_are_refused(by_folder, tmp_path):
    shutil.copy(by_folder / "dark" / "0.png", by_folder / "loose.png")
    with pytest.raises(GsegError, match=r"1 photo without a class, loose\.png for one"):
        read_classes(by_folder)
    with pytest.raises(GsegError, match=r"2 to 16384 classes, got 1 \(cats\)"):
        read_classes(tiny.write_photos(tmp_path / "one" / "cats").parent)
    (by_folder / "dataset.json").write_text("[" * 100_000)
    with pytest.raises(GsegError, match="not a list of classes"):
        read_classes(by_folder)


def images_and_classes():
    draw = torch.Generator().manual_seed(0)
    classes = torch.arange(40) % 2
    noise = torch.rand(40, 3, 8, 8, generator=draw) * 60
    return (noise + 190 * classes[:, None, None, None]).to(torch.uint8), classes


def test_a_gan_learns_which_class_is_which():
    images, classes = images_and_classes()
    config = replace(CONFIG, batch=8, pl_weight=0.0, augment="none", r1_interval=16, held_out=0)
    trainer = GanTrainer(config, images, CPU, classes=classes)
    for _ in range(150):
        trainer.step()
    dark, bright = (generate(trainer.G_ema, 8, CPU, torch.full([8], c)).float().mean() for c in (0, 1))
    assert bright > dark + 60


def test_the_discriminator_judges_a_photo_together_with_its_class():
    images, classes = images_and_classes()
    trainer = GanTrainer(CONFIG, images, CPU, classes=classes)
    for _ in range(4):
        trainer.step()
    logits = []
    for c in (0, 1):
        trainer.D.class_index = torch.full([4], c)
        logits.append(trainer.D(images[:4].float() / 127.5 - 1))
    assert not torch.allclose(*logits)


def test_photos_and_samples_are_judged_as_each_would_be_alone():
    images, classes = images_and_classes()
    trainer = GanTrainer(CONFIG, images, CPU, classes=classes)
    batches, of_each = list((images[:8].float() / 127.5 - 1).split(4)), list(classes[:8].flip(0).split(4))
    together = trainer._logits(of_each, batches)
    for batch, index, logits in zip(batches, of_each, together, strict=True):
        trainer.D.class_index = index
        torch.testing.assert_close(logits, trainer.D(batch))


def test_a_resumed_conditional_training_takes_the_steps_of_an_uninterrupted_one(by_folder, tmp_path):
    runs = [tmp_path / name for name in ("whole", "stopped")]
    whole = run_gan_train(by_folder, CONFIG, runs[0], CPU)
    run_gan_train(by_folder, replace(CONFIG, kimg=0.02), runs[1], CPU)
    stopped = resume_gan_train(by_folder, {"kimg": CONFIG.kimg}, runs[1], CPU)
    assert whole.figures == stopped.figures
    for name in (STATE, "checkpoint.safetensors"):
        expected, actual = (load_checkpoint(trained.run / name)[0] for trained in (whole, stopped))
        assert all(torch.equal(value, actual[key]) for key, value in expected.items())
    assert read_meta(stopped.checkpoint)["class_names"] == ["bright", "dark"]


def test_a_run_goes_on_with_its_classes_alone(by_folder, tmp_path):
    run_gan_train(by_folder, CONFIG, tmp_path / "runs", CPU)
    (by_folder / "dark" / "inner").rename(by_folder / "third")
    with pytest.raises(ConfigError, match="expected 2 classes of 20 photos, got 3 classes of 20 photos"):
        resume_gan_train(by_folder, {}, tmp_path / "runs", CPU)
    with pytest.raises(ConfigError, match="num_classes was 2 when this run started, now 3"):
        run_or_resume_gan_train(by_folder, {}, tmp_path / "runs", CPU, resume=True, conditional=True)


def test_classes_that_go_on_as_others_are_said(by_folder, tmp_path):
    """A folder for another class that comes first in order moves all after it."""
    first = run_gan_train(by_folder, CONFIG, tmp_path / "runs", CPU).checkpoint
    said = []
    how = {"init_from": first, "minutes": 0.0, "say": said.append}
    run_gan_train(by_folder, CONFIG, tmp_path / "more", CPU, **how)
    assert not any("go on as" in line for line in said)
    (by_folder / "dark").rename(by_folder / "blue")
    run_gan_train(by_folder, CONFIG, tmp_path / "more", CPU, **how)
    warning = (
        f"warning: {first}: classes go on as those of the same number: bright as blue, dark as bright (classes are"
    )
    assert any(line.startswith(warning) for line in said)


def test_a_conditional_gan_goes_on_with_as_many_classes(by_folder, tmp_path):
    first = run_gan_train(by_folder, CONFIG, tmp_path / "runs", CPU).checkpoint
    shared = {"runs_dir": tmp_path / "more", "device": CPU, "init_from": first}
    grown = run_or_resume_gan_train(by_folder, {"kimg": 0.008, "resolution": 16}, conditional=True, **shared)
    assert load_generator(grown.checkpoint, class_index=1).config.c_dim == 2
    with pytest.raises(ConfigError, match="conditional GAN with 2 classes, which goes on with --conditional alone"):
        run_or_resume_gan_train(by_folder, {}, **shared)
    (by_folder / "dark" / "inner").rename(by_folder / "third")
    with pytest.raises(ConfigError, match="a GAN of 2 classes, and the photos have 3"):
        run_or_resume_gan_train(by_folder, {}, conditional=True, **shared)
    plain = tiny.write_gan(tmp_path / "plain.safetensors", seed=0)
    with pytest.raises(ConfigError, match="a GAN of no classes, and the photos have 3") as caught:
        run_or_resume_gan_train(by_folder, {}, conditional=True, **{**shared, "init_from": plain})
    assert "--conditional" in caught.value.hint


def test_a_preview_has_a_class_in_each_row():
    images, classes = images_and_classes()
    trainer = GanTrainer(CONFIG, images, CPU, classes=classes)
    grid = sample_grid(trainer.G_ema, CPU)
    trainer.G_ema.class_index = 1
    expected = generate(trainer.G_ema, 20, CPU)[10:].permute(2, 0, 3, 1).reshape(8, 80, 3).numpy()
    np.testing.assert_array_equal(grid[8:16], expected)


def test_a_dcgan_has_no_classes():
    with pytest.raises(ConfigError, match="num_classes: a dcgan has none"):
        replace(CONFIG, arch="dcgan", pl_weight=0.0)


def test_gan_train_sample_and_info_agree_on_the_classes(by_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--resolution", "8", "--channel-base", "64", "--kimg", "0.01", "--batch", "2", "--device", "cpu"]
    assert main(["gan-train", str(by_folder), "--conditional", *small]) == 0
    assert "2 classes: 0 bright (10), 1 dark (10)" in capsys.readouterr().err
    gan = "runs/0001-gan/checkpoint.safetensors"
    assert main(["--json", "info", gan]) == 0
    facts = json.loads(capsys.readouterr().out)["data"]
    assert facts["num_classes"] == 2 and facts["class_names"] == ["bright", "dark"]
    assert main(["sample", "--gan", gan, "--seeds", "0-1", "--class", "1", "-o", "out"]) == 0
    assert main(["sample", "--gan", gan, "--seeds", "0-1", "-o", "none"]) == 2
    assert "a conditional GAN with 2 classes" in capsys.readouterr().err


def test_classes_that_have_other_names_when_a_run_goes_on_are_named(by_folder, tmp_path):
    run_gan_train(by_folder, CONFIG, tmp_path / "runs", CPU)
    (by_folder / "dark").rename(by_folder / "dim")
    said = []
    done = resume_gan_train(by_folder, {"kimg": 0.05}, tmp_path / "runs", CPU, say=said.append)
    assert f"warning: {by_folder}: class dark of this run is now called dim, and learned on as the same" in said
    (by_folder / "dim").rename(by_folder / "a")
    with pytest.raises(ConfigError, match="bright was class 0 when this run started, now it is class 1") as caught:
        resume_gan_train(by_folder, {"kimg": 0.06}, tmp_path / "runs", CPU)
    assert "order of their folders' names" in caught.value.hint
    assert read_meta(done.checkpoint)["class_names"] == ["bright", "dim"]


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_run_does_not_go_on_with_photos_that_changed_classes(by_folder, tmp_path, is_listed):
    """As many photos in as many classes; those of a list even have their old names."""
    labels = [[name, int(name.startswith("bright"))] for name, _ in labels_of(by_folder)]
    if is_listed:
        listed(by_folder, labels)
    run_gan_train(by_folder, CONFIG, tmp_path / "runs", CPU)
    resume_gan_train(by_folder, {"kimg": 0.05}, tmp_path / "runs", CPU)
    if is_listed:
        listed(by_folder, [[name, 1 - index] for name, index in labels])
    else:
        (by_folder / "dark" / "2.png").rename(by_folder / "bright" / "12.png")
        (by_folder / "bright" / "4.png").rename(by_folder / "dark" / "14.png")
    with pytest.raises(ConfigError, match="some photos are of other classes than when this run started"):
        resume_gan_train(by_folder, {"kimg": 0.06}, tmp_path / "runs", CPU)
