"""A GPU and TensorRT as Python: real bookkeeping of addresses, shapes, streams and contexts; ONNX Runtime computes."""

# ruff: noqa: N802, N815 (the names are NVIDIA's)

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime


class Driver:
    """NVIDIA's library: memory and streams. What is uploaded is there only when the stream has run."""

    def __init__(self) -> None:
        self.memory: dict[int, Any] = {}
        self.queues: dict[int, list[Any]] = {}

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cu"):
            raise AttributeError(name)
        return lambda *args: getattr(self, f"_{name}")(*(getattr(arg, "_obj", arg) for arg in args))

    def _ok(self, *args: Any) -> int:
        return 0

    _cuInit = _cuCtxSetCurrent = _cuDevicePrimaryCtxRetain = _cuDevicePrimaryCtxRelease_v2 = _ok

    def _cuDeviceGetCount(self, count: Any) -> int:
        count.value = 1
        return 0

    def _cuDeviceGet(self, device: Any, index: int) -> int:
        device.value = index
        return 0

    def _cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:
        name.value = b"NVIDIA H100"
        return 0

    def _cuDeviceGetAttribute(self, value: Any, number: int, device: Any) -> int:
        value.value = {75: 9, 76: 0}[number]
        return 0

    def _cuDriverGetVersion(self, version: Any) -> int:
        version.value = 13020
        return 0

    def _cuMemAlloc_v2(self, address: Any, size: Any) -> int:
        block = (ctypes.c_uint8 * size.value)()
        address.value = ctypes.addressof(block)
        self.memory[address.value] = block
        return 0

    def _cuMemHostAlloc(self, address: Any, size: Any, flags: Any) -> int:
        return self._cuMemAlloc_v2(address, size)

    def _cuMemFree_v2(self, address: Any) -> int:
        del self.memory[address.value]
        return 0

    _cuMemFreeHost = _cuMemFree_v2

    def _cuStreamCreate(self, stream: Any, flags: Any) -> int:
        stream.value = 1000 + len(self.queues)
        self.queues[stream.value] = []
        return 0

    def _cuStreamDestroy_v2(self, stream: Any) -> int:
        assert self.queues[stream.value] == []
        return 0

    def _cuMemcpyHtoDAsync_v2(self, target: Any, source: Any, size: Any, stream: Any) -> int:
        self.queues[stream.value].append(lambda: ctypes.memmove(target, source, size.value))
        return 0

    _cuMemcpyDtoHAsync_v2 = _cuMemcpyHtoDAsync_v2

    def _cuStreamSynchronize(self, stream: Any) -> int:
        for step in self.queues[stream.value]:
            step()
        self.queues[stream.value].clear()
        return 0


def make_trt(driver: Driver, version: str = "11.4.0") -> Any:
    """The module. An engine's bytes are an ONNX file; one profile of the batch that the test says."""
    return SimpleNamespace(
        __version__=version,
        ILogger=_Logger,
        Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=lambda data: _engine(driver, data, logger)),
        nptype=np.dtype,
    )


class _Logger:
    Severity = SimpleNamespace(INTERNAL_ERROR=0, ERROR=1)


def _engine(driver: Driver, data: bytes, logger: Any) -> "_Engine | None":
    if data[:1] != b"\x08":  # where an ONNX file begins
        logger.log(logger.Severity.ERROR, "no plan\nof this version")
        return None
    return _Engine(driver, data)


class _Engine:
    def __init__(self, driver: Driver, data: bytes) -> None:
        self.driver = driver
        self.session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        self.inputs = [tensor.name for tensor in self.session.get_inputs()]
        self.outputs = {tensor.name: tensor for tensor in self.session.get_outputs()}
        self.names = [*self.inputs, *self.outputs]
        self.num_io_tensors = len(self.names)
        self.contexts: list[_Context] = []

    def get_tensor_name(self, index: int) -> str:
        return self.names[index]

    def get_tensor_dtype(self, name: str) -> str:
        return "float32" if name in self.outputs and self.outputs[name].type == "tensor(float)" else "uint8"

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        tensors = {tensor.name: tensor for tensor in (*self.session.get_inputs(), *self.session.get_outputs())}
        return tuple(side if isinstance(side, int) else -1 for side in tensors[name].shape)

    def create_execution_context(self) -> "_Context":
        self.contexts.append(_Context(self))
        return self.contexts[-1]


class _Context:
    """Refuses to run on what was not given, as TensorRT does."""

    def __init__(self, engine: _Engine) -> None:
        self.engine = engine
        self.shape: tuple[int, ...] = ()
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name in self.engine.inputs
        self.shape = tuple(shape)
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self.engine.inputs:
            return self.shape
        return self.shape[0], *self.engine.outputs[name].shape[1:]

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address in self.engine.driver.memory
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        if set(self.addresses) != set(self.engine.names):
            return False
        self.engine.driver.queues[stream].append(self._execute)
        return True

    def _array(self, name: str) -> np.ndarray:
        shape, dtype = self.get_tensor_shape(name), np.dtype(self.engine.get_tensor_dtype(name))
        block = self.engine.driver.memory[self.addresses[name]]
        assert len(block) == np.prod(shape) * dtype.itemsize
        return np.ctypeslib.as_array(block).view(dtype).reshape(shape)

    def _execute(self) -> None:
        feed = {name: self._array(name) for name in self.engine.inputs}
        outputs = self.engine.names[len(feed) :]
        for name, value in zip(outputs, self.engine.session.run(outputs, feed), strict=True):
            self._array(name)[:] = value
