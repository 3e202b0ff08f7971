"""A model's precision and the device go together, are named as slow, or are refused; TensorRT is told the precision."""

import ctypes
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import MakeModel
from fake_gpu import Driver
from onnx import TensorProto, helper, numpy_helper

from gseg_runtime.backends import choose
from gseg_runtime.backends.ort import _cuda_options, _disabled, _trt_options, gpu_batch
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.model_card import ModelCard
from gseg_runtime.onnx_file import read_card

ORT = SimpleNamespace(__version__="1.31.1")


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    driver, load = Driver(), ctypes.CDLL
    monkeypatch.setattr(ctypes, "CDLL", lambda name, *args, **kw: driver if "cuda" in str(name) else load(name, *args))


@pytest.mark.parametrize(
    ("precision", "told"),
    [
        ("fp32", {}),
        ("fp16", {"trt_fp16_enable": "True"}),
        ("int8-trt", {"trt_int8_enable": "True"}),
    ],
)
def test_tensorrt_is_told_the_precision(make_model: MakeModel, precision: str, told: dict[str, str]) -> None:
    model = make_model(precision=precision)
    options = _trt_options(ORT, model, "trt:0", read_card(model), 8, None)
    assert {key: value for key, value in options.items() if key.endswith("_enable")} == told
    assert options["trt_profile_opt_shapes"] == "images:8x32x32x3"


@pytest.mark.parametrize(("precision", "tf32"), [("fp32", "0"), ("fp16", "1")])
def test_only_half_precision_may_use_tensor_cores(make_model: MakeModel, precision: str, tf32: str) -> None:
    assert _cuda_options("cuda:1", read_card(make_model(precision=precision)))["use_tf32"] == tf32


def test_a_gpu_gets_fewer_images_at_once_the_larger_they_are_and_the_more_classes_there_are() -> None:
    sizes = (32, 128, 256, 512, 1024, 4096)
    for num_classes, expected in ((4, [32, 32, 32, 8, 2, 1]), (64, [32, 32, 16, 4, 1, 1])):
        classes = ClassMap.of_names([f"class {number}" for number in range(num_classes)])
        assert [gpu_batch(ModelCard(classes, size)) for size in sizes] == expected


def test_the_folder_for_engines_is_made_with_those_above_it(model: Path, tmp_path: Path) -> None:
    options = _trt_options(ORT, model, "trt", read_card(model), 8, tmp_path / "cache" / "gseg" / "tensorrt")
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_dir() and folder.parent == tmp_path / "cache" / "gseg" / "tensorrt"
    assert all(part in folder.name for part in ("1.31.1", "NVIDIA_H100", "9.0", "CUDA_13.2", "b8"))
    (tmp_path / "file").touch()
    with pytest.raises(GsegError, match="no folder for engines can be made here"):
        _trt_options(ORT, model, "trt", read_card(model), 8, tmp_path / "file" / "tensorrt")


def quantized_convolution() -> onnx.ModelProto:
    """As the export writes 8 bits for TensorRT: symmetric pairs around input and weights, and a bias in float."""
    weights, bias = np.ones((2, 3, 1, 1), np.int8), np.ones(2, np.float32)
    constants = [("w", weights), ("b", bias), ("scale", np.float32(0.1)), ("zero", np.int8(0))]
    pair = ["scale", "zero"]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", *pair], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", *pair], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", *pair], ["wd"]),
        helper.make_node("Conv", ["xd", "wd", "b"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", *pair], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", *pair], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 4, 4])
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants]
    graph = helper.make_graph(nodes, "convolution", [x], [y], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("provider", ["TensorrtExecutionProvider", "CUDAExecutionProvider"])
def test_tensorrt_is_handed_no_bias_in_32_bits(tmp_path: Path, provider: str) -> None:
    """It takes none, and ONNX Runtime's optimiser puts one in wherever input and weights are in 8 bits."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    disabled = _disabled([(provider, {}), "CPUExecutionProvider"])
    model, cpu = quantized_convolution().SerializeToString(), ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(model, options, providers=cpu, disabled_optimizers=disabled)
    graph = onnx.load(tmp_path / "optimised.onnx").graph
    has_int_bias = any(tensor.data_type == TensorProto.INT32 for tensor in graph.initializer)
    assert has_int_bias is (provider == "CUDAExecutionProvider")


@pytest.mark.parametrize(
    ("precision", "device", "message"),
    [
        (
            "int8",
            "trt",
            "device trt: model.onnx is of precision int8, and TensorRT takes no 8 bits of the kind for CPUs",
        ),
        ("int8-trt", "openvino", "device openvino: model.onnx is of precision int8-trt, and OpenVINO labels otherwise"),
    ],
)
def test_what_an_engine_would_do_wrong_is_refused(
    make_model: MakeModel, precision: str, device: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        choose(make_model(precision=precision), device)
    assert "--int8 DIR" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("precision", "device", "why"),
    [
        ("fp16", "cpu", "half precision is slower on a CPU"),
        ("int8-trt", "cpu", "8 bits for TensorRT are slower on a CPU"),
        ("int8-trt", "cuda", "8 bits for TensorRT are slow without it"),
        ("int8", "cuda", "8 bits for CPUs are slow on a GPU"),
        ("int8", "cpu", "^$"),
        ("int8", "openvino", "^$"),
        ("fp16", "cuda", "^$"),
    ],
)
def test_what_is_merely_slow_is_said(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch, precision: str, device: str, why: str
) -> None:
    if device == "cuda":
        with_a_gpu(monkeypatch)
    assert_matches(choose(make_model(precision=precision), device).why, why)


def test_auto_takes_the_device_that_8_bits_were_made_for(
    make_model: MakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_gpu(monkeypatch)
    backend = choose(make_model(precision="int8"), "auto")
    assert (backend.name, backend.why) == ("ONNX Runtime, CPU", "the model is int8 for CPUs")
    backend = choose(make_model(precision="fp16"), "auto")
    assert backend.name == "ONNX Runtime, cuda" and "TensorRT only where it is asked for" in backend.why


def assert_matches(text: str, pattern: str) -> None:
    assert re.search(pattern, text), text


def with_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr("onnxruntime.InferenceSession", WorkingGpu)


class WorkingGpu(onnxruntime.InferenceSession):
    """ONNX Runtime's own session, which computes on the CPU and says that it is the device that was asked for."""

    def _create_inference_session(self, providers: list[Any], *rest: Any) -> None:
        super()._create_inference_session(["CPUExecutionProvider"], *rest)
        self._providers = [providers[0] if isinstance(providers[0], str) else providers[0][0]]
