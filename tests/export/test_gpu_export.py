"""A real student, exported, labels on a GPU as it does on a CPU."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from gseg_cli.app import main
from gseg_cli.builtin import DEFAULT, Builtin
from gseg_cli.datasets.toy_faces.dataset import render
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.lite_net import LiteNet
from gseg_export.export import Options, export_model
from gseg_export.graph import CONFIDENCE, LABELS, Model, finish
from gseg_export.verification_images import clouds
from gseg_runtime import Segmenter
from gseg_runtime.backends import choose
from tests.export.student import SIZE, plain_card
from tests.gpu import only_with_a_gpu_engine


def test_a_student_labels_on_a_gpu_as_on_a_cpu(engine_device: str, full_model: Model, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(full_model.onnx)
    images = clouds(size=SIZE, seed=5, count=40).images
    here, there = (choose(tmp_path / "model.onnx", device, batch=32) for device in ("cpu", engine_device))
    labels, confidence = ([backend.infer(images, (LABELS, CONFIDENCE))[i] for backend in (here, there)] for i in (0, 1))
    assert (labels[0] == labels[1]).mean() >= 0.999 and len(np.unique(labels[1])) > 1
    assert np.abs(confidence[0].astype(int) - confidence[1]).max() <= 1


def test_a_lite0_student_labels_on_a_gpu_as_on_a_cpu(
    engine_device: str, lite0: tuple[LiteNet, onnx.ModelProto], tmp_path: Path
) -> None:
    (tmp_path / "model.onnx").write_bytes(finish(lite0[1], plain_card()).onnx)
    images = clouds(size=SIZE, seed=5, count=40).images
    here, there = (choose(tmp_path / "model.onnx", device, batch=32).run(images) for device in ("cpu", engine_device))
    assert (here == there).mean() >= 0.999 and len(np.unique(there)) > 1


def test_a_student_in_half_precision_labels_nearly_as_before(engine_device: str, model: Path, tmp_path: Path) -> None:
    half = export_model(model, tmp_path / "half.onnx", Options(precision="fp16")).model
    images = list(clouds(size=SIZE, seed=6, count=20).images)
    with Segmenter.load(model, "cpu") as full, Segmenter.load(half, engine_device, batch=8) as segmenter:
        expected, got = (np.stack(each.segment(images)) for each in (full, segmenter))
    assert (got == expected).mean() > 0.99


@only_with_a_gpu_engine
def test_faces_get_the_masks_that_a_cpu_gives_them(
    engine_device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reference annotator, a student of the usual size, on ten photos of three sizes in batches of four."""
    (tmp_path / "photos").mkdir()
    for index in range(10):
        face = render(7_100_000 + index, (128, 200, 96)[index % 3])[0]
        Image.fromarray(face[: len(face) - 20 * (index % 2)]).save(tmp_path / "photos" / f"{index}.png")
    model = export_student(Builtin(DEFAULT).reference, tmp_path / "m.onnx", outputs=(LABELS, CONFIDENCE)).model
    call = ["segment", str(tmp_path / "photos"), "--model", str(model), "--batch", "4", "--confidence"]
    for name, device in (("expected", "cpu"), ("got", engine_device)):
        assert main([*call, "-o", str(tmp_path / name), "--device", device]) == 0, capsys.readouterr().err
    for suffix, tolerance in ((".png", 0), (".confidence.png", 1)):
        expected, got = (pixels(tmp_path / name, suffix) for name in ("expected", "got"))
        assert (np.abs(got - expected) <= tolerance).mean() >= 0.999
    assert len(np.unique(pixels(tmp_path / "got", ".png"))) > 5


def pixels(folder: Path, suffix: str) -> np.ndarray:
    """Of all ten photos, in a row."""
    return np.concatenate([np.asarray(Image.open(folder / f"{i}{suffix}")).ravel() for i in range(10)]).astype(int)
