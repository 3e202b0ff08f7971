"""A network as an ONNX graph that takes pictures as they are and answers with label maps. The one part with torch."""

import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from gseg_export.graph import CONFIDENCE, INPUT, LABELS, LOGITS, strip
from gseg_export.padding import pad_alike
from gseg_export.source import Images, Label, LabelMaps, Source
from gseg_runtime.model_card import ModelCard

OPSET = 18  # what the exporter translates to; any other version would be a conversion on top


class LabelNetwork(nn.Module):
    """What is exported: uint8 images [N, S, S, 3] -> the outputs that are named, in that order.

    labels uint8 [N, S, S]; confidence uint8 [N, S, S], the label's probability in 255ths; logits float [N, C, S, S].
    network: images float [N, 3, S, S] in [-1, 1] -> logits. It is copied, in float32 on the CPU.
    """

    def __init__(self, network: nn.Module, outputs: Sequence[str] = (LABELS,)) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).to("cpu", torch.float32)
        self.outputs = tuple(outputs)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        # The cast comes first because TensorRT does not transpose uint8.
        image = images.float().permute(0, 3, 1, 2) / 127.5 - 1  # [N, 3, S, S]
        logits = self.network(image)
        answers = {LABELS: logits.argmax(dim=1).to(torch.uint8), LOGITS: logits}
        if CONFIDENCE in self.outputs:
            answers[CONFIDENCE] = (logits.softmax(dim=1).amax(dim=1) * 255).round().to(torch.uint8)
        return tuple(answers[name] for name in self.outputs)


def from_network(model: nn.Module, card: ModelCard, outputs: Sequence[str] = (LABELS,)) -> Source:
    """What there is to export of a network, and PyTorch's word on what is right.

    model: images float [N, 3, S, S] in [-1, 1] -> logits [N, C, S, S], S = card.input_size. outputs: of the graph,
    LABELS first.
    """
    return Source(trace(model, card.input_size, outputs), card, label_with(model), "PyTorch")


def label_with(model: nn.Module) -> Label:
    """Labels by PyTorch, in evaluation mode, in float32 on the CPU; the model is left as it is."""
    network = LabelNetwork(model)

    def label(images: Images) -> LabelMaps:
        return np.asarray(network(torch.tensor(images))[0])

    return label


def trace(model: nn.Module, size: int, outputs: Sequence[str] = (LABELS,)) -> onnx.ModelProto:
    """The graph: uint8 [batch, size, size, 3], RGB -> `outputs`, for any batch, weights inside."""
    example = torch.zeros(2, size, size, 3, dtype=torch.uint8)  # two, because a batch of one would be taken as fixed
    batch = torch.export.Dim("batch", min=1, max=65535)  # engines are not bound by max, it only ends the search
    with _quiet():
        program = torch.onnx.export(
            LabelNetwork(model, outputs),
            (example,),
            input_names=[INPUT],
            output_names=list(outputs),
            dynamic_shapes=({0: batch},),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,  # the default writes the weights to a second file
            verbose=False,
        )
    assert program is not None
    graph = program.model_proto
    strip(graph)
    pad_alike(graph)
    return graph


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
