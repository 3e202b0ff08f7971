"""No convolution pads more on one side than on the other: cuDNN may have no plan for it."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from gseg_cli.distill.lite_net import LiteNet
from gseg_export.graph import finish
from gseg_export.padding import pad_alike
from gseg_export.verification_images import clouds
from tests.export.student import SIZE, plain_card


@pytest.mark.parametrize("kernel", [3, 5])
def test_uneven_padding_becomes_even_and_the_results_stay(kernel: int) -> None:
    """TensorFlow's SAME at stride 2, as the exporter writes it, of three channels each by itself."""
    drawn = np.random.default_rng(0)
    pads = [(kernel - 2) // 2] * 2 + [(kernel - 1) // 2] * 2
    conv = helper.make_node("Conv", ["x", "w"], ["y"], strides=[2, 2], group=3, pads=pads, kernel_shape=[kernel] * 2)
    weight = numpy_helper.from_array(drawn.standard_normal((6, 1, kernel, kernel), np.float32), "w")
    given, got = (helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy")
    graph = helper.make_model(helper.make_graph([conv], "g", [given], [got], [weight]), ir_version=10)
    before, x = graph.SerializeToString(), drawn.standard_normal((2, 3, 16, 16), np.float32)
    pad_alike(graph)
    assert any(uneven_pads(onnx.load_from_string(before))) and not any(uneven_pads(graph))
    expected, y = (onnxruntime.InferenceSession(g).run(None, {"x": x})[0] for g in (before, graph.SerializeToString()))
    assert y.shape == (2, 6, 8, 8)
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_the_graph_of_a_lite0_student_has_even_padding_and_the_logits_of_pytorch(
    lite0: tuple[LiteNet, onnx.ModelProto],
) -> None:
    net, graph = lite0
    assert not any(uneven_pads(graph))
    finish(graph, plain_card())  # its check compares all shapes
    pictures = clouds(size=SIZE, count=2).images
    _, logits = onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"images": pictures})
    with torch.no_grad():
        expected = net(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)


def uneven_pads(graph: onnx.ModelProto) -> list[bool]:
    """Of each convolution, whether it pads unevenly."""
    pads = [a.ints for node in graph.graph.node if node.op_type == "Conv" for a in node.attribute if a.name == "pads"]
    return [list(ints[:2]) != list(ints[2:]) for ints in pads]
