"""TensorRT engines, run without ONNX Runtime: `gseg export --trt` builds them.

One code path for TensorRT 10, 11 and TensorRT-RTX, whose Python modules have the same calls.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from gseg_runtime.backends.base import INPUT, LABELS, OUTPUTS, Answer, Backend, check_card
from gseg_runtime.cuda import Cuda
from gseg_runtime.driver import describe_gpu, driver_problem
from gseg_runtime.engine_file import REBUILD, RTX, EngineFacts, read_facts
from gseg_runtime.errors import BackendUnavailable, GsegError, ModelCardError
from gseg_runtime.label_map import Pixels
from gseg_runtime.pip_hint import install
from gseg_runtime.tensorrt_log import quiet_logger

NUM_SLOTS = 3  # one is copied to, one computes, one is copied from


class TensorRTBackend(Backend):
    """An engine, and slots that calls from several threads take turns with.

    device: "trt" or "trt:N". trt: stands in for the TensorRT module, in tests. BackendUnavailable when the engine
    cannot run here, GsegError when a file is missing or damaged.
    """

    is_batch_fixed = True

    def __init__(self, path: Path, device: str = "trt", trt: Any = None) -> None:
        facts = read_facts(path)
        index = int(device.partition(":")[2] or 0)
        # In this order: TensorRT's runtime, made without a driver, ends the process at its next call.
        if problem := driver_problem():
            raise BackendUnavailable(f"{path}: {problem}", "engines need an NVIDIA GPU; a model.onnx runs without one")
        trt = trt or _import(facts.tensorrt)
        _check_place(facts, path, index, trt.__version__)
        self.card, self.batch = facts.card, facts.batch
        self.name = f"TensorRT {facts.tensorrt_version}, {device}"
        self._cuda = Cuda(index)
        self._logger = quiet_logger(trt)
        self._runtime = trt.Runtime(self._logger)
        if facts.portable:
            self._runtime.engine_host_code_allowed = True  # the runtime of its own version, which it brings along
        self._engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if self._engine is None:
            message = f"{path}: TensorRT {trt.__version__} does not take this engine: {self._logger.why()}"
            raise BackendUnavailable(message, REBUILD)
        names = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
        if INPUT not in names or LABELS not in names:
            raise ModelCardError(
                f"{path}: expected an engine from {INPUT} to {LABELS}, got {', '.join(names)}", REBUILD
            )
        check_card(path, self.card, {name: tuple(self._engine.get_tensor_shape(name)) for name in names})
        self.outputs = tuple(name for name in OUTPUTS if name in names)
        self._slots: SimpleQueue[_Slot] = SimpleQueue()
        for _ in range(NUM_SLOTS):
            self._slots.put(_Slot(trt, self._engine, names, self._cuda, self._shape))

    @property
    def _shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.card.input_size, self.card.input_size, 3

    def infer(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        """An answer per output, of images uint8 [N, S, S, 3]; any N goes through in whole batches."""
        parts = [images[start : start + self.batch] for start in range(0, len(images), self.batch)]
        answers = [self._infer(part, outputs) for part in parts]
        return [np.concatenate(planes) for planes in zip(*answers, strict=True)]

    def _infer(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        self._cuda.use()
        slot = self._slots.get()
        try:
            return slot.run(images, outputs)
        finally:
            self._slots.put(slot)

    def close(self) -> None:
        """Free the engine and its memory."""
        while not self._slots.empty():
            self._slots.get().close()
        del self._engine, self._runtime  # before the context that they live in
        self._cuda.close()


class _Slot:
    """An execution context with its own stream and its own memory on both sides; shapes and addresses never change."""

    def __init__(self, trt: Any, engine: Any, names: Sequence[str], cuda: Cuda, shape: tuple[int, ...]) -> None:
        self._cuda = cuda
        self._stream = cuda.stream()
        self._context = engine.create_execution_context()
        if self._context is None or not self._context.set_input_shape(INPUT, shape):
            raise BackendUnavailable(f"the engine takes no input of {'x'.join(map(str, shape))}", REBUILD)
        self._host: dict[str, Answer] = {}
        self._address: dict[str, int] = {}
        for name in names:
            tensor_shape = tuple(self._context.get_tensor_shape(name))
            dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
            num_bytes = int(np.prod(tensor_shape)) * dtype.itemsize
            self._address[name] = cuda.device_memory(num_bytes)
            self._context.set_tensor_address(name, self._address[name])
            if name in (INPUT, *OUTPUTS):
                self._host[name] = cuda.host_memory(num_bytes).view(dtype).reshape(tensor_shape)

    def run(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        """Of up to a batch of images; what stood behind them from before is computed again, and left out."""
        self._host[INPUT][: len(images)] = images
        self._cuda.upload(self._address[INPUT], self._host[INPUT], self._stream)
        if not self._context.execute_async_v3(self._stream):
            raise GsegError("TensorRT could not run the engine", REBUILD)
        for name in outputs:
            self._cuda.download(self._host[name], self._address[name], self._stream)
        self._cuda.wait(self._stream)
        return [self._host[name][: len(images)].copy() for name in outputs]

    def close(self) -> None:
        del self._context


def _import(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        hint = "pip install tensorrt-rtx" if name == RTX else install("tensorrt")
        raise BackendUnavailable(
            f"the engine needs the module {name}, which cannot be imported: {error}", hint
        ) from error


def _check_place(facts: EngineFacts, path: Path, index: int, version: str) -> None:
    """BackendUnavailable where the engine cannot run; a GPU of another name, but of the same kind, runs it."""
    built_with = facts.tensorrt_version
    if version != built_with and not (facts.portable and _numbers(version) > _numbers(built_with)):
        raise BackendUnavailable(f"{path}: built with TensorRT {built_with}, here is {version}", REBUILD)
    gpu = describe_gpu(index)
    if facts.gpu is None or facts.compute_capability == gpu.compute_capability:
        return
    if not (facts.portable and _numbers(gpu.compute_capability) >= _AMPERE):
        there = f"{facts.gpu} (compute capability {facts.compute_capability})"
        message = f"{path}: built for {there}, here is {gpu.name} ({gpu.compute_capability})"
        raise BackendUnavailable(message, REBUILD)


_AMPERE = (8, 0)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
