"""ONNX Runtime, on the CPU or an NVIDIA GPU."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_runtime.errors import BackendUnavailable, GsegError, ModelCardError
from gseg_runtime.model_card import METADATA_KEY, ModelCard

_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"


class OrtBackend:
    """One session that all workers share.

    device: "cpu", "cuda" or "cuda:N". Raises BackendUnavailable when ONNX Runtime or the device cannot be had,
    ModelCardError when the model is not one of gseg's.
    """

    def __init__(self, model: Path, device: str = "cpu") -> None:
        ort = _import_ort()
        self.why = ""
        self.name = f"ONNX Runtime, {'CPU' if device == 'cpu' else device}"
        self._session = _open_session(ort, model, device)
        if device != "cpu" and self._session.get_providers()[0] != _CUDA:
            raise BackendUnavailable(
                f"device {device}: ONNX Runtime found the GPU provider but could not start it",
                "check the NVIDIA driver and the CUDA libraries (pip install 'gseg[gpu]'), or use --device cpu",
            )
        self.card = read_card(self._session, model)
        self._input = self._session.get_inputs()[0].name

    def run(self, batch: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """Label maps uint8 [N, S, S] of images uint8 [N, S, S, 3]."""
        return self._session.run(None, {self._input: batch})[0]

    def close(self) -> None:
        """Free the session's memory."""
        del self._session


def read_card(session: Any, model: Path) -> ModelCard:
    """The card in a session's metadata; ModelCardError when there is none or the graph is not what it says."""
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ModelCardError(f"{model}: carries no gseg model card", "export the model with gseg export")
    try:
        card = ModelCard.from_json(json.loads(text))
    except ValueError as error:
        raise ModelCardError(f"{model}: the model card is not valid JSON: {error}") from error
    except GsegError as error:
        raise ModelCardError(f"{model}: {error.message}", error.hint) from error
    _check_graph(session, model)
    return card


def has_cuda_provider() -> bool:
    """Whether the installed ONNX Runtime was built for NVIDIA GPUs."""
    return _CUDA in _import_ort().get_available_providers()


def _import_ort() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        message = f"ONNX Runtime cannot be imported: {error}"
        raise BackendUnavailable(message, "pip install 'gseg[cpu]', or 'gseg[gpu]' for an NVIDIA GPU") from error
    if not hasattr(onnxruntime, "InferenceSession"):  # what uninstalling one of its two wheels leaves of the other
        hint = "pip uninstall -y onnxruntime onnxruntime-gpu, then install one of 'gseg[cpu]' and 'gseg[gpu]'"
        raise BackendUnavailable("ONNX Runtime is installed without its engine", hint)
    return onnxruntime


def _open_session(ort: ModuleType, model: Path, device: str) -> Any:
    if not model.is_file():
        raise GsegError(f"{model}: no such model")
    options = ort.SessionOptions()
    # The workers are the parallelism, each with a whole image; threads inside an image, and threads that spin while
    # they wait, only take time from them (2.2 times the throughput of the defaults on 2 cores).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only; what matters of the rest is checked here
    providers = _providers(ort, device)
    try:
        return ort.InferenceSession(model, options, providers=providers)
    except Exception as error:  # its exceptions share no base class
        raise GsegError(f"{model}: ONNX Runtime cannot load it: {error}") from error


def _providers(ort: ModuleType, device: str) -> list[Any]:
    if device == "cpu":
        return [_CPU]
    if not has_cuda_provider():
        hint = "pip uninstall -y onnxruntime && pip install 'gseg[gpu]', or use --device cpu"
        raise BackendUnavailable(f"device {device}: this ONNX Runtime was built without GPU support", hint)
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # the CUDA libraries that came as wheels
    index = int(device.partition(":")[2] or 0)
    # The exhaustive search is its default and makes the first images take seconds.
    return [(_CUDA, {"device_id": index, "cudnn_conv_algo_search": "HEURISTIC"}), _CPU]


def _check_graph(session: Any, model: Path) -> None:
    inputs = [(tensor.type, len(tensor.shape)) for tensor in session.get_inputs()]
    outputs = [(tensor.type, len(tensor.shape)) for tensor in session.get_outputs()]
    if inputs != [("tensor(uint8)", 4)] or outputs != [("tensor(uint8)", 3)]:
        message = f"{model}: expected a graph from uint8 [N, S, S, 3] to uint8 [N, S, S], got {inputs} to {outputs}"
        raise ModelCardError(message, "export the model with gseg export")
