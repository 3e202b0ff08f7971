"""gseg fewshot-segment: masks of photos by inversion, resumable, with what one needs to judge them."""

import csv
import json

import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import save_teacher
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.inversion import drawn_samples as sampled
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.files import INCOMPLETE, sha256_file
from gseg_runtime.label_map import read_label_png
from tests.tiny import CLASSES, annotate, brightness_labels

SEEDS = [0, 1, 2, 3]


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    monkeypatch.setattr(sampled, "MAX_SAMPLES", 256)


@pytest.fixture(scope="module")
def teacher(tiny_gan, tmp_path_factory):
    generator = load_generator(tiny_gan)
    annotations = annotate(generator, SEEDS, brightness_labels(generator, SEEDS))
    network = fit_teacher(generator, annotations, FewshotConfig(model="mlp", steps=60, pixels=512))
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_teacher(path, network, CLASSES, {"gan_sha256": sha256_file(tiny_gan), "gan_class": None})
    return path


@pytest.fixture
def photos(tiny_gan, tmp_path):
    """Four images of the GAN at twice its size, one of them on its side by EXIF, one wide, one broken."""
    generator = load_generator(tiny_gan)
    images = to_uint8(generator.synthesis(ws_for_seeds(generator, range(9000, 9004), 1.0))).numpy()
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for i, image in enumerate(images):
        big = Image.fromarray(image).resize((32, 32), Image.Resampling.NEAREST)
        exif = Image.Exif()
        if i == 1:
            exif[0x0112], big = 6, big.resize((32, 24))  # displayed 24 wide, 32 high
        if i == 2:
            big = big.resize((48, 32))
        big.save(folder / ("sub" if i == 3 else "") / f"{i}.png", exif=exif)
    (folder / "bad.jpg").write_text("no picture")
    return folder


@pytest.fixture
def run(tiny_gan, teacher, photos, tmp_path):
    def run(*args, out=None):
        how = ["--gan", str(tiny_gan), "--teacher", str(teacher), "--steps", "8", "--device", "cpu"]
        return main(["fewshot-segment", str(photos), "-o", str(out or tmp_path / "out"), *how, *args])

    return run


def masks(folder):
    found = {p.relative_to(folder).as_posix(): read_label_png(p) for p in sorted(folder.rglob("[0-9].png"))}
    return found


def test_masks_reconstructions_and_figures_of_every_good_photo_and_the_bad_one_named(run, tmp_path, capsys):
    assert run("--json") == 3
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "partial" and "bad.jpg: not a picture" in answer["errors"][0]["message"]
    out = tmp_path / "out"
    found = masks(out)
    assert {name: labels.shape for name, labels in found.items()} == {
        "0.png": (32, 32), "1.png": (32, 24), "2.png": (32, 48), "sub/3.png": (32, 32),
    }  # fmt: skip
    assert all(labels.max() < len(CLASSES) for labels in found.values())
    with Image.open(out / "2.png") as mask:
        assert mask.mode == "P" and mask.getpalette()[3:6] == list(CLASSES.colors[1])
    with Image.open(out / "2.reconstruction.png") as image:
        assert image.mode == "RGB" and image.size == (16, 11)  # without the bars of the letterbox
    with (out / "gseg-fewshot.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["0.png", "1.png", "2.png", "sub/3.png"]
    assert all(0 < float(row["error"]) < 128 for row in rows)
    far = {row["image"] for row in rows if float(row["distance"]) > 1}
    assert far == {row["image"] for row in rows if row["far"] == "1"} and len(far) == len(answer["data"]["far"])
    assert (out / "gseg-sheet.png").is_file() and not (out / INCOMPLETE).exists()


def test_a_run_that_was_killed_goes_on_to_the_same_masks(run, tmp_path, monkeypatch):
    assert run(out=tmp_path / "whole") == 3
    from gseg_cli.gan.inversion.inverter import Inverter

    fit, calls = Inverter.fit, []

    def dies(self, *args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Inverter, "fit", dies)
        assert run("--batch", "1") == 130
    out = tmp_path / "out"
    first = {p: p.stat().st_mtime_ns for p in out.rglob("[0-9].png")}
    assert len(first) == 2
    next(iter(first)).unlink()
    with (out / "gseg-manifest.jsonl").open("a") as file:
        file.write('{"input": "half a li')
    assert run() == 1  # neither --resume nor --overwrite
    assert run("--resume") == 3
    kept = list(first)[1]
    assert kept.stat().st_mtime_ns == first[kept]
    whole, again = masks(tmp_path / "whole"), masks(out)
    assert whole.keys() == again.keys()
    for name, labels in whole.items():
        assert (labels != again[name]).mean() < 0.01
    before = {p: p.stat().st_mtime_ns for p in out.rglob("[0-9].png")}
    assert run("--resume") == 3 and before == {p: p.stat().st_mtime_ns for p in out.rglob("[0-9].png")}


def test_other_settings_do_not_go_on_with_these_masks(run, tmp_path, capsys):
    run()
    assert run("--resume", "--space", "w") == 1
    assert "cannot resume: these masks come from another model or other settings" in capsys.readouterr().err
    assert run("--overwrite", "--space", "w", "--fit", "crop") == 3
    labels = masks(tmp_path / "out")["2.png"]
    assert (labels[:, :8] == 255).all() and (labels[:, 40:] == 255).all() and (labels[:, 8:40] != 255).all()


def test_a_teacher_of_another_gan_and_a_slip_are_refused_before_anything_is_written(run, tmp_path, capsys):
    from tests.tiny import write_gan

    other = write_gan(tmp_path / "other.safetensors", seed=5)
    assert run("--gan", str(other)) == 1
    assert "teacher.safetensors: was trained on the features of GAN" in capsys.readouterr().err
    assert run("--space", "z") == 2 and run("--fit", "squeeze") == 2
    assert not (tmp_path / "out").exists()


def test_resuming_what_is_done_draws_no_samples(run, photos, tmp_path, monkeypatch, capsys):
    (photos / "bad.jpg").unlink()
    assert run() == 0
    report = json.loads((tmp_path / "out" / "gseg-report.json").read_text())
    capsys.readouterr()
    monkeypatch.setattr("gseg_cli.gan.inversion.inverter.draw_samples", lambda *_: pytest.fail("drew samples"))
    assert run("--resume") == 0
    assert "0 masks, 4 were there already" in capsys.readouterr().out
    after = json.loads((tmp_path / "out" / "gseg-report.json").read_text())
    assert after["skipped"] == 4 and after["far"] == report["far"] and after["made_by"] == report["made_by"]


def test_what_is_wrong_with_the_folder_is_said_before_samples_are_drawn(run, photos, tmp_path, monkeypatch, capsys):
    assert run() == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    monkeypatch.setattr("gseg_cli.gan.inversion.inverter.draw_samples", lambda *_: pytest.fail("drew samples"))
    for args, out, message in (
        ([], "out", "not empty; masks need an empty folder"),
        (["--overwrite"], "mine", "not written by gseg, so it stays as it is"),
        (["--resume", "--space", "w"], "out", "cannot resume"),
        (["--resume", "--full-names"], "out", "without --full-names"),
        ([], "photos/masks", "the output is inside the input"),
    ):
        capsys.readouterr()
        assert run(*args, out=tmp_path / out) == 1, args
        assert message in capsys.readouterr().err
    assert run("--overwrite", "--resume") == 2
    (tmp_path / "out" / "notes.txt").write_text("mine")
    assert run("--overwrite") == 1
    assert "holds 1 file that gseg did not write" in capsys.readouterr().err
    assert not (photos / "masks").exists()
