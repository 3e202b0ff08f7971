"""Inference engines, and the choice among them."""

import ctypes
import re
import sys
from pathlib import Path

from gseg_runtime.backends.base import Backend
from gseg_runtime.errors import BackendUnavailable, GsegError, UsageError


def choose(model: Path, device: str = "auto") -> Backend:
    """Load a model on "cpu", "cuda", "cuda:N", or by "auto" on CUDA where it is to be had and the CPU elsewhere.

    A device asked for by name and not to be had is a BackendUnavailable; "auto" says in `why` what it did without.
    """
    from gseg_runtime.backends.ort import OrtBackend

    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", device):
        raise UsageError(f"device: expected auto, cpu, cuda or cuda:N, got {device!r}")
    if model.suffix != ".onnx":
        raise GsegError(f"{model}: expected an ONNX model (.onnx)", "gseg export makes one from a checkpoint")
    if device != "auto":
        return OrtBackend(model, device)
    why = _why_no_cuda()
    if not why:
        try:
            return OrtBackend(model, "cuda")
        except BackendUnavailable as error:
            why = error.message
    backend = OrtBackend(model, "cpu")
    backend.why = why
    return backend


def _why_no_cuda() -> str:
    from gseg_runtime.backends.ort import has_cuda_provider

    if not has_nvidia_driver():
        return "no NVIDIA driver"
    return "" if has_cuda_provider() else "an NVIDIA driver is here, but ONNX Runtime without GPU support"


def has_nvidia_driver() -> bool:
    """Whether the driver's library can be loaded. Asking an engine instead may crash it, or fill the screen."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True
