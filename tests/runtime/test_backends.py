import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import MakeModel, brightness_graph

from gseg_cli.app import main
from gseg_runtime.backends import choose
from gseg_runtime.backends.base import LABELS
from gseg_runtime.backends.ort import OrtBackend, has_cuda_provider
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import BackendUnavailable, GsegError, ModelCardError, UsageError


def test_a_batch_gives_what_each_image_gives(model: Path) -> None:
    backend = choose(model, "cpu")
    batch = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    labels = backend.run(batch)
    assert labels.dtype == np.uint8 and labels.shape == (5, 32, 32)
    np.testing.assert_array_equal(labels, batch.mean(axis=3).astype(int) // 64)
    np.testing.assert_array_equal(labels[3:4], backend.run(batch[3:4]))


def logits_of(images: np.ndarray) -> np.ndarray:
    """As the graph of the tests makes them: float64 [N, 4, S, S]."""
    return -np.abs(images.mean(axis=3)[:, None] - np.array([32, 96, 160, 224]).reshape(4, 1, 1))


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_logits_are_an_output_like_the_others(model_with_logits: Path, model: Path, device: str) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    backend = choose(model_with_logits, device)
    labels, logits = backend.infer(batch, ["labels", "logits"])
    assert backend.outputs == ("labels", "logits") and choose(model, device).outputs == ("labels",)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(labels, backend.run(batch))
    np.testing.assert_allclose(logits, logits_of(batch), atol=1e-3)


@pytest.mark.skipif(has_cuda_provider(), reason="this ONNX Runtime can use a GPU")
def test_a_gpu_asked_for_and_not_to_be_had_is_an_error_but_auto_goes_on(model: Path) -> None:
    with pytest.raises(BackendUnavailable, match="device cuda:1") as caught:
        choose(model, "cuda:1")
    assert "--device cpu" in str(caught.value.hint)
    backend = choose(model, "auto")
    assert backend.name == "ONNX Runtime, CPU"
    assert backend.why


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "trt:", "openvino:1", ""])
def test_unknown_devices_are_a_usage_error(model: Path, device: str) -> None:
    with pytest.raises(UsageError, match="expected auto, cpu, cuda"):
        choose(model, device)


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(GsegError, match="no such model"):
        choose(tmp_path / "missing.onnx")
    (tmp_path / "broken.onnx").write_text("no model")
    with pytest.raises(GsegError, match=r"broken\.onnx: not an ONNX model"):
        choose(tmp_path / "broken.onnx")
    with pytest.raises(GsegError, match="expected an ONNX model"):
        choose(tmp_path / "checkpoint.safetensors")


def test_models_of_others_are_refused(make_model: MakeModel) -> None:
    with pytest.raises(ModelCardError, match="has no gseg model card"):
        OrtBackend(make_model(metadata=None))
    with pytest.raises(ModelCardError, match="not valid JSON"):
        OrtBackend(make_model(metadata="{"))
    with pytest.raises(ModelCardError, match=r"model\.onnx: model card: no classes"):
        OrtBackend(make_model(metadata='{"format": 1}'))


def test_a_graph_that_is_not_what_its_card_says_is_refused(model: Path, tmp_path: Path) -> None:
    graph = onnx.load(model)
    del graph.graph.node[-1]  # the cast to uint8
    del graph.graph.output[0]
    graph.graph.output.append(onnx.helper.make_tensor_value_info("classes", onnx.TensorProto.FLOAT, None))
    onnx.save(graph, tmp_path / "float.onnx")
    with pytest.raises(ModelCardError, match="expected a graph from uint8"):
        OrtBackend(tmp_path / "float.onnx")


@pytest.mark.parametrize("device", ["auto", "cpu", "openvino"])
@pytest.mark.parametrize(
    ("classes", "size", "words"),
    [
        (["background", "dark"], 32, "tells of 2 classes, but the network has 4"),
        (list("abcde"), 32, "tells of 5 classes, but the network has 4"),
        (list("abcd"), 64, "tells of 64 pixels, but the network has 32"),
    ],
)
def test_a_card_of_another_network_is_refused(
    make_model: MakeModel, device: str, classes: list[str], size: int, words: str
) -> None:
    model = make_model(logits=True, classes=ClassMap.of_names(classes), input_size=size)
    with pytest.raises(ModelCardError, match=f"the model card {words}"):
        choose(model, device)


@pytest.mark.parametrize("more", [[], ["--stats"]])
def test_a_network_of_more_classes_than_its_card_names_ends_the_run(
    make_model: MakeModel, photos: Path, tmp_path: Path, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(classes=ClassMap.of_names(["background", "dark"]))
    assert main(["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model), *more]) == 1
    assert "its card names only 2, counted from 0" in capsys.readouterr().err


def test_the_test_model_is_valid_onnx() -> None:
    onnx.checker.check_model(brightness_graph(32), full_check=True)


def test_capital_letters_in_a_device_and_in_a_suffix_are_no_others(model: Path, tmp_path: Path) -> None:
    (tmp_path / "model.ONNX").write_bytes(model.read_bytes())
    for device in ("CPU", "Cpu", "AUTO"):
        assert choose(tmp_path / "model.ONNX", device).name.startswith("ONNX Runtime")
    with pytest.raises(GsegError, match=r"no such engine|NVIDIA driver"):
        choose(tmp_path / "model.ENGINE")


@pytest.mark.parametrize("device", ["cpu", "openvino"])
def test_a_model_below_a_folder_whose_name_is_not_utf8_labels_as_any_other(
    device: str, model: Path, tmp_path: Path
) -> None:
    if device == "openvino":
        pytest.importorskip("openvino")
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    old = Path(shutil.copy(model, folder))
    images = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    answers = [choose(path, device).infer(images, [LABELS])[0] for path in (old, model)]
    np.testing.assert_array_equal(*answers)
