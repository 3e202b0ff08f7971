"""A network as one ONNX file that takes pictures as they are and answers with label maps."""

import copy
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from gseg_runtime.files import atomic_path
from gseg_runtime.model_card import METADATA_KEY, ModelCard

OPSET = 18  # what the exporter translates to; any other version would be a conversion on top
INPUT, OUTPUT = "images", "labels"


class LabelNetwork(nn.Module):
    """What is exported: uint8 images [N, S, S, 3] -> uint8 label maps [N, S, S].

    network: images float [N, 3, S, S] in [-1, 1] -> logits [N, C, S, S]. It is copied, in float32 on the CPU.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to("cpu", torch.float32)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        # The cast comes first because TensorRT does not transpose uint8.
        image = images.float().permute(0, 3, 1, 2) / 127.5 - 1  # [N, 3, S, S]
        return self.network(image).argmax(dim=1).to(torch.uint8)


def to_onnx(model: nn.Module, card: ModelCard, out: Path) -> Path:
    """Write `model` with its card to `out`, atomically and not yet verified (see `gseg_export.parity`).

    model: images float [N, 3, S, S] in [-1, 1] -> logits [N, C, S, S], S = card.input_size; it is left as it is.
    The graph: uint8 [batch, S, S, 3], RGB -> uint8 [batch, S, S], any batch, weights inside.
    """
    graph = _trace(LabelNetwork(model), card.input_size)
    _strip(graph)
    _describe(graph, card)
    return _save(graph, out)


def write_card(path: Path, card: ModelCard) -> None:
    """Replace the card of an exported model."""
    graph = onnx.load(path)
    _describe(graph, card)
    _save(graph, path)


def _trace(network: LabelNetwork, size: int) -> onnx.ModelProto:
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)  # two, because a batch of one would be taken as fixed
    batch = torch.export.Dim("batch", min=1, max=65535)  # engines are not bound by max, it only ends the search
    with _quiet():
        program = torch.onnx.export(
            network,
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,  # the default writes the weights to a second file
            verbose=False,
        )
    assert program is not None
    return program.model_proto


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what PyTorch's exporter says of its own code: nobody who exports can do anything about it."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")  # "torchvision is not installed"
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)", category=FutureWarning)
            yield
    finally:
        log.setLevel(level)


def _strip(message: Any) -> None:
    """Remove comments and metadata at every depth: they hold source paths and stack traces of this machine."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                _strip(part)


def _describe(graph: onnx.ModelProto, card: ModelCard) -> None:
    graph.producer_name, _, graph.producer_version = card.created_by.partition(" ")
    graph.graph.name = "gseg"
    texts = {METADATA_KEY: card.to_json(), "names": card.classes.names}  # names: for people and other tools
    onnx.helper.set_model_props(graph, {key: json.dumps(value) for key, value in texts.items()})


def _save(graph: onnx.ModelProto, out: Path) -> Path:
    onnx.checker.check_model(graph, full_check=True)
    with atomic_path(out) as temporary:
        onnx.save(graph, temporary)
    return out
