"""Memory and streams of a GPU by the CUDA driver's own C library, which is there wherever TensorRT runs.

https://docs.nvidia.com/cuda/cuda-driver-api
"""

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_runtime.driver import open_driver
from gseg_runtime.errors import GsegError

Bytes = npt.NDArray[np.uint8]


class Cuda:
    """One GPU. Every thread that calls it must have called `use` before. Addresses and streams are plain numbers."""

    def __init__(self, index: int) -> None:
        """BackendUnavailable when there is no driver."""
        self._library = open_driver()
        self._device = ctypes.c_int()
        self._context = ctypes.c_void_p()
        self._memory: list[tuple[str, Any]] = []  # how to free, and what
        self._call("cuDeviceGet", ctypes.byref(self._device), index)
        # The context that TensorRT uses too.
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(self._context), self._device)
        self.use()

    def use(self) -> None:
        """Make this the GPU of the calling thread."""
        self._call("cuCtxSetCurrent", self._context)

    def device_memory(self, num_bytes: int) -> int:
        """The address of new memory on the GPU."""
        address = ctypes.c_void_p()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(num_bytes))
        self._memory.append(("cuMemFree_v2", address))
        return address.value or 0

    def host_memory(self, num_bytes: int) -> Bytes:
        """uint8 [num_bytes] that the GPU copies from and to while the processor does something else (pinned)."""
        address = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(num_bytes), ctypes.c_uint(0))
        self._memory.append(("cuMemFreeHost", address))
        return np.ctypeslib.as_array((ctypes.c_uint8 * num_bytes).from_address(address.value or 0))

    def stream(self) -> int:
        """A queue of work of its own, which waits for no other."""
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(1))
        self._memory.append(("cuStreamDestroy_v2", stream))
        return stream.value or 0

    def upload(self, address: int, data: npt.NDArray[Any], stream: int) -> None:
        """Queue a copy to the GPU."""
        source, size = ctypes.c_void_p(data.ctypes.data), ctypes.c_size_t(data.nbytes)
        self._call("cuMemcpyHtoDAsync_v2", ctypes.c_void_p(address), source, size, ctypes.c_void_p(stream))

    def download(self, data: npt.NDArray[Any], address: int, stream: int) -> None:
        """Queue a copy from the GPU."""
        target, size = ctypes.c_void_p(data.ctypes.data), ctypes.c_size_t(data.nbytes)
        self._call("cuMemcpyDtoHAsync_v2", target, ctypes.c_void_p(address), size, ctypes.c_void_p(stream))

    def wait(self, stream: int) -> None:
        """Until all that was queued is done."""
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def close(self) -> None:
        """Free everything."""
        self.use()
        while self._memory:
            free, what = self._memory.pop()
            self._call(free, what)
        self._call("cuDevicePrimaryCtxRelease_v2", self._device)

    def _call(self, name: str, *arguments: Any) -> None:
        if status := getattr(self._library, name)(*arguments):
            raise GsegError(
                f"CUDA: {name} failed with error {status}", "is the GPU's memory full? try a smaller --batch"
            )
