"""ONNX Runtime: on the CPU, or on an NVIDIA GPU by its CUDA or its TensorRT provider."""

import re
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from gseg_runtime.backends.base import CONFIDENCE, INPUT, LABELS, LOGITS, Answer, Backend, check_card
from gseg_runtime.cuda_libraries import preload, preload_tensorrt
from gseg_runtime.driver import DRIVER_HINT, describe_gpu
from gseg_runtime.errors import BackendUnavailable, GsegError, ModelCardError
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import Pixels
from gseg_runtime.model_card import ModelCard
from gseg_runtime.onnx_file import path_or_content, read_card
from gseg_runtime.pip_hint import install
from gseg_runtime.telemetry import no_telemetry

_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_CPU = "CPUExecutionProvider"
GPU_BATCH, GPU_PIXELS = 32, 2**21  # at most, of a batch: of larger inputs three batches at once fill a GPU
GPU_ANSWER = 2**28  # bytes of logits, of which there is a plane per class, on the GPU and in each of three batches here
# Of a session: on x86 without VNNI instructions 8-bit products overflow unless it is told to be exact. It is slower for
# it, but not with the weights of seven bits that the export makes for CPUs.
EXACT_INT8 = ("session.x64quantprecision", "1")
_OUTPUTS = {LABELS: ("tensor(uint8)", 3), CONFIDENCE: ("tensor(uint8)", 3), LOGITS: ("tensor(float)", 4)}
# Gives every convolution in 8 bits a bias in 32, which TensorRT does not take; the export leaves it in float for that.
_NOT_FOR_TENSORRT = ("WeightBiasQuantization",)
_EXTRAS = {"cuda": "gpu", "trt": "ort-trt"}


class OrtBackend(Backend):
    """One session that all workers share.

    device: "cpu", "cuda", "trt", and the latter two with ":N". cache, batch: see `Segmenter.load`.
    Raises BackendUnavailable when ONNX Runtime or the device cannot be had, ModelCardError when the model is not one of
    gseg's.
    """

    def __init__(self, model: Path, device: str = "cpu", cache: Path | None = None, batch: int | None = None) -> None:
        ort = _import_ort()
        kind = device.partition(":")[0]
        self.name = {"cpu": "ONNX Runtime, CPU", "trt": f"ONNX Runtime, TensorRT ({device})"}.get(
            kind, f"ONNX Runtime, {device}"
        )
        self._is_gpu = kind != "cpu"
        self.card = read_card(model)
        self.batch = 1 if kind == "cpu" else batch or gpu_batch(self.card)
        self.is_batch_fixed = kind == "trt"  # another shape would build another engine
        providers = _providers(
            ort, device, self.card, lambda: _trt_options(ort, model, device, self.card, self.batch, cache)
        )
        self._session = _open_session(ort, model, providers)
        wanted = providers[0] if kind == "cpu" else providers[0][0]
        if self._session.get_providers()[0] != wanted:  # it goes on with the next one, and says so nowhere else
            raise BackendUnavailable(
                f"device {device}: ONNX Runtime found the provider but could not start it",
                f"run gseg doctor to see what is missing; or {_install(kind)}",
            )
        self.outputs = _check_graph(self._session, model, self.card)

    def infer(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        """An answer per output, of images uint8 [N, S, S, 3]. GsegError when a GPU fails, as when it is full."""
        try:
            return self._session.run(list(outputs), {INPUT: images})
        except Exception as error:  # its exceptions share no base class
            if not self._is_gpu:
                raise
            raise GsegError(f"{self.name}: {error}", "is the GPU's memory full? try a smaller --batch") from error

    def close(self) -> None:
        """Free the session's memory."""
        del self._session


def gpu_batch(card: ModelCard) -> int:
    """How many images a GPU is given at once."""
    num_pixels = card.input_size**2
    return max(1, min(GPU_BATCH, GPU_PIXELS // num_pixels, GPU_ANSWER // (4 * len(card.classes) * num_pixels)))


def has_cuda_provider() -> bool:
    """Whether the installed ONNX Runtime was built for NVIDIA GPUs."""
    return _CUDA in _import_ort().get_available_providers()


def _install(kind: str) -> str:
    return f"pip uninstall -y onnxruntime && {install(_EXTRAS[kind])}, or use --device cpu"


def _import_ort() -> ModuleType:
    no_telemetry()
    try:
        import onnxruntime
    except ImportError as error:
        message = f"ONNX Runtime cannot be imported: {error}"
        raise BackendUnavailable(message, f"{install('cpu')}; for an NVIDIA GPU {install('gpu')}") from error
    if not hasattr(onnxruntime, "InferenceSession"):  # what uninstalling one of its two wheels leaves of the other
        hint = f"pip uninstall -y onnxruntime onnxruntime-gpu, then {install('cpu')} or {install('gpu')}"
        raise BackendUnavailable("ONNX Runtime is installed without its engine", hint)
    onnxruntime.set_default_logger_severity(3)  # errors only, as of the session: it warns that no plugin is registered
    return onnxruntime


def _open_session(ort: ModuleType, model: Path, providers: list[Any]) -> Any:
    options = ort.SessionOptions()
    # The workers are the parallelism, each with a whole image; threads inside an image, and threads that spin while
    # they wait, only take time from them (2.2 times the throughput of the defaults on 2 cores).
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry(*EXACT_INT8)
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only; what matters of the rest is checked here
    try:
        # Its own fallback would print to stdout and go on with another device, also in the middle of a run.
        return ort.InferenceSession(
            path_or_content(model),
            options,
            providers=providers,
            enable_fallback=0,
            disabled_optimizers=_disabled(providers),
        )
    except Exception as error:  # its exceptions share no base class
        message = f"{model}: ONNX Runtime cannot load it: {error}"
        if providers[0] == _CPU:
            raise GsegError(message) from error
        hint = "use --device cpu, or a smaller --batch if the GPU's memory is full"
        raise BackendUnavailable(message, hint) from error


def _disabled(providers: list[Any]) -> tuple[str, ...]:
    return _NOT_FOR_TENSORRT if providers[0][0] == _TENSORRT else ()


def _providers(ort: ModuleType, device: str, card: ModelCard, trt_options: Any) -> list[Any]:
    """trt_options: makes the TensorRT provider's options; called only when they are needed."""
    kind = device.partition(":")[0]
    if kind == "cpu":
        return [_CPU]
    _check_gpu(device)
    wanted = _TENSORRT if kind == "trt" else _CUDA
    if wanted not in ort.get_available_providers():
        message = (
            f"device {device}: this ONNX Runtime was built without {'TensorRT' if kind == 'trt' else 'GPU support'}"
        )
        raise BackendUnavailable(message, _install(kind))
    preload(ort)
    cuda = (_CUDA, _cuda_options(device, card))
    return [cuda, _CPU] if kind == "cuda" else [(_TENSORRT, trt_options()), cuda, _CPU]


def _cuda_options(device: str, card: ModelCard) -> dict[str, Any]:
    """The exhaustive search is the provider's default and makes the first images take seconds.

    So is TF32, which is not the float32 that the export was verified in. But without it cuDNN gets no tensor cores at
    all, which half precision is made for.
    """
    tf32 = "1" if card.precision == "fp16" else "0"
    return {"device_id": _index(device), "cudnn_conv_algo_search": "HEURISTIC", "use_tf32": tf32}


def _check_gpu(device: str) -> None:
    """BackendUnavailable without a driver, or without a GPU of that number: no other ONNX Runtime would help."""
    try:
        describe_gpu(_index(device))
    except BackendUnavailable as error:
        raise BackendUnavailable(
            f"device {device}: {error.message}", f"{error.hint or DRIVER_HINT}; or use --device cpu"
        ) from error


def _index(device: str) -> int:
    return int(device.partition(":")[2] or 0)


def _trt_options(
    ort: ModuleType, model: Path, device: str, card: ModelCard, batch: int, cache: Path | None
) -> dict[str, str]:
    """One profile of one shape, in the card's precision. What is kept lies in a folder of its own below `cache`."""
    preload_tensorrt()
    shape = f"{INPUT}:{batch}x{card.input_size}x{card.input_size}x3"
    profile = {f"trt_profile_{which}_shapes": shape for which in ("min", "opt", "max")}
    options = {"device_id": str(_index(device)), **profile, **_TRT_PRECISION.get(card.precision, {})}
    if cache is None:
        return options
    folder = str(_cache_folder(cache, f"{sha256_file(model)[:16]}-{_place(ort, device)}-b{batch}"))
    kept = {"trt_engine_cache_path": folder, "trt_timing_cache_path": folder}
    return {**options, "trt_engine_cache_enable": "True", "trt_timing_cache_enable": "True", **kept}


# Its networks are weakly typed: of types in the graph TensorRT takes only those that are allowed here.
_TRT_PRECISION = {"fp16": {"trt_fp16_enable": "True"}, "int8-trt": {"trt_int8_enable": "True"}}


def _place(ort: ModuleType, device: str) -> str:
    """Everything that an engine depends on besides its model and its shape."""
    gpu = describe_gpu(_index(device))
    parts = (ort.__version__, _tensorrt_version(), gpu.name, gpu.compute_capability, gpu.driver)
    return "-".join(re.sub(r"[^\w.+]", "_", part) for part in parts)


def _cache_folder(cache: Path, key: str) -> Path:
    """The folder `key` below `cache`; ONNX Runtime makes it, but not the folders above it. GsegError when it cannot."""
    try:
        (cache / key).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GsegError(f"{cache / key}: no folder for engines can be made here: {error.strerror}") from error
    return cache / key


def _tensorrt_version() -> str:
    for name in ("tensorrt-cu13-libs", "tensorrt-cu12-libs", "tensorrt"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "system"


def _check_graph(session: Any, model: Path, card: ModelCard) -> tuple[str, ...]:
    """The outputs that can be asked for; ModelCardError when the graph is not what a card promises."""
    inputs = [(tensor.name, tensor.type, len(tensor.shape)) for tensor in session.get_inputs()]
    outputs = {tensor.name: (tensor.type, len(tensor.shape)) for tensor in session.get_outputs()}
    if inputs != [(INPUT, "tensor(uint8)", 4)] or outputs.get(LABELS) != _OUTPUTS[LABELS]:
        message = f"{model}: expected a graph from uint8 [N, S, S, 3] to uint8 [N, S, S], got {inputs} to {outputs}"
        raise ModelCardError(message, "export the model with gseg export")
    check_card(model, card, {each.name: each.shape for each in (*session.get_inputs(), *session.get_outputs())})
    return tuple(name for name, kind in _OUTPUTS.items() if outputs.get(name) == kind)
