"""What an export starts from, and who says what is right: PyTorch of a checkpoint, ONNX Runtime of a model file."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from gseg_export.graph import INPUT, LABELS, Model, output_names, read_graph
from gseg_runtime.backends.ort import EXACT_INT8
from gseg_runtime.errors import GsegError
from gseg_runtime.model_card import ModelCard
from gseg_runtime.telemetry import no_telemetry

Images = npt.NDArray[np.uint8]  # [N, S, S, 3], RGB
LabelMaps = npt.NDArray[np.uint8]  # [N, S, S]
Label = Callable[[Images], LabelMaps]


@dataclass(frozen=True)
class Source:
    """graph: with its weights; label: what every export of it must agree with; judge: who that is.

    model: the file the graph was read from, None when it was not exported before.
    """

    graph: onnx.ModelProto
    card: ModelCard
    label: Label
    judge: str
    model: Model | None = None


def from_model(path: Path) -> Source:
    """What there is to export of a model that `gseg export` wrote; GsegError when it is none. Needs no PyTorch."""
    graph, card = read_graph(path)
    model = Model(path.read_bytes(), card, output_names(graph))
    return Source(graph, card, run_onnx(model.onnx, path), "ONNX Runtime", model)


def run_onnx(model: bytes, path: Path) -> Label:
    """Labels by ONNX Runtime on the CPU; `path` names the model in errors."""
    no_telemetry()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.add_session_config_entry(*EXACT_INT8)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base class
        raise GsegError(f"{path}: ONNX Runtime cannot load it: {error}") from error
    return lambda images: session.run([LABELS], {INPUT: images})[0]
