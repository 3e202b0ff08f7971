"""Convolutions that pad alike on both sides, as GPUs want them. Needs no torch."""

from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper


def pad_alike(graph: onnx.ModelProto) -> None:
    """Replace convolutions that pad more at the end by ones that pad alike, with the same results.

    TensorFlow's SAME at stride 2, of which EfficientNet-Lite0 is made, pads one more to the right and below. ONNX
    Runtime hands that to cuDNN, which has no plan for it on many GPUs (microsoft/onnxruntime#26274). A kernel with
    as many zeros in front, and the greater padding on both sides, meets the same pixels. Weights are initializers,
    each of one convolution.
    """
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}
    enlarged = set()
    for node in graph.graph.node:
        pads = next((attribute for attribute in node.attribute if attribute.name == "pads"), None)
        if node.op_type == "Conv" and pads is not None:
            half = len(pads.ints) // 2
            missing = [after - before for before, after in zip(pads.ints[:half], pads.ints[half:], strict=True)]
            if any(missing) and min(missing) >= 0 and node.input[1] in weights:
                _zeros_in_front(node, weights[node.input[1]], missing)
                pads.ints[:] = [*pads.ints[half:]] * 2
                enlarged.add(node.input[1])
    shapes = [info for info in graph.graph.value_info if info.name not in enlarged]  # those of the weights too
    del graph.graph.value_info[:]
    graph.graph.value_info.extend(shapes)


def _zeros_in_front(node: Any, weight: onnx.TensorProto, missing: list[int]) -> None:
    kernel = np.pad(numpy_helper.to_array(weight), [(0, 0), (0, 0), *((count, 0) for count in missing)])
    weight.CopyFrom(numpy_helper.from_array(kernel, weight.name))
    for attribute in node.attribute:
        if attribute.name == "kernel_shape":
            attribute.ints[:] = kernel.shape[2:]
