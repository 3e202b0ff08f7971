"""The graph: what goes in, what comes out, and that it tells nothing of the machine that made it."""

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from gseg_cli.distill.student import load_student
from gseg_export.graph import LABELS, LOGITS, Model, finish, read_graph
from gseg_export.to_onnx import label_with, trace
from gseg_export.verification_images import clouds
from gseg_runtime import GsegError, ModelCard, Segmenter
from gseg_runtime.files import sha256_file
from tests.export.student import CLASSES, SIZE, trained_net


def test_the_graph_takes_pictures_of_any_batch_and_answers_with_label_maps(model: Path) -> None:
    session = onnxruntime.InferenceSession(model)
    (image,), (labels, logits) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("images", "tensor(uint8)", ["batch", SIZE, SIZE, 3])
    assert (labels.name, labels.type, labels.shape) == ("labels", "tensor(uint8)", ["batch", SIZE, SIZE])
    pictures = clouds(size=SIZE, count=3).images
    assert (logits.name, logits.shape) == ("logits", ["batch", len(CLASSES), SIZE, SIZE])
    (together,) = session.run(["labels"], {"images": pictures})
    (alone,) = session.run(["labels"], {"images": pictures[:1]})
    assert together.shape == (3, SIZE, SIZE) and together.dtype == np.uint8
    np.testing.assert_array_equal(alone[0], together[0])
    assert len(np.unique(together)) == 3  # the network has learnt something, so agreement means something


def test_confidence_is_the_probability_of_the_label_and_logits_are_those_of_pytorch(
    full_model: Model, checkpoint: Path
) -> None:
    session = onnxruntime.InferenceSession(full_model.onnx)
    kinds = [(output.name, output.type, output.shape) for output in session.get_outputs()]
    assert kinds == [
        ("labels", "tensor(uint8)", ["batch", SIZE, SIZE]),
        ("confidence", "tensor(uint8)", ["batch", SIZE, SIZE]),
        ("logits", "tensor(float)", ["batch", len(CLASSES), SIZE, SIZE]),
    ]
    pictures = clouds(size=SIZE, count=2).images
    labels, confidence, logits = session.run(None, {"images": pictures})
    net, _, _ = load_student(checkpoint)
    expected = net(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1)
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-3)
    probability, label = expected.softmax(dim=1).max(dim=1)
    assert (labels == label.numpy()).mean() > 0.999
    assert np.abs(confidence - 255 * probability.numpy()).max() < 0.51
    assert len(np.unique(confidence)) > 50
    assert full_model.card.output == "uint8 label map + uint8 confidence in 255ths + float32 logits NCHW"


def test_the_file_is_one_with_operators_of_opset_18_in_the_order_tensorrt_accepts(model: Path) -> None:
    assert [path.name for path in model.parent.iterdir()] == ["model.onnx"]
    graph = onnx.load(model, load_external_data=False)
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", 18)]
    operators = [node.op_type for node in graph.graph.node]
    assert operators[:4] == ["Cast", "Transpose", "Div", "Sub"]
    assert operators[-2:] == ["ArgMax", "Cast"]
    assert set(operators[4:-2]) == {"Conv", "Relu", "MaxPool", "Resize", "Concat"}  # normalisation is folded


def test_the_file_tells_nothing_of_the_machine_that_made_it(model: Path) -> None:
    graph = onnx.load(model)
    assert (graph.producer_name, graph.graph.name) == ("gseg", "gseg")
    del graph.metadata_props[:]  # the card, which has its own test
    for weights in graph.graph.initializer:
        weights.raw_data = b""  # any byte may occur in them
    text = str(graph)
    assert "network.encoder" in text
    for word in ("/", "stack_trace", "metadata_props", "doc_string", ".py", "pytorch", "pkg."):
        assert word not in text, word
    assert b"stack_trace" not in model.read_bytes()


def test_the_card_leads_back_to_the_gan_without_anybodys_folders(exported: dict, checkpoint: Path) -> None:
    with Segmenter.load(exported.model, "cpu") as segmenter:
        card = segmenter.card
    assert (card.classes, card.input_size, card.fill) == (CLASSES, SIZE, (128, 128, 128))
    assert (card.precision, card.output) == ("fp32", "uint8 label map + float32 logits NCHW")
    assert card.created_by.startswith("gseg 0")
    student, gan = card.parents
    assert (student.kind, student.path) == ("unet", "0003-distill/checkpoint.safetensors")
    assert student.sha256 == sha256_file(checkpoint)
    assert (gan.kind, gan.path, gan.sha256) == ("generator", "0001-gan/checkpoint.safetensors", "1" * 64)
    assert card.quality == {"label_agreement": exported.label_agreement}
    props = {entry.key: entry.value for entry in onnx.load(exported.model).metadata_props}
    assert json.loads(props["names"]) == list(CLASSES.names)


def test_pytorchs_labels_are_those_of_evaluation_and_leave_the_model_as_it_was() -> None:
    net = trained_net()
    before = copy.deepcopy(net.state_dict())
    pictures = clouds(size=SIZE, count=3).images
    labels = label_with(net)(pictures)
    assert net.training
    assert all(torch.equal(net.state_dict()[name], before[name]) for name in before)
    image = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1
    np.testing.assert_array_equal(labels, net.eval()(image).argmax(dim=1).numpy())


def test_the_exporter_is_silent_and_the_same_network_gives_the_same_file(
    model: Path, checkpoint: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    net, _, _ = load_student(checkpoint)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        graph = trace(net, SIZE, (LABELS, LOGITS))
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")
    assert finish(graph, read_graph(model)[1]).onnx == model.read_bytes()


def test_a_new_card_replaces_the_old_one(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    card = ModelCard(classes=CLASSES, input_size=SIZE, quality={"mean_iou": 0.5})
    path.write_bytes(finish(read_graph(model)[0], card).onnx)
    with Segmenter.load(path, "cpu") as segmenter:
        assert segmenter.card.quality == {"mean_iou": 0.5}


def test_files_that_are_not_ours_are_refused_by_name(model: Path, tmp_path: Path) -> None:
    with pytest.raises(GsegError, match="no such model"):
        read_graph(tmp_path / "missing.onnx")
    path = tmp_path / "x.onnx"
    path.write_bytes(b"no model")
    with pytest.raises(GsegError, match=r"x\.onnx: not an ONNX model"):
        read_graph(path)
    onnx.save(onnx.load(model), path, save_as_external_data=True, location="weights", size_threshold=0)
    with pytest.raises(GsegError, match=r"x\.onnx: its weights are in other files"):
        read_graph(path)
    graph = onnx.load(model)
    del graph.metadata_props[:]
    onnx.save(graph, path)
    with pytest.raises(GsegError, match=r"x\.onnx: not a model that gseg export wrote"):
        read_graph(path)
