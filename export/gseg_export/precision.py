"""A float graph in half precision, or in 8 bits: graph in, graph out, by ONNX Runtime's own tools. Needs no torch."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import onnx

from gseg_export.graph import INPUT, strip
from gseg_export.source import Images
from gseg_runtime.telemetry import no_telemetry

Precision = Literal["fp32", "fp16", "int8"]
NUM_FIRST = 8  # convolutions of a pretrained encoder that stay in float: more cost time and bring little


def to_fp16(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with weights and arithmetic in float16; inputs and outputs keep their types."""
    no_telemetry()
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto()
    copy.CopyFrom(graph)
    del copy.graph.value_info[:]  # weights that stand there too would be cast back and forth
    half = convert_float_to_float16(copy, keep_io_types=True)
    strip(half.graph)
    return half


def to_int8(graph: onnx.ModelProto, images: Images, *, for_tensorrt: bool = False) -> onnx.ModelProto:
    """The graph with 8-bit weights and activations, their ranges measured on `images`, uint8 [N, S, S, 3].

    Ranges are the smallest and largest values seen: on trained students entropy and percentiles did no better.
    The two engines want different 8 bits. ONNX Runtime's fast kernels on a CPU multiply unsigned activations by signed
    weights and take every operator in 8 bits. Without VNNI instructions they add two products in 16 bits; weights of
    seven bits, -64 to 64, fit there. TensorRT takes signed, symmetric values only, and no 8-bit bias.
    """
    no_telemetry()
    from onnxruntime.quantization import QuantType, quantize_static

    activation = QuantType.QInt8 if for_tensorrt else QuantType.QUInt8
    options = {"ActivationSymmetric": for_tensorrt, "WeightSymmetric": True, "QuantizeBias": not for_tensorrt}
    with tempfile.TemporaryDirectory() as folder, _quiet():
        source, out = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(graph, source)  # a graph handed over in memory would be changed
        quantize_static(
            source, out, _Reader(images), per_channel=True, reduce_range=not for_tensorrt, activation_type=activation,
            weight_type=QuantType.QInt8, nodes_to_exclude=_kept_in_float(graph), extra_options=options,
        )  # fmt: skip
        quantized = onnx.load(out)
    strip(quantized.graph)
    return quantized


def _kept_in_float(graph: onnx.ModelProto) -> list[str]:
    """The last convolution and what follows: in 8 bits two classes' logits would often be equal.

    With a pretrained encoder also the first convolutions, whose channels have ranges far apart (Nagel et al. 2019).
    """
    nodes = graph.graph.node
    convolutions = [index for index, node in enumerate(nodes) if node.op_type == "Conv"]
    first = convolutions[:NUM_FIRST] if any(map(_is_by_channel, nodes)) else []
    return [node.name for node in [*(nodes[index] for index in first), *nodes[convolutions[-1] :]]]


def _is_by_channel(node: onnx.NodeProto) -> bool:
    """A convolution of groups of channels: only pretrained encoders have any."""
    return any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)


class _Reader:
    """Hands images one by one to the calibration, as ONNX Runtime's CalibrationDataReader does."""

    def __init__(self, images: Images) -> None:
        self._images = iter(images)

    def get_next(self) -> dict[str, Any] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image[None]}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back its advice to run a pre-processing that this graph has been through."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
