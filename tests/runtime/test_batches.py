"""Batches of a fixed size, as an accelerator wants them, give the masks that single photos give."""

import ctypes
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, INPUT_SIZE, MakePhoto
from fake_gpu import Driver, make_trt
from onnxruntime import InferenceSession
from onnxruntime.capi.onnxruntime_pybind11_state import EPFail
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import ClassMap, GsegError, ModelCard, Segmenter
from gseg_runtime.backends import choose
from gseg_runtime.backends.trt import TensorRTBackend
from gseg_runtime.enlarged import Plane
from gseg_runtime.errors import BackendUnavailable, ModelCardError, UsageError
from gseg_runtime.files import sha256_file
from gseg_runtime.folder import Progress
from gseg_runtime.label_map import Pixels
from gseg_runtime.pip_hint import install

BATCH = 4


@pytest.fixture
def many(make_photo: MakePhoto, tmp_path: Path) -> Path:
    """Ten photos that differ, so that the last batch of four is half empty, and one that is none."""
    for index in range(10):
        make_photo(tmp_path / "many" / f"{index}.png", 20 + index, 30, (25 * index, 255 - 25 * index))
    (tmp_path / "many" / "4.jpg").write_bytes(b"no photo")
    return tmp_path / "many"


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    driver = Driver()
    load = ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name, *args, **kw: driver if "cuda" in str(name) else load(name, *args))
    return driver


@pytest.fixture
def engine(model_with_confidence: Path, tmp_path: Path) -> Path:
    return write_engine(tmp_path / "model.engine", model_with_confidence)


def write_engine(path: Path, onnx: Path, **facts: object) -> Path:
    path.write_bytes(onnx.read_bytes())
    described = {
        "format": 1, "kind": "engine", "tensorrt": "tensorrt", "tensorrt_version": "11.4.0", "gpu": "NVIDIA H100",
        "compute_capability": "9.0", "driver": "CUDA 13.2", "onnx_sha256": sha256_file(onnx),
        "engine_sha256": sha256_file(path), "batch": BATCH, "precision": "fp16", "outputs": ["labels", "confidence"],
        "verified": True, "card": ModelCard(classes=CLASSES, input_size=INPUT_SIZE).to_json(),
    }  # fmt: skip
    path.with_name(path.name + ".json").write_text(json.dumps({**described, **facts}))
    return path


def masks_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.png")}


@pytest.mark.parametrize("batch", [3, 4, 32])
def test_batches_give_the_masks_of_single_photos(
    model_with_confidence: Path, many: Path, tmp_path: Path, batch: int
) -> None:
    singly = Segmenter.load(model_with_confidence, "cpu")
    batched = Segmenter.load(model_with_confidence, "cpu", batch=batch)
    options = {"confidence": True, "coco": True, "full_names": True}
    assert singly.segment_folder(many, tmp_path / "singly", **options).done == 10
    report = batched.segment_folder(many, tmp_path / "batched", **options)
    assert (report.done, report.failed) == (10, 1)
    assert report.failures[0].reason == "not a picture of a known format"
    assert masks_of(tmp_path / "batched") == masks_of(tmp_path / "singly")
    assert (tmp_path / "batched" / "gseg-coco.json").read_bytes() == (
        tmp_path / "singly" / "gseg-coco.json"
    ).read_bytes()


def shapes_seen(segmenter: Segmenter) -> list[tuple[int, ...]]:
    """Grows with every inference."""
    shapes: list[tuple[int, ...]] = []
    backend = segmenter._model.backend
    infer = backend.infer

    def watch(images: Pixels, outputs: list[str]) -> list[Plane]:
        shapes.append(images.shape)
        return infer(images, outputs)

    backend.infer = watch  # type: ignore[method-assign,assignment]
    return shapes


def test_in_a_folder_the_engine_sees_one_shape_only(model: Path, many: Path, tmp_path: Path) -> None:
    segmenter = Segmenter.load(model, "cpu", batch=BATCH)
    shapes = shapes_seen(segmenter)
    segmenter.segment_folder(many, tmp_path / "out", full_names=True)
    assert set(shapes) == {(BATCH, INPUT_SIZE, INPUT_SIZE, 3)}


def test_a_batch_that_memory_has_no_room_for_is_to_be_made_smaller(
    model: Path, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ["segment", str(many), "-o", str(tmp_path / "out"), "--model", str(model), "--full-names"]
    assert main([*args, "--device", "cpu", "--batch", str(10**14)]) == 1
    assert "memory\nhint: a smaller --batch or --workers needs less memory" in capsys.readouterr().err


def test_one_photo_takes_the_time_of_one(model: Path, many: Path) -> None:
    segmenter = Segmenter.load(model, "cpu", batch=BATCH)
    shapes = shapes_seen(segmenter)
    assert segmenter.segment_file(many / "0.png").shape == (20, 30)
    assert [label_map.shape for label_map in segmenter.segment([np.zeros((5, 6, 3), np.uint8)] * 5)] == [(5, 6)] * 5
    assert [shape[0] for shape in shapes] == [1, BATCH, 1]


def test_a_batch_that_is_fixed_is_filled_up(engine: Path, driver: Driver, many: Path) -> None:
    segmenter = Segmenter(TensorRTBackend(engine, trt=make_trt(driver)), "")
    shapes = shapes_seen(segmenter)
    segmenter.segment_file(many / "0.png")
    images = [np.full((5, 6, 3), value, np.uint8) for value in (10, 100, 200, 20, 220)]
    assert [label_map[0, 0] for label_map in segmenter.segment(images)] == [0, 1, 3, 0, 3]
    assert [shape[0] for shape in shapes] == [BATCH] * 3


def test_an_interrupted_batched_run_stops_and_is_gone_on_with(model: Path, many: Path, tmp_path: Path) -> None:
    def interrupt(state: Progress) -> None:
        if state.done == 2:
            raise KeyboardInterrupt

    segmenter, num_threads = Segmenter.load(model, "cpu", batch=2), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        segmenter.segment_folder(many, tmp_path / "out", on_image=interrupt, full_names=True)
    assert threading.active_count() == num_threads
    segmenter.segment_folder(many, tmp_path / "out", resume=True, full_names=True)
    segmenter.segment_folder(many, tmp_path / "whole", full_names=True)
    assert masks_of(tmp_path / "out") == masks_of(tmp_path / "whole")


def test_a_tensorrt_engine_gives_the_masks_of_its_model(
    engine: Path, model_with_confidence: Path, driver: Driver, many: Path, tmp_path: Path
) -> None:
    with Segmenter(TensorRTBackend(engine, trt=make_trt(driver)), sha256_file(engine)) as segmenter:
        assert segmenter.batch == BATCH and segmenter.device == "TensorRT 11.4.0, trt"
        report = segmenter.segment_folder(many, tmp_path / "engine", confidence=True, full_names=True)
        assert (report.done, report.failed) == (10, 1)
        plain = Segmenter.load(model_with_confidence, "cpu")
        plain.segment_folder(many, tmp_path / "onnx", confidence=True, full_names=True)
        assert masks_of(tmp_path / "engine") == masks_of(tmp_path / "onnx")
        images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
        np.testing.assert_array_equal(segmenter.infer(images).labels, plain.infer(images).labels)
    assert driver.memory == {}  # all of it is freed


def test_a_tensorrt_engine_gives_the_logits_of_its_model(
    model_with_logits: Path, driver: Driver, tmp_path: Path
) -> None:
    engine = write_engine(tmp_path / "model.engine", model_with_logits, outputs=["labels", "logits"])
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    backend = TensorRTBackend(engine, trt=make_trt(driver))
    got, expected = (each.infer(images, ["labels", "logits"]) for each in (backend, choose(model_with_logits, "cpu")))
    assert got[1].dtype == np.float32 and got[1].shape == (6, len(CLASSES), 32, 32)
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_tensorrt_engine_gives_the_smooth_masks_and_the_tiles_of_its_model(
    model_with_logits: Path, driver: Driver, many: Path, tmp_path: Path
) -> None:
    engine = write_engine(tmp_path / "model.engine", model_with_logits, outputs=["labels", "logits"])
    plain = Segmenter.load(model_with_logits, "cpu")
    with Segmenter(TensorRTBackend(engine, trt=make_trt(driver)), sha256_file(engine)) as segmenter:
        for name, options in (("smooth", {"edges": "smooth"}), ("tiles", {"tile": 32}), ("whole", {"tile": 99})):
            report = segmenter.segment_folder(_enlarged(many, tmp_path), tmp_path / name, confidence=True, **options)
            plain.segment_folder(_enlarged(many, tmp_path), tmp_path / f"plain-{name}", confidence=True, **options)
            assert report.done == 10 and masks_of(tmp_path / name) == masks_of(tmp_path / f"plain-{name}")
    assert driver.memory == {}


def _enlarged(photos: Path, tmp_path: Path) -> Path:
    """The photos, three times as large: more than one tile each."""
    folder = tmp_path / "enlarged"
    folder.mkdir(exist_ok=True)
    for path in photos.glob("*.png"):
        with Image.open(path) as image:
            image.resize((image.width * 3, image.height * 3), Image.Resampling.NEAREST).save(folder / path.name)
    return folder


def test_an_engine_is_opened_only_where_it_was_built_for(
    model: Path, driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(message: str, version: str = "11.4.0", **facts: object) -> None:
        path = write_engine(tmp_path / "model.engine", model, **facts)
        with pytest.raises(GsegError, match=message) as caught:
            TensorRTBackend(path, trt=make_trt(driver, version))
        assert "gseg export --trt" in str(caught.value.hint)

    refused("built with TensorRT 11.4.0, here is 10.16.1", version="10.16.1")
    refused("built for NVIDIA A100.*here is NVIDIA H100", gpu="NVIDIA A100", compute_capability="8.0")
    refused("not the engine that", engine_sha256="0" * 64)
    refused("which this version does not read", format=2)
    write_engine(tmp_path / "rtx.engine", model, gpu=None, compute_capability=None, tensorrt="tensorrt_rtx")
    assert TensorRTBackend(tmp_path / "rtx.engine", trt=make_trt(driver)).batch == BATCH


@pytest.mark.parametrize(
    ("size", "names", "words"),
    [(64, list("abcd"), "64 pixels, but the network has 32"), (32, list("ab"), "2 classes, but the network has 4")],
)
def test_an_engine_with_the_card_of_another_network_is_refused(
    model_with_logits: Path, driver: Driver, tmp_path: Path, size: int, names: list[str], words: str
) -> None:
    card = ModelCard(classes=ClassMap.of_names(names), input_size=size).to_json()
    path = write_engine(tmp_path / "model.engine", model_with_logits, card=card)
    with pytest.raises(ModelCardError, match=f"the model card tells of {words}"):
        TensorRTBackend(path, trt=make_trt(driver))


def test_a_refused_engine_is_refused_in_tensorrt_s_words_and_nothing_is_printed(
    model: Path, driver: Driver, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_engine(tmp_path / "model.engine", model)
    facts = json.loads(path.with_name("model.engine.json").read_text(encoding="utf-8"))
    path.write_bytes(b"another plan")
    facts["engine_sha256"] = sha256_file(path)
    path.with_name("model.engine.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(BackendUnavailable, match="does not take this engine: no plan of this version"):
        TensorRTBackend(path, trt=make_trt(driver))
    assert capsys.readouterr().out == ""


def test_a_gpu_of_another_name_and_the_same_kind_runs_an_engine(model: Path, driver: Driver, tmp_path: Path) -> None:
    path = write_engine(tmp_path / "model.engine", model, gpu="NVIDIA H200")
    TensorRTBackend(path, trt=make_trt(driver)).close()


def test_a_portable_engine_runs_on_later_gpus_and_versions_too(model: Path, driver: Driver, tmp_path: Path) -> None:
    def write(**facts: object) -> Path:
        return write_engine(tmp_path / "model.engine", model, portable=True, **facts)

    elsewhere = write(gpu="NVIDIA A100", compute_capability="8.0", tensorrt_version="10.13.2.6")
    backend = TensorRTBackend(elsewhere, trt=make_trt(driver))
    assert backend._runtime.engine_host_code_allowed
    backend.close()
    with pytest.raises(BackendUnavailable, match=r"built with TensorRT 11.4.0, here is 10.16.1"):
        TensorRTBackend(write(), trt=make_trt(driver, "10.16.1"))


def test_an_engine_that_is_not_portable_may_run_no_code_of_its_own(engine: Path, driver: Driver) -> None:
    backend = TensorRTBackend(engine, trt=make_trt(driver))
    assert not hasattr(backend._runtime, "engine_host_code_allowed")
    backend.close()


def test_without_a_driver_tensorrt_is_not_even_imported(engine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", no_driver)
    monkeypatch.setattr("gseg_runtime.backends.trt._import", lambda name: pytest.fail("imported"))
    for device in ("auto", "trt"):
        with pytest.raises(BackendUnavailable, match="no NVIDIA driver"):
            choose(engine, device)


def test_what_an_engine_cannot_do_is_wrong_usage(engine: Path, driver: Driver) -> None:
    for device in ("cpu", "cuda", "openvino"):
        with pytest.raises(UsageError, match="only TensorRT runs"):
            choose(engine, device)
    with pytest.raises(UsageError, match="built for batches of 4"):
        Segmenter(TensorRTBackend(engine, trt=make_trt(driver)), "", batch=8)
    engine.with_name("model.engine.json").unlink()
    with pytest.raises(GsegError, match=r"model\.engine: lacks model\.engine\.json"):
        choose(engine)


def test_a_missing_provider_names_the_install_where_there_is_a_gpu(model: Path, driver: Driver) -> None:
    with pytest.raises(BackendUnavailable, match="device trt: this ONNX Runtime was built without") as caught:
        choose(model, "trt")
    assert install("ort-trt") in str(caught.value.hint)
    with pytest.raises(BackendUnavailable, match="device cuda:3: no GPU 3: the driver knows 1"):
        choose(model, "cuda:3")


class FullGpu(InferenceSession):
    """ONNX Runtime's own session where the GPU has no room: only what its C++ does is replaced."""

    def _create_inference_session(self, providers: list[Any], *rest: Any) -> None:
        if providers[0] != "CPUExecutionProvider":
            raise RuntimeError("CUDA error 2: out of memory")
        super()._create_inference_session(providers, *rest)


class FailingGpu(InferenceSession):
    """The same where the GPU takes the model and then fails, after `num_good` inferences."""

    num_good = 0

    def _create_inference_session(self, providers: list[Any], *rest: Any) -> None:
        super()._create_inference_session(["CPUExecutionProvider"], *rest)
        if providers[0] != "CPUExecutionProvider":
            self._providers, self._sess = [providers[0][0]], FailingRun(self._sess, self.num_good)


class FailingLater(FailingGpu):
    num_good = 1


class FailingRun:
    def __init__(self, session: Any, num_good: int) -> None:
        self.session, self.num_good = session, num_good

    def __getattr__(self, name: str) -> Any:
        return getattr(self.session, name)

    def run(self, *arguments: Any) -> Any:
        self.num_good -= 1
        if self.num_good < 0:
            raise EPFail("CUDA error 209: no kernel image is available")
        return self.session.run(*arguments)


def test_a_gpu_without_room_is_named_and_auto_goes_on_with_the_cpu(
    model: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", FullGpu)
    with pytest.raises(BackendUnavailable, match=r"cannot load it: CUDA error 2: out of memory") as caught:
        choose(model, "cuda")
    assert "--device cpu" in str(caught.value.hint)
    backend = choose(model, "auto")
    assert (backend.name, "out of memory" in backend.why) == ("ONNX Runtime, CPU", True)
    assert capsys.readouterr().out == ""


def test_a_gpu_that_fails_in_the_middle_is_an_error_and_no_other_device_goes_on(
    model: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", FailingLater)
    backend = choose(model, "auto")
    with pytest.raises(GsegError, match="ONNX Runtime, cuda: CUDA error 209") as caught:
        backend.run(np.zeros((1, INPUT_SIZE, INPUT_SIZE, 3), np.uint8))
    assert "--batch" in str(caught.value.hint) and capsys.readouterr().out == ""


def test_a_gpu_without_kernels_is_found_before_any_photo_is_read(
    model: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime makes a session for a card that its kernels were not built for."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", FailingGpu)
    with pytest.raises(BackendUnavailable, match=r"device cuda: .*cannot run it: CUDA error 209: no kernel image"):
        choose(model, "cuda")
    backend = choose(model, "auto")
    assert backend.name == "ONNX Runtime, CPU"
    assert "device cuda: ONNX Runtime, cuda loads the model but cannot run it: CUDA error 209" in backend.why


def test_an_engine_that_its_gpu_does_not_run_is_an_error_by_any_name(
    engine: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gseg_runtime.backends.trt._import", lambda name: make_trt(driver))
    monkeypatch.setattr(Driver, "_cuStreamSynchronize", lambda self, stream: self.queues[stream.value].clear() or 209)
    for device, named in (("auto", "trt"), ("trt:0", "trt:0")):
        with pytest.raises(
            BackendUnavailable,
            match=rf"device {named}: .*cannot run it: CUDA: cuStreamSynchronize failed with error 209",
        ):
            choose(engine, device)
    assert driver.memory == {}


def test_what_onnx_runtime_says_of_libraries_is_not_mixed_with_data(
    model: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its wheel for GPUs prints to stdout, which carries JSON; this session then falls back to the CPU, as there."""
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.preload_dlls", lambda **_: print("Failed to load libcublas.so.13"))
    monkeypatch.setattr("gseg_runtime.backends.ort._open_session", lambda *_: InferenceSession(model))
    with pytest.raises(BackendUnavailable, match="could not start it"):
        choose(model, "cuda")
    assert choose(model, "auto").why.startswith("device cuda: ONNX Runtime found the provider but could not")
    assert capsys.readouterr().out == ""
