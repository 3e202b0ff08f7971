"""The model that `gseg doctor` tries devices with."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper

from gseg_runtime import ClassMap, ModelCard
from gseg_runtime.backends import choose
from gseg_runtime.model_card import METADATA_KEY
from gseg_runtime.trial import MODEL, trial

SIZE = 16


def trial_model() -> bytes:
    """uint8 [N, 16, 16, 3] to uint8 [N, 16, 16]: a convolution of 3x3, and which of its two channels is the larger.

    Channel 0 is a constant 1000, channel 1 the sum of all nine pixels in all colours.
    """
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["pixels"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight", "bias"], ["logits"], pads=[1, 1, 1, 1]),
        helper.make_node("ArgMax", ["logits"], ["largest"], axis=1, keepdims=0),
        helper.make_node("Cast", ["largest"], ["labels"], to=TensorProto.UINT8),
    ]
    weight = np.stack([np.zeros((3, 3, 3)), np.ones((3, 3, 3))]).astype(np.float32)
    constants = [
        helper.make_tensor("weight", TensorProto.FLOAT, weight.shape, weight.ravel()),
        helper.make_tensor("bias", TensorProto.FLOAT, [2], [1000.0, 0.0]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", SIZE, SIZE, 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["batch", SIZE, SIZE])
    graph = helper.make_graph(nodes, "trial", [images], [labels], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8, producer_name="gseg")
    card = ModelCard(classes=ClassMap.of_names(["background", "bright"]), input_size=SIZE)
    helper.set_model_props(model, {METADATA_KEY: json.dumps(card.to_json())})
    return model.SerializeToString(deterministic=True)


def test_the_model_is_the_one_made_here() -> None:
    assert onnx.load_from_string(MODEL.read_bytes()) == onnx.load_from_string(trial_model())


def test_it_tells_bright_pixels_from_dark_ones() -> None:
    images = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    images[0, :, 8:] = 255
    labels = choose(MODEL, "cpu").run(images)[0]
    assert (labels[:, 9:] == 1).all() and (labels[:, :6] == 0).all()


def test_a_device_is_tried_in_a_process_of_its_own() -> None:
    assert trial("cpu") == ""


def test_what_a_device_fails_with_is_told() -> None:
    assert "device cuda" in trial("cuda:99")
