"""The ONNX graph as gseg hands it out: its names, its card, and nothing of the machine that made it. Needs no torch."""

import json
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx

from gseg_runtime.errors import GsegError, ModelCardError
from gseg_runtime.model_card import METADATA_KEY, ModelCard
from gseg_runtime.onnx_file import parse_card

INPUT = "images"  # uint8 [batch, S, S, 3], RGB
LABELS, CONFIDENCE, LOGITS = "labels", "confidence", "logits"
# What the card says of each output.
OUTPUTS = {
    LABELS: "uint8 label map",
    CONFIDENCE: "uint8 confidence in 255ths",
    LOGITS: "float32 logits NCHW",
}


def read_graph(path: Path) -> tuple[onnx.ModelProto, ModelCard]:
    """An exported model and its card; GsegError when the file is not one that `gseg export` wrote."""
    if not path.is_file():
        raise GsegError(f"{path}: no such model", "make one with gseg export CHECKPOINT")
    try:
        graph = onnx.load(path, load_external_data=False)
        is_whole = all(tensor.data_location != onnx.TensorProto.EXTERNAL for tensor in graph.graph.initializer)
        if is_whole:
            onnx.checker.check_model(graph)
    except Exception as error:  # protobuf's and the checker's share no base class
        raise GsegError(f"{path}: not an ONNX model: {str(error).partition(chr(10))[0]}") from error
    if not is_whole:
        raise GsegError(f"{path}: its weights are in other files", "export it again; gseg export writes a single file")
    text = {entry.key: entry.value for entry in graph.metadata_props}.get(METADATA_KEY)
    if text is None or [node.name for node in graph.graph.input] != [INPUT] or LABELS not in output_names(graph):
        raise ModelCardError(f"{path}: not a model that gseg export wrote", "export the student's checkpoint first")
    return graph, parse_card(text, path)


def output_names(graph: onnx.ModelProto) -> tuple[str, ...]:
    """LABELS first, then those of CONFIDENCE and LOGITS that were asked for."""
    return tuple(output.name for output in graph.graph.output)


def strip(message: Any) -> None:
    """Remove comments and metadata at every depth: they hold source paths and stack traces of this machine."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                strip(part)


@dataclass(frozen=True)
class Model:
    """A finished ONNX file in memory."""

    onnx: bytes
    card: ModelCard
    outputs: tuple[str, ...]

    @property
    def sha256(self) -> str:
        return sha256(self.onnx).hexdigest()


def finish(graph: onnx.ModelProto, card: ModelCard) -> Model:
    """Put `card` into the graph, whatever else was in its metadata taken out, and have ONNX check it."""
    outputs = output_names(graph)
    card = replace(card, output=" + ".join(OUTPUTS[name] for name in outputs))
    graph.producer_name, _, graph.producer_version = card.created_by.partition(" ")
    graph.graph.name = "gseg"
    texts = {METADATA_KEY: card.to_json(), "names": card.classes.names}  # names: for people and other tools
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in texts.items()})
    onnx.checker.check_model(graph, full_check=True)
    return Model(graph.SerializeToString(), card, outputs)
