"""Inference engines, and the choice among them."""

import re
from pathlib import Path

from gseg_runtime.backends.base import Backend
from gseg_runtime.driver import driver_problem
from gseg_runtime.errors import BackendUnavailable, GsegError, UsageError

DEVICES = "auto, cpu, cuda, cuda:N, trt, trt:N or openvino"


def choose(model: Path, device: str = "auto", cache: Path | None = None, batch: int | None = None) -> Backend:
    """Load a model on `device`, one of DEVICES; see `Segmenter.load`.

    "auto" is TensorRT for an engine, and for an ONNX model CUDA where it is to be had and the CPU elsewhere. A device
    asked for by name and not to be had is a BackendUnavailable; "auto" says in `why` what it did without.
    """
    if not re.fullmatch(r"auto|cpu|openvino|(cuda|trt)(:\d+)?", device):
        raise UsageError(f"device: expected {DEVICES}, got {device!r}")
    if model.suffix == ".engine":
        return _engine(model, device)
    if model.suffix != ".onnx":
        message = f"{model}: expected an ONNX model (.onnx) or a TensorRT engine (.engine)"
        raise GsegError(message, "gseg export makes one from a checkpoint")
    if device == "openvino":
        from gseg_runtime.backends.openvino import OpenVinoBackend

        return OpenVinoBackend(model)
    from gseg_runtime.backends.ort import OrtBackend

    return OrtBackend(model, device, cache, batch) if device != "auto" else _best(model, batch)


def _engine(model: Path, device: str) -> Backend:
    from gseg_runtime.backends.trt import TensorRTBackend

    if device != "auto" and not device.startswith("trt"):
        message = f"device {device}: {model.name} is an engine, which only TensorRT runs"
        raise UsageError(message, "use --device trt, or the model.onnx that it was built from")
    return TensorRTBackend(model, "trt" if device == "auto" else device)


def _best(model: Path, batch: int | None) -> Backend:
    from gseg_runtime.backends.ort import OrtBackend

    why = _why_no_cuda()
    if not why:
        try:
            backend = OrtBackend(model, "cuda", None, batch)
            # Building an engine takes minutes, so nobody is made to wait for it unasked.
            backend.why = "TensorRT only where it is asked for: --device trt, or an engine by gseg export --trt"
            return backend
        except BackendUnavailable as error:
            why = error.message
    backend = OrtBackend(model, "cpu", None, batch)
    backend.why = why
    return backend


def _why_no_cuda() -> str:
    from gseg_runtime.backends.ort import has_cuda_provider

    if problem := driver_problem():
        return problem
    return "" if has_cuda_provider() else "an NVIDIA driver is here, but ONNX Runtime without GPU support"
