"""OpenVINO on the CPU: of use where its kernels are the faster ones, above all with 8-bit models."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gseg_runtime.backends.base import CONFIDENCE, INPUT, LABELS, Backend
from gseg_runtime.enlarged import Plane
from gseg_runtime.errors import BackendUnavailable, GsegError, ModelCardError
from gseg_runtime.label_map import Pixels
from gseg_runtime.onnx_file import read_card
from gseg_runtime.workers import num_cores


class OpenVinoBackend(Backend):
    """One compiled model, and a request of its own for each thread that asks.

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
            self._model = openvino.Core().compile_model(str(model), "CPU", config)
        except Exception as error:  # its exceptions are RuntimeErrors of any text
            raise GsegError(f"{model}: OpenVINO cannot load it: {error}") from error
        names = {name for output in self._model.outputs for name in output.get_names()}
        if LABELS not in names or {name for each in self._model.inputs for name in each.get_names()} != {INPUT}:
            raise ModelCardError(f"{model}: no graph from {INPUT} to {LABELS}", "export the model with gseg export")
        self.outputs = tuple(name for name in (LABELS, CONFIDENCE) if name in names)
        self._own = threading.local()

    def infer(self, images: Pixels, outputs: Sequence[str]) -> list[Plane]:
        """uint8 [N, S, S] per output, of images uint8 [N, S, S, 3]."""
        if not hasattr(self._own, "request"):
            self._own.request = self._model.create_infer_request()
        self._own.request.infer({INPUT: images})
        # The request writes its next answer to the same memory.
        return [self._own.request.get_tensor(name).data.copy() for name in outputs]

    def close(self) -> None:
        """Free the model."""
        del self._model


def _import_openvino() -> Any:
    """Importing OpenVINO tells its makers of it over the network, unless this module is missing."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise BackendUnavailable(f"OpenVINO cannot be imported: {error}", "pip install 'gseg[openvino]'") from error
    return openvino
