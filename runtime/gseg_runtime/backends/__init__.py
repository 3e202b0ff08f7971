"""Inference engines, and the choice among them."""

import re
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gseg_runtime.backends.base import Backend
from gseg_runtime.backends.fit import is_for_cpus, slow_because
from gseg_runtime.driver import driver_problem
from gseg_runtime.errors import BackendUnavailable, GsegError, UsageError
from gseg_runtime.model_card import ModelCard
from gseg_runtime.onnx_file import read_card

if TYPE_CHECKING:
    from gseg_runtime.backends.triton import TritonBackend

DEVICES = "auto, cpu, cuda, cuda:N, trt, trt:N, openvino or triton://HOST/MODEL"


def choose(model: Path, device: str = "auto", cache: Path | None = None, batch: int | None = None) -> Backend:
    """Load a model on `device`, one of DEVICES; see `Segmenter.load`.

    "auto" is TensorRT for an engine, and for an ONNX model CUDA where it is to be had and the CPU elsewhere: OpenVINO's
    where ONNX Runtime is missing. A device asked for by name that is not to be had, or fails at its first inference, is
    a BackendUnavailable; "auto" goes on with the next one and says in `why` what it did without. UsageError when the
    model's precision is not for `device`.
    """
    if not (isinstance(device, str) and re.fullmatch(r"auto|cpu|openvino|(cuda|trt)(:\d+)?", device.lower())):
        raise UsageError(f"device: expected {DEVICES}, got {device!r}")
    device, suffix = device.lower(), model.suffix.lower()
    if suffix == ".engine":
        return _engine(model, device)
    if suffix != ".onnx":
        message = f"{model}: expected an ONNX model (.onnx) or a TensorRT engine (.engine)"
        raise GsegError(message, "make one with gseg export CHECKPOINT")
    card = read_card(model)
    return _best(model, card, batch) if device == "auto" else _named(model, card, device, cache, batch)


def connect(address: str) -> "TritonBackend":
    """A model on a server, triton://HOST[:PORT]/MODEL; see `Segmenter.connect`."""
    from gseg_runtime.backends.triton import TritonBackend

    backend = TritonBackend(address)
    _tried(backend, address)
    return backend


def _engine(model: Path, device: str) -> Backend:
    from gseg_runtime.backends.trt import TensorRTBackend

    if device != "auto" and not device.startswith("trt"):
        message = f"device {device}: {model.name} is a TensorRT engine; only TensorRT runs it"
        raise UsageError(message, "use --device trt, or the model.onnx that it was built from")
    device = "trt" if device == "auto" else device
    return _tried(TensorRTBackend(model, device), device)


def _named(model: Path, card: ModelCard, device: str, cache: Path | None, batch: int | None) -> Backend:
    why = slow_because(card, device, model)
    backend = _tried(_open(model, device, cache, batch), device)
    backend.why = why
    return backend


def _open(model: Path, device: str, cache: Path | None, batch: int | None) -> Backend:
    if device == "openvino":
        from gseg_runtime.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(model)
    from gseg_runtime.backends.ort import OrtBackend

    return OrtBackend(model, device, cache, batch)


def _tried(backend: Backend, device: str) -> Backend:
    """The backend once it has inferred zeros: a GPU without kernels for the model takes it all the same.

    BackendUnavailable, with the engine's own message, when that fails.
    """
    size = backend.card.input_size
    try:
        backend.run(np.zeros((backend.batch, size, size, 3), np.uint8))
    except Exception as error:  # those of the engines share no base class
        with suppress(GsegError):  # after some errors of a GPU all else fails too
            backend.close()
        said = error.message.removeprefix(f"{backend.name}: ") if isinstance(error, GsegError) else str(error)
        hint = "choose another --device, or a smaller --batch if the GPU's memory is full; run gseg doctor for more"
        raise BackendUnavailable(
            f"device {device}: {backend.name} loads the model but cannot run it: {said}", hint
        ) from error
    return backend


def _best(model: Path, card: ModelCard, batch: int | None) -> Backend:
    reasons = [_why_no_cuda(card)]
    if not reasons[0]:
        try:
            backend = _named(model, card, "cuda", None, batch)
            # Building an engine takes minutes, so nobody is made to wait for it unasked.
            backend.why = backend.why or _NOT_UNASKED
            return backend
        except BackendUnavailable as error:
            reasons = [error.message]
    backend = _on_cpu(model, card, batch)
    backend.why = "; ".join(filter(None, [*reasons, backend.why]))
    return backend


def _on_cpu(model: Path, card: ModelCard, batch: int | None) -> Backend:
    try:
        return _named(model, card, "cpu", None, batch)
    except BackendUnavailable as error:
        if not find_spec("openvino"):
            raise
        backend = _named(model, card, "openvino", None, batch)
        backend.why = "; ".join(filter(None, [error.message, backend.why]))
        return backend


_NOT_UNASKED = "TensorRT only where it is asked for: --device trt, or an engine by gseg export --trt"


def _why_no_cuda(card: ModelCard) -> str:
    from gseg_runtime.backends.ort import has_cuda_provider

    if problem := driver_problem():
        return problem
    try:
        has_provider = has_cuda_provider()
    except BackendUnavailable as error:
        return error.message
    if not has_provider:
        return "there is an NVIDIA driver, but ONNX Runtime was installed without GPU support"
    return "the model is int8 for CPUs" if is_for_cpus(card) else ""
