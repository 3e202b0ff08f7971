"""What NVIDIA's driver says of the GPUs, through its own C library.

TensorRT must not be asked first: without a driver its runtime object is a null pointer, and the next call on it ends
the process.

NVML (nvidia-ml-py) would be the wrong one to ask. Its numbers need not be CUDA's: it knows neither CUDA_VISIBLE_DEVICES
nor the part of a GPU that MIG gives away. It also names GPUs on which CUDA does not start, and is missing where CUDA
works: in containers without the driver's "utility" part, and on Jetsons before JetPack 6.
"""

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

from gseg_runtime.errors import BackendUnavailable

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
DRIVER_HINT = "check that nvidia-smi lists the GPU; a container needs --gpus all"
# What CUresult means for whoever runs the machine; its own texts say too little.
_HINTS = {
    2: "end what fills the GPU's memory: nvidia-smi lists it",
    46: "another process has the GPU for itself: nvidia-smi lists it",
    100: "a container needs --gpus all, and CUDA_VISIBLE_DEVICES must not hide the GPU; nvidia-smi lists what is there",
    101: "CUDA_VISIBLE_DEVICES must name GPUs that nvidia-smi lists",
    803: "the driver's library and its kernel module are of different versions: restart the machine",
    999: "the driver hangs, as after standby: restart the machine, or reload its module nvidia_uvm",
}
NO_GPU = (100, 101)  # hidden, or not there
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


class DriverError(BackendUnavailable):
    """No GPU can be used. status: the driver's own number for it, a CUresult; None where there is no driver."""

    def __init__(self, message: str, hint: str = DRIVER_HINT, status: int | None = None) -> None:
        super().__init__(message, hint)
        self.status = status


@dataclass(frozen=True)
class Gpu:
    """One GPU. driver: the newest CUDA that its driver runs, "CUDA 13.0"."""

    name: str
    compute_capability: str  # "9.0"
    driver: str


def driver_problem() -> str:
    """Why no GPU can be used, or "" when one can."""
    try:
        open_driver()
    except BackendUnavailable as error:
        return error.message
    return ""


def describe_gpu(index: int = 0) -> Gpu:
    """The GPU of this number; BackendUnavailable when there is none."""
    cuda = open_driver()
    count, device = ctypes.c_int(), ctypes.c_int()
    _check(cuda, cuda.cuDeviceGetCount(ctypes.byref(count)))
    if not 0 <= index < count.value:
        raise DriverError(f"no GPU {index}: the driver knows {count.value}", status=NO_GPU[1])
    _check(cuda, cuda.cuDeviceGet(ctypes.byref(device), index))
    name = ctypes.create_string_buffer(256)
    _check(cuda, cuda.cuDeviceGetName(name, len(name), device))
    major, minor = (_attribute(cuda, device, number) for number in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR))
    return Gpu(name.value.decode(), f"{major}.{minor}", _version(cuda))


def open_driver() -> Any:
    """The driver's library, initialised, with at least one GPU behind it."""
    try:
        cuda = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise DriverError(f"no NVIDIA driver ({_LIBRARY} cannot be loaded)") from None
    _check(cuda, cuda.cuInit(0))
    return cuda


def _check(cuda: Any, status: int) -> None:
    if status:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(status, ctypes.byref(text))
        message = f"the NVIDIA driver finds no usable GPU: {(text.value or b'error').decode()} ({status})"
        raise DriverError(message, _HINTS.get(status, DRIVER_HINT), status)


def _attribute(cuda: Any, device: ctypes.c_int, number: int) -> int:
    value = ctypes.c_int()
    _check(cuda, cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device))
    return value.value


def _version(cuda: Any) -> str:
    version = ctypes.c_int()
    _check(cuda, cuda.cuDriverGetVersion(ctypes.byref(version)))
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
