"""OpenVINO on the CPU: of use where its kernels are the faster ones, above all with 8-bit models."""

from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from gseg_runtime.backends.base import INPUT, LABELS, OUTPUTS, Answer, Backend, check_card
from gseg_runtime.errors import BackendUnavailable, GsegError, ModelCardError
from gseg_runtime.label_map import Pixels
from gseg_runtime.onnx_file import path_or_content, read_card
from gseg_runtime.pip_hint import install
from gseg_runtime.telemetry import no_telemetry
from gseg_runtime.workers import num_cores


class OpenVinoBackend(Backend):
    """One compiled model, and a request per core that calls from several threads take turns with.

    BackendUnavailable when OpenVINO is not installed, ModelCardError when the model is not one of gseg's.
    """

    name = "OpenVINO, CPU"

    def __init__(self, model: Path) -> None:
        openvino = _import_openvino()
        self.card = read_card(model)  # OpenVINO drops the metadata
        config = {
            "INFERENCE_PRECISION_HINT": "f32",  # where the processor has bfloat16 it would take that, and labels differ
            "NUM_STREAMS": str(num_cores()),  # as many images at once as there are workers,
            "INFERENCE_NUM_THREADS": str(num_cores()),  # each in one thread
        }
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(path_or_content(model)), "CPU", config)
        except Exception as error:  # its exceptions are RuntimeErrors of any text
            raise GsegError(f"{model}: OpenVINO cannot load it: {error}") from error
        names = {name for output in self._model.outputs for name in output.get_names()}
        if LABELS not in names or {name for each in self._model.inputs for name in each.get_names()} != {INPUT}:
            raise ModelCardError(f"{model}: no graph from {INPUT} to {LABELS}", "export the model with gseg export")
        check_card(model, self.card, dict(map(_shape, (*self._model.inputs, *self._model.outputs))))
        self.outputs = tuple(name for name in OUTPUTS if name in names)
        # Made once and freed by `close`: one that ends with its thread may wait there for OpenVINO's own thread, which
        # waits for Python's lock.
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(num_cores()):
            self._requests.put(self._model.create_infer_request())

    def infer(self, images: Pixels, outputs: Sequence[str]) -> list[Answer]:
        """An answer per output, of images uint8 [N, S, S, 3]."""
        request = self._requests.get()
        try:
            request.infer({INPUT: images})
            # The request writes its next answer to the same memory.
            return [request.get_tensor(name).data.copy() for name in outputs]
        finally:
            self._requests.put(request)

    def close(self) -> None:
        """Free the model."""
        while not self._requests.empty():
            self._requests.get()
        del self._model


def _shape(port: Any) -> tuple[str, list[int | None]]:
    """With its name; None for a side of any length."""
    sides = port.get_partial_shape()
    return port.get_any_name(), [side.get_length() if side.is_static else None for side in sides]


def _import_openvino() -> Any:
    no_telemetry()
    try:
        import openvino
    except ImportError as error:
        raise BackendUnavailable(f"OpenVINO cannot be imported: {error}", install("openvino")) from error
    return openvino
