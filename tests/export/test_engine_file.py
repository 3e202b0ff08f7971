"""Engines as files. What the GPU would answer is put in by a stand-in for the runtime's engine; all else is real."""

import json
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from gseg_cli.info import describe
from gseg_export.engine_file import Toolchain, find_toolchain
from gseg_export.export import Options, check_export, export_model
from gseg_export.graph import read_graph
from gseg_export.source import run_onnx
from gseg_export.to_engine import build_engine
from gseg_runtime.driver import Gpu, driver_problem
from gseg_runtime.errors import BackendUnavailable, GsegError, UsageError
from gseg_runtime.files import sha256_file
from tests.export.student import SIZE

trt = pytest.importorskip("tensorrt_rtx", reason="no wheel for this platform")
pytestmark = pytest.mark.filterwarnings("ignore:.*Timing cache:DeprecationWarning")
needs_no_gpu = pytest.mark.skipif(not driver_problem(), reason="there is a GPU here")
GPU = Gpu("NVIDIA H100", "9.0", "CUDA 13.2")


class Answers:
    """A loaded engine that labels as `label` does; reads what stands beside it, as the runtime does."""

    def __init__(self, engine: Path, label: Callable[[np.ndarray], np.ndarray]) -> None:
        facts = json.loads(engine.with_name(engine.name + ".json").read_text())
        assert facts["engine_sha256"] == sha256_file(engine)
        self.run = label

    def close(self) -> None:
        pass


@pytest.fixture
def source(model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.read_bytes())
    return path


def test_an_engine_that_labels_alike_is_written_with_all_that_it_depends_on(
    source: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = run_onnx(source.read_bytes(), source)
    monkeypatch.setattr("gseg_runtime.backends.choose", lambda path, device: Answers(path, label))
    out, options = tmp_path / "half.engine", Options(precision="fp16", verify=photos, batch=4)
    written = export_model(source, out, options, Toolchain(trt, GPU))
    facts = json.loads((tmp_path / "half.engine.json").read_text())
    assert {name: facts[name] for name in list(facts)[:7]} == {
        "format": 1,
        "kind": "engine",
        "tensorrt": "tensorrt_rtx",
        "tensorrt_version": trt.__version__,
        "gpu": "NVIDIA H100",
        "compute_capability": "9.0",
        "driver": "CUDA 13.2",
    }
    assert facts["onnx_sha256"] == sha256_file(tmp_path / "half.onnx")  # what it was built from stands beside it
    assert facts["engine_sha256"] == written.sha256 == sha256_file(out)
    assert (facts["batch"], facts["precision"], facts["verified"]) == (4, "fp16", True)
    assert facts["outputs"] == ["labels", "logits"]
    assert facts["card"]["precision"] == "fp16"
    assert facts["card"]["quality"]["label_agreement"] == written.label_agreement == 1
    assert read_graph(tmp_path / "half.onnx")[1].quality["label_agreement"] >= 0.995
    plan = build_engine(trt, (tmp_path / "half.onnx").read_bytes(), batch=4).engine
    assert out.read_bytes()[:4] == plan[:4]  # nothing was put in front of it


def test_an_engine_that_labels_otherwise_is_not_written(
    source: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choose(path: Path, device: str) -> Answers:
        return Answers(path, lambda images: np.zeros(images.shape[:3], np.uint8))

    monkeypatch.setattr("gseg_runtime.backends.choose", choose)
    out, options = tmp_path / "model.engine", Options(precision="fp16", verify=photos, overwrite=True)
    out.write_text("the engine of yesterday")
    with pytest.raises(GsegError, match=r"model\.engine: not written: it labels 0\.\d+ of the pixels of 12 photos"):
        export_model(source, out, options, Toolchain(trt, GPU))
    assert out.read_text() == "the engine of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.engine", "model.onnx"]


def test_the_model_an_engine_is_built_from_replaces_no_other(source: Path, photos: Path, tmp_path: Path) -> None:
    other = tmp_path / "small-trt.onnx"
    other.write_text("another model")
    options = Options(precision="int8", calibration=photos)
    with pytest.raises(GsegError, match=r"small-trt\.onnx: exists already, and the engine is built from another"):
        export_model(source, tmp_path / "small.engine", options, Toolchain(trt, None))
    assert other.read_text() == "another model"


@needs_no_gpu
def test_without_a_gpu_an_engine_is_an_error_with_a_hint_and_no_crash(
    source: Path, without_torch: list[str], tmp_path: Path
) -> None:
    done = subprocess.run([*without_torch, "export", str(source), "--trt"], capture_output=True, text=True)
    assert done.returncode == 1
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: an engine is built for a GPU and verified on it, but no NVIDIA driver")
    assert "hint: " in hint and "it needs no PyTorch" in hint
    assert list(tmp_path.iterdir()) == [source]


@needs_no_gpu
def test_a_tensorrt_rtx_engine_can_be_built_for_elsewhere_and_says_that_it_is_unproven(
    source: Path, without_torch: list[str], tmp_path: Path
) -> None:
    args = ["export", str(source), "--trt", "--unverified", "--batch", "2"]
    done = subprocess.run([*without_torch, *args], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "NOT verified" in done.stdout
    facts = json.loads((tmp_path / "model.engine.json").read_text())
    assert [facts[name] for name in ("gpu", "compute_capability", "driver")] == [None] * 3
    assert (facts["verified"], facts["batch"]) == (False, 2)
    assert facts["onnx_sha256"] == sha256(source.read_bytes()).hexdigest()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.engine", "model.engine.json", "model.onnx"]
    described = describe(tmp_path / "model.engine")
    assert (described["kind"], described["batch"], described["input_size"]) == ("engine", 2, SIZE)


def test_eight_bits_for_cpus_are_not_made_an_engine_of(source: Path, photos: Path, tmp_path: Path) -> None:
    export_model(source, tmp_path / "small.onnx", Options(precision="int8", calibration=photos))
    with pytest.raises(GsegError, match="int8 models for CPUs do not run on TensorRT"):
        export_model(tmp_path / "small.onnx", tmp_path / "small.engine", Options(), Toolchain(trt, None))


def test_an_engine_needs_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gseg_export.engine_file.driver_problem", lambda: "")
    monkeypatch.setattr("gseg_export.engine_file.MODULES", ("tensorrt_of_nobody",))  # as if it were not installed
    with pytest.raises(BackendUnavailable, match="TensorRT cannot be imported: No module") as caught:
        find_toolchain()
    assert "pip install" in str(caught.value.hint)


def test_triton_takes_no_engine_of_tensorrt_rtx(source: Path, tmp_path: Path) -> None:
    with pytest.raises(GsegError, match="not TensorRT-RTX"):
        check_export(source, tmp_path / "x.engine", Options(triton=tmp_path / "repository"), Toolchain(trt, None))


def test_rtx_engines_need_not_be_made_portable() -> None:
    with pytest.raises(UsageError, match="--portable is for TensorRT"):
        Toolchain(trt, None, portable=True)
