"""From a checkpoint or a model to files: each proven before it is there, and nothing of it there otherwise."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.student import load_student
from gseg_cli.info import describe
from gseg_export.export import Options, export, export_model
from gseg_export.graph import read_graph
from gseg_export.parity import Check
from gseg_export.source import from_model, run_onnx
from gseg_export.to_onnx import from_network, label_with
from gseg_export.verification_images import Pictures, clouds, enough_photos, held_out_pairs
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import read_label_png
from tests.export.student import CLASSES, SIZE, plain_card


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_export_agrees_with_pytorch_also_on_pictures_it_was_not_verified_on(
    model: Path, checkpoint: Path, exported: dict
) -> None:
    net, _, _ = load_student(checkpoint)
    noise = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE, 3), dtype=np.uint8)
    got = run_onnx(model.read_bytes(), model)
    assert (label_with(net)(noise) == got(noise)).mean() >= 0.9999
    assert exported.label_agreement >= 0.9999
    assert (exported.proof.judge, exported.proof.verified_on, exported.proof.num_verified) == (
        "PyTorch",
        "held-out pairs",
        5,
    )
    assert exported.sha256 == sha256_file(model)


def test_an_export_that_loses_a_small_class_is_refused_though_nearly_all_pixels_agree(tmp_path: Path) -> None:
    """A scratch of one pixel in a hundred, which eight bits would not see."""
    scratch = np.zeros((1, SIZE, SIZE), np.uint8)
    scratch[:, 0, :10] = 3
    pictures = Pictures(np.zeros((8, SIZE, SIZE, 3), np.uint8), "cloud")
    check = Check(lambda images: scratch.repeat(len(images), axis=0), "PyTorch", pictures)
    card = replace(plain_card(), precision="int8")
    assert check.passed(check.expected, card, tmp_path).quality["label_agreement"] == 1
    with pytest.raises(GsegError, match=r"other pixels as ear, left than PyTorch does, IoU below 0\.5"):
        check.passed(lambda images: np.zeros((len(images), SIZE, SIZE), np.uint8), card, tmp_path)


def test_masks_of_labelled_photos_are_no_photos_to_verify_on(tmp_path: Path) -> None:
    for name in ("images/a.jpg", "masks/a.png", "masks/images.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(tmp_path / name)
    assert enough_photos(tmp_path) == [tmp_path / "images/a.jpg"]
    assert len(enough_photos(tmp_path / "masks")) == 2


def test_the_agreement_is_the_share_of_equal_pixels(model: Path, tmp_path: Path) -> None:
    pictures = clouds(size=SIZE, count=11)
    label = run_onnx(model.read_bytes(), model)
    ones = Check(lambda images: np.ones(images.shape[:3], np.uint8), "somebody", pictures)
    share = (label(pictures.images) == 1).mean()
    with pytest.raises(GsegError, match=f"labels {share:.6f} of the pixels of 11 made-up pictures"):
        ones.passed(label, plain_card(), tmp_path)


class Drifting(torch.nn.Module):
    """Answers otherwise once it is traced: what a broken exporter would do."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        brighter = image + (2.0 if torch.compiler.is_compiling() else 0.0)
        return torch.cat([brighter, -brighter], dim=1)


def test_an_export_that_labels_otherwise_is_not_written(tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    out.write_text("the model of yesterday")
    source = from_network(Drifting(), plain_card())
    options = Options(overwrite=True, triton=tmp_path / "repository")
    with pytest.raises(GsegError, match=r"model\.onnx: not written: it labels 0\.\d+ .* as PyTorch does, .* 0\.9999"):
        export(source, out, options)
    assert out.read_text() == "the model of yesterday"
    assert list(tmp_path.iterdir()) == [out]


def test_eight_bits_that_lose_too_much_are_not_written(model: Path, tmp_path: Path) -> None:
    """Calibrated on black pictures, every range is wrong."""
    for name in ("a.png", "b.png"):
        Image.new("RGB", (SIZE, SIZE)).save(tmp_path / name)
    options = Options(precision="int8", calibration=tmp_path, held_out=clouds(size=SIZE, count=8))
    with pytest.raises(GsegError, match=r"expected 0\.98 or more \(int8\)") as caught:
        export_model(model, tmp_path / "x.onnx", options)
    assert "calibrate on a hundred photos like those" in str(caught.value.hint)
    assert names_in(tmp_path) == ["a.png", "b.png"]


def test_held_out_pairs_come_at_the_network_s_size_or_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    assert held_out_pairs(tmp_path, SIZE) is None
    assert held_out_pairs(checkpoint.parent, 2 * SIZE).images.shape == (5, 2 * SIZE, 2 * SIZE, 3)
    (tmp_path / "held-out").mkdir()
    (tmp_path / "held-out" / "00000.npz").write_bytes(b"damaged")
    with pytest.raises(GsegError, match="not readable pairs"):
        held_out_pairs(tmp_path, SIZE)


def test_the_exported_file_segments_a_folder(model: Path, checkpoint: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, picture in zip("ab", clouds(size=SIZE, seed=5, count=2).images, strict=True):
        Image.fromarray(picture).save(photos / f"{name}.png")
    Image.fromarray(clouds(size=SIZE, count=1).images[0]).resize((50, 40)).save(photos / "wide.png")
    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_folder(photos, tmp_path / "masks")
    assert (report.done, report.failed) == (3, 0)
    assert read_label_png(tmp_path / "masks" / "wide.png").shape == (40, 50)
    net, _, _ = load_student(checkpoint)
    expected = label_with(net)(np.asarray(Image.open(photos / "a.png"))[None])[0]
    assert (read_label_png(tmp_path / "masks" / "a.png") == expected).mean() > 0.999


def test_the_command_verifies_on_photos_and_spares_what_is_there(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = tmp_path / "photos" / "deep" / "photo.jpg", tmp_path / "student.onnx"
    photo.parent.mkdir(parents=True)
    Image.fromarray(clouds(size=SIZE, count=1).images[0]).resize((80, 80)).save(photo)
    args = ["export", str(checkpoint), "-o", str(out), "--verify", str(tmp_path / "photos")]
    assert main([*args, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["model"], data["num_verified"], data["classes"]) == (str(out), 1, list(CLASSES.names))
    assert data["label_agreement"] >= 0.9999

    assert main(args) == 1
    assert "hint: use --overwrite to replace it" in capsys.readouterr().err
    half, args = tmp_path / "student-fp16.onnx", ["export", str(out), "--fp16", "--verify", str(tmp_path / "photos")]
    half.write_text("an older file")
    assert main([*args, "--overwrite"]) == 0
    assert f"1 photo from {tmp_path / 'photos'} labelled as by ONNX Runtime" in capsys.readouterr().out
    assert half.stat().st_size < 0.6 * data["bytes"]


def test_a_model_is_made_smaller_where_there_is_no_pytorch(
    model: Path, photos: Path, tmp_path: Path, without_torch: list[str]
) -> None:
    source = tmp_path / "model.onnx"
    source.write_bytes(model.read_bytes())
    for flags, name, precision in ((["--fp16"], "fp16", "fp16"), (["--int8", str(photos)], "int8", "int8")):
        done = subprocess.run([*without_torch, "export", str(source), *flags], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "labelled as by ONNX Runtime" in done.stdout
        _, card = read_graph(tmp_path / f"model-{name}.onnx")
        assert (card.precision, card.parents) == (precision, read_graph(model)[1].parents)
        assert card.quality["label_agreement"] >= 0.98
    session = onnxruntime.InferenceSession(tmp_path / "model-int8.onnx")
    assert session.get_inputs()[0].shape == ["batch", SIZE, SIZE, 3]


def test_a_model_is_known_by_its_ending_in_capitals_too(model: Path, tmp_path: Path) -> None:
    (tmp_path / "MODEL.ONNX").symlink_to(model)
    assert describe(tmp_path / "MODEL.ONNX")["kind"] == "model"
    assert main(["export", str(tmp_path / "MODEL.ONNX"), "--fp16"]) == 0
    assert describe(tmp_path / "MODEL-fp16.onnx")["precision"] == "fp16"


def test_what_was_rounded_away_does_not_come_back(model: Path, photos: Path, tmp_path: Path) -> None:
    export_model(model, tmp_path / "half.onnx", Options(precision="fp16"))
    options = Options(precision="int8", calibration=photos)
    with pytest.raises(GsegError, match="expected an fp32 model to convert to int8, got fp16"):
        export(from_model(tmp_path / "half.onnx"), tmp_path / "again.onnx", options)


@pytest.mark.parametrize(
    ("name", "verify", "message"),
    [
        ("model.pt", None, "expected a name that ends in .onnx"),
        ("model.engine", None, "expected a name that ends in .onnx"),
        ("folder.onnx", None, "folder.onnx: expected a file to write, but this is a folder"),
        ("model.onnx", "empty", "expected at least 1 photo, got 0"),
        ("model.onnx", "missing", "no such file or folder"),
        ("model.onnx", "broken", "x.jpg: not a picture of a known format"),
    ],
)
def test_what_cannot_succeed_is_refused(
    checkpoint: Path, tmp_path: Path, name: str, verify: str | None, message: str
) -> None:
    for folder in ("broken", "empty", "folder.onnx"):
        (tmp_path / folder).mkdir()
    (tmp_path / "broken" / "x.jpg").write_text("no photo")
    options = Options(verify=tmp_path / verify if verify else None, overwrite=True)
    with pytest.raises(GsegError, match=message) as caught:
        export_student(checkpoint, tmp_path / name, options)
    assert caught.value.hint
    assert names_in(tmp_path) == ["broken", "empty", "folder.onnx"]


@pytest.mark.parametrize("place", ["file/model.onnx", "file/deep/model.onnx", "/proc/model.onnx", f"{'x' * 300}.onnx"])
def test_a_place_that_takes_no_file_is_refused_before_the_student_is_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(GsegError, match=r"\.onnx: cannot be written: "):
        export_student(tmp_path / "none.safetensors", tmp_path / place)
    for options in (Options(web=tmp_path / "file" / "site"), Options(triton=Path("/proc/repository"))):
        with pytest.raises(GsegError, match=": cannot be written: "):
            export_student(tmp_path / "none.safetensors", tmp_path / "model.onnx", options)
    assert names_in(tmp_path) == ["file"]


def test_of_a_link_at_the_output_nothing_is_replaced_unasked_and_then_the_link_alone(
    checkpoint: Path, tmp_path: Path
) -> None:
    link, kept = tmp_path / "model.onnx", tmp_path / "v3.onnx"
    link.symlink_to("v3.onnx")
    for _ in ("dangling", "of a file"):
        with pytest.raises(GsegError, match=r"model\.onnx: exists already, a link to .*v3\.onnx") as caught:
            export_student(checkpoint, link)
        assert "--overwrite to replace the link alone" in str(caught.value.hint)
        kept.write_text("the third version")
    export_student(checkpoint, link, Options(overwrite=True))
    assert not link.is_symlink() and kept.read_text() == "the third version"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--fp16", "--int8", "DIR"], "--fp16 and --int8 cannot be used together"),
        (["--batch", "4"], "--batch only applies to --trt and --triton"),
        (["--unverified"], "--unverified only applies to --trt"),
        ([], "already exported"),
        (["--fp16", "--confidence"], "--confidence, --logits and --no-logits change the network"),
        (["--fp16", "-o", "MODEL"], "is the model to export"),
        (["--web", "DIR", "-o", "faces.onnx"], "faces.onnx: the model stays as it is"),
        (["--triton", "DIR", "--verify", "DIR"], "--verify: the model stays as it is"),
    ],
)
def test_calls_that_make_no_sense_are_usage_errors(
    model: Path, args: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(model), *(arg.replace("MODEL", str(model)) for arg in args)]) == 2
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert message in error and hint.startswith("hint: ")


def test_outside_a_project_the_command_says_what_to_name(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(tmp_path), "export", str(checkpoint)]) == 1
    assert "hint: use -o FILE.onnx to name the output file" in capsys.readouterr().err
