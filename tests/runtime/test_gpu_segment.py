"""ONNX Runtime on a GPU gives the masks of the CPU, and says in words what a GPU cannot give."""

import json
from concurrent.futures import ThreadPoolExecutor
from importlib import util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import INPUT_SIZE
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.backends import choose
from gseg_runtime.driver import describe_gpu
from gseg_runtime.errors import BackendUnavailable
from gseg_runtime.label_map import Pixels
from tests.gpu import only_with_a_gpu_engine

BATCH, COUNT = 4, 10
GREYS = np.array([20, 40, 90, 110, 150, 170, 210, 230], np.uint8)  # none near a limit between classes


def pictures(count: int, seed: int = 0) -> Pixels:
    """Grey noise, uint8 [count, S, S, 3]; the right class is the value // 64."""
    values = np.random.default_rng(seed).choice(GREYS, (count, INPUT_SIZE, INPUT_SIZE))
    return np.repeat(values[..., None], 3, axis=3)


def right(images: Pixels) -> Pixels:
    return images[..., 0] // 64


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Ten photos, so that the last batch of four is half empty, and a file that is none."""
    folder = tmp_path / "many"
    folder.mkdir()
    for index, pixels in enumerate(pictures(COUNT)):
        Image.fromarray(pixels).save(folder / f"{index}.png")
    (folder / "4.jpg").write_bytes(b"no photo")
    return folder


def read(folder: Path, suffix: str = ".png") -> Pixels:
    """The ten masks, or what lies beside them."""
    return np.stack([np.asarray(Image.open(folder / f"{index}.png{suffix}")) for index in range(COUNT)])


@pytest.mark.parametrize("batch", [BATCH, 32])
def test_a_folder_on_a_gpu_has_the_masks_of_the_cpu(
    engine_device: str, model_with_confidence: Path, many: Path, tmp_path: Path, batch: int
) -> None:
    for name, device in (("expected", "cpu"), ("got", engine_device)):
        with Segmenter.load(model_with_confidence, device, batch=batch) as segmenter:
            assert device in segmenter.device.lower() and segmenter.batch == batch
            report = segmenter.segment_folder(many, tmp_path / name, confidence=True, full_names=True)
            assert (report.done, report.failed) == (COUNT, 1)
    for suffix, tolerance in ((".png", 0), (".confidence.png", 1)):
        expected, got = (read(tmp_path / name, suffix).astype(int) for name in ("expected", "got"))
        assert (np.abs(got - expected) <= tolerance).mean() >= 0.999
    assert (read(tmp_path / "got") == right(pictures(COUNT))).mean() >= 0.999


def test_the_command_segments_on_a_gpu(
    engine_device: str, model: Path, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (many / "4.jpg").unlink()
    call = ["segment", str(many), "-o", str(tmp_path / "out"), "--model", str(model), "--device", engine_device]
    assert main([*call, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)["data"]
    assert answer["done"] == COUNT and engine_device in answer["device"].lower()
    got = np.stack([np.asarray(Image.open(tmp_path / "out" / f"{index}.png")) for index in range(COUNT)])
    assert (got == right(pictures(COUNT))).mean() >= 0.999


@pytest.mark.parametrize("count", [1, BATCH, BATCH + 1])
def test_photos_in_memory_are_segmented_however_many_they_are(engine_device: str, model: Path, count: int) -> None:
    images = pictures(count, seed=count)
    with Segmenter.load(model, engine_device, batch=BATCH) as segmenter:
        got = segmenter.segment(list(images))
        wide = segmenter.segment([np.full((5, 9, 3), 150, np.uint8)])
    assert (np.stack(got) == right(images)).mean() >= 0.999
    assert wide[0].shape == (5, 9) and (wide[0] == 2).all()


def test_threads_share_a_session_and_none_gets_the_photos_of_another(engine_device: str, model: Path) -> None:
    batches = [pictures(BATCH, seed=seed) for seed in range(48)]
    with Segmenter.load(model, engine_device, batch=BATCH) as segmenter, ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda images: segmenter.infer(images).labels, batches))
    for images, labels in zip(batches, got, strict=True):
        assert (labels == right(images)).mean() >= 0.999


def test_two_models_are_loaded_beside_each_other(engine_device: str, model: Path, model_with_confidence: Path) -> None:
    images = list(pictures(3))
    with Segmenter.load(model, engine_device, batch=BATCH) as one:
        with Segmenter.load(model_with_confidence, engine_device, batch=BATCH) as other:
            first, second = one.segment(images), other.segment(images)
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(one.segment(images), first)  # the other one is closed


@only_with_a_gpu_engine
def test_auto_takes_the_gpu(engine_device: str, model: Path) -> None:
    with Segmenter.load(model) as segmenter:
        assert segmenter.device == "ONNX Runtime, cuda" and segmenter.batch > 1


class FailsAfter:
    """The engine of a real session, which fails as of the call after so many."""

    def __init__(self, session: Any, good: int) -> None:
        self.session, self.good = session, good

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run(self, *arguments: Any) -> Any:
        self.good -= 1
        if self.good < 0:
            raise EPFail("CUDA error 700: illegal memory access")
        return self.session.run(*arguments)


def test_a_gpu_that_fails_in_the_middle_ends_the_run_and_resume_does_the_rest(
    engine_device: str, model: Path, many: Path, tmp_path: Path
) -> None:
    with Segmenter.load(model, engine_device, batch=2) as segmenter:
        session = segmenter._model.backend._session  # type: ignore[attr-defined]
        session._sess = FailsAfter(session._sess, good=3)
        with pytest.raises(GsegError if engine_device == "cuda" else EPFail, match="CUDA error 700") as caught:
            segmenter.segment_folder(many, tmp_path / "out", full_names=True)
    if engine_device == "cuda":
        assert "ONNX Runtime, cuda: " in str(caught.value) and "--batch" in caught.value.hint
    assert 0 < len(list((tmp_path / "out").glob("*.png"))) < COUNT
    with Segmenter.load(model, engine_device, batch=2) as segmenter:
        report = segmenter.segment_folder(many, tmp_path / "out", resume=True, full_names=True)
    assert 0 < report.skipped < COUNT and report.done + report.skipped == COUNT
    assert (read(tmp_path / "out") == right(pictures(COUNT))).mean() >= 0.999


def test_a_gpu_that_is_not_there_is_refused(
    engine_device: str, model: Path, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(many), "-o", str(tmp_path / "out"), "--model", str(model), "--device", "cuda:99"]
    assert main(call) == 1
    told = capsys.readouterr().err
    assert "device cuda:99: " in told and "--device cpu" in told and not (tmp_path / "out").exists()
    if engine_device == "cuda":
        assert "no GPU 99: the driver knows " in told


@only_with_a_gpu_engine
def test_the_doctor_names_the_gpu_and_finds_nothing_wrong(
    engine_device: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = main(["doctor", "--json"]), capsys.readouterr()
    findings = json.loads(shown.out)["data"]["findings"]
    assert code == 0, shown.err
    assert any(f"GPU: {describe_gpu().name}, " in finding["what"] for finding in findings)


def test_bench_measures_a_gpu(engine_device: str, model: Path, many: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (many / "4.jpg").unlink()
    call = ["bench", "--model", str(model), "--photos", str(many), "--device", engine_device, "--seconds", "0.05"]
    assert main([*call, "--batch", str(BATCH), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["data"]
    assert engine_device in figures["device"].lower() and figures["batch"] == BATCH
    assert all(figures[name] > 0 for name in ("decode_ms", "infer_ms", "encode_ms", "bare", "end_to_end"))


@only_with_a_gpu_engine
@pytest.mark.skipif(bool(util.find_spec("tensorrt") or util.find_spec("tensorrt_libs")), reason="TensorRT is here")
def test_without_tensorrt_a_gpu_still_says_what_to_do(
    engine_device: str, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(BackendUnavailable) as caught:
        choose(model, "trt")
    assert "trt" in caught.value.message and "--device" in caught.value.hint
    assert capsys.readouterr().out == ""
