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
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


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
        raise BackendUnavailable(f"no GPU {index}: the driver knows {count.value}")
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
        raise BackendUnavailable(f"no NVIDIA driver ({_LIBRARY} cannot be loaded)", DRIVER_HINT) from None
    _check(cuda, cuda.cuInit(0))
    return cuda


def _check(cuda: Any, status: int) -> None:
    if status:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(status, ctypes.byref(text))
        raise BackendUnavailable(
            f"the NVIDIA driver finds no usable GPU: {(text.value or b'error').decode()} ({status})"
        )


def _attribute(cuda: Any, device: ctypes.c_int, number: int) -> int:
    value = ctypes.c_int()
    _check(cuda, cuda.cuDeviceGetAttribute(ctypes.byref(value), number, device))
    return value.value


def _version(cuda: Any) -> str:
    version = ctypes.c_int()
    _check(cuda, cuda.cuDriverGetVersion(ctypes.byref(version)))
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
