"""One small student is exported once; the tests look at the file from all sides."""

import copy
import json
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from gseg_cli.app import main
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.unet import UNet, UNetConfig, load_unet, save_unet
from gseg_export.parity import check_parity, export_verified, smooth_images
from gseg_export.to_onnx import to_onnx, write_card
from gseg_runtime import ClassMap, GsegError, ModelCard, Segmenter
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import read_label_png

SIZE = 32
CLASSES = ClassMap.of_names(["background", "skin", "hair", "ear, left"])
GAN = {"kind": "generator", "path": "/home/someone/faces/runs/0001-gan/checkpoint.safetensors", "sha256": "1" * 64}


def trained_net() -> UNet:
    """Thirty steps on clouds: the class is the brightness in three steps, so the student is sure of most pixels."""
    torch.manual_seed(0)
    net = UNet(UNetConfig(size="tiny", num_classes=len(CLASSES), input_size=SIZE))
    image = torch.from_numpy(smooth_images(8, size=SIZE, seed=1)).permute(0, 3, 1, 2) / 127.5 - 1
    target = (image.mean(dim=1) * 1.5 + 1.5).long().clamp(0, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(image), target).backward()
        optimizer.step()
    return net


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("runs") / "0003-distill" / "checkpoint.safetensors"
    save_unet(path, trained_net(), CLASSES, {"parents": [GAN]})
    return path


@pytest.fixture(scope="module")
def exported(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return export_student(checkpoint, tmp_path_factory.mktemp("exports") / "model.onnx")


@pytest.fixture(scope="module")
def model(exported: dict) -> Path:
    return exported["model"]


def plain_card() -> ModelCard:
    return ModelCard(classes=CLASSES, input_size=SIZE)


def test_the_graph_takes_pictures_of_any_batch_and_answers_with_label_maps(model: Path) -> None:
    session = onnxruntime.InferenceSession(model)
    (image,), (labels,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("images", "tensor(uint8)", ["batch", SIZE, SIZE, 3])
    assert (labels.name, labels.type, labels.shape) == ("labels", "tensor(uint8)", ["batch", SIZE, SIZE])
    pictures = smooth_images(3, size=SIZE)
    (together,) = session.run(None, {"images": pictures})
    (alone,) = session.run(None, {"images": pictures[:1]})
    assert together.shape == (3, SIZE, SIZE) and together.dtype == np.uint8
    np.testing.assert_array_equal(alone[0], together[0])
    assert len(np.unique(together)) == 3  # the network has learnt something, so agreement means something


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
    with Segmenter.load(exported["model"], "cpu") as segmenter:
        card = segmenter.card
    assert (card.classes, card.input_size, card.fill) == (CLASSES, SIZE, (128, 128, 128))
    assert card.created_by.startswith("gseg 0")
    student, gan = card.parents
    assert (student.kind, student.path) == ("unet", "0003-distill/checkpoint.safetensors")
    assert student.sha256 == sha256_file(checkpoint)
    assert (gan.kind, gan.path, gan.sha256) == ("generator", "0001-gan/checkpoint.safetensors", "1" * 64)
    assert card.quality == {"label_agreement": exported["label_agreement"]}
    props = {entry.key: entry.value for entry in onnx.load(exported["model"]).metadata_props}
    assert json.loads(props["names"]) == list(CLASSES.names)


def test_the_export_agrees_with_pytorch_also_on_pictures_it_was_not_verified_on(
    model: Path, checkpoint: Path, exported: dict
) -> None:
    net, _, _ = load_unet(checkpoint)
    noise = np.random.default_rng(0).integers(0, 256, (9, SIZE, SIZE, 3), dtype=np.uint8)
    assert check_parity(net, model, noise) >= 0.9999
    assert exported["label_agreement"] >= 0.9999
    assert exported["sha256"] == sha256_file(model)


def test_the_agreement_is_the_share_of_equal_pixels_and_leaves_the_model_as_it_was(model: Path) -> None:
    net = trained_net()
    before = copy.deepcopy(net.state_dict())
    torch.nn.init.zeros_(net.head.weight)
    net.head.bias.data = torch.tensor([0.0, 1.0, 0.0, 0.0])  # says class 1 everywhere
    pictures = smooth_images(3, size=SIZE)
    (labels,) = onnxruntime.InferenceSession(model).run(None, {"images": pictures})
    assert check_parity(net, model, pictures) == (labels == 1).mean()
    assert net.training
    assert all(torch.equal(net.state_dict()[name], before[name]) for name in before if "running" in name)
    with pytest.raises(GsegError, match="no pictures to verify it on"):
        check_parity(net, model, pictures[:0])


class Drifting(torch.nn.Module):
    """Answers otherwise once it is traced: what a broken exporter would do."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        brighter = image + (2.0 if torch.compiler.is_compiling() else 0.0)
        return torch.cat([brighter, -brighter], dim=1)


def test_an_export_that_labels_otherwise_is_not_written(tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    out.write_text("the model of yesterday")
    with pytest.raises(GsegError, match=r"model\.onnx: not written: .* agree on 0\.\d+ of the pixels, .* 0\.9999"):
        export_verified(Drifting(), plain_card(), out, smooth_images(2, size=SIZE))
    assert out.read_text() == "the model of yesterday"
    assert list(tmp_path.iterdir()) == [out]


def test_the_exporter_is_silent_and_the_same_network_gives_the_same_file(
    checkpoint: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    net, _, _ = load_unet(checkpoint)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        to_onnx(net, plain_card(), tmp_path / "a.onnx")
    assert [str(warning.message) for warning in caught] == []
    assert capfd.readouterr() == ("", "")
    to_onnx(net, plain_card(), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_a_new_card_replaces_the_old_one(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model.read_bytes())
    write_card(path, ModelCard(classes=CLASSES, input_size=SIZE, quality={"mean_iou": 0.5}))
    with Segmenter.load(path, "cpu") as segmenter:
        assert segmenter.card.quality == {"mean_iou": 0.5}


def test_the_exported_file_segments_a_folder(model: Path, checkpoint: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name, picture in zip("ab", smooth_images(2, size=SIZE, seed=5), strict=True):
        Image.fromarray(picture).save(photos / f"{name}.png")
    Image.fromarray(smooth_images(1, size=SIZE)[0]).resize((50, 40)).save(photos / "wide.png")
    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_folder(photos, tmp_path / "masks")
    assert (report.done, report.failed) == (3, 0)
    assert read_label_png(tmp_path / "masks" / "wide.png").shape == (40, 50)
    net, _, _ = load_unet(checkpoint)
    image = torch.tensor(np.asarray(Image.open(photos / "a.png"))).permute(2, 0, 1)[None] / 127.5 - 1
    expected = net(image).argmax(dim=1)[0].numpy()
    assert (read_label_png(tmp_path / "masks" / "a.png") == expected).mean() > 0.999


def test_the_command_verifies_on_photos_and_spares_what_is_there(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, out = tmp_path / "photos" / "deep" / "photo.jpg", tmp_path / "student.onnx"
    photo.parent.mkdir(parents=True)
    Image.fromarray(smooth_images(1, size=80)[0]).save(photo)
    args = ["export", str(checkpoint), "-o", str(out), "--verify", str(tmp_path / "photos")]
    assert main([*args, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["data"]
    assert (data["model"], data["num_verified"], data["classes"]) == (str(out), 1, list(CLASSES.names))
    assert data["label_agreement"] >= 0.9999

    assert main(args) == 1
    assert "hint: --overwrite replaces the file" in capsys.readouterr().err
    out.write_text("an older file")
    assert main([*args, "--overwrite"]) == 0
    assert "pictures labelled as by PyTorch" in capsys.readouterr().out
    assert out.stat().st_size == data["bytes"]


@pytest.mark.parametrize(
    ("name", "verify", "message"),
    [
        ("model.pt", None, "expected a name that ends in .onnx"),
        ("folder.onnx", None, "folder.onnx: exists already"),
        ("model.onnx", "empty", "no photos to verify on"),
        ("model.onnx", "missing", "no such file or folder"),
    ],
)
def test_what_cannot_succeed_is_refused_before_any_work(
    checkpoint: Path, tmp_path: Path, name: str, verify: str | None, message: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(GsegError, match=message):
        export_student(checkpoint, tmp_path / name, tmp_path / verify if verify else None, overwrite=True)


def test_outside_a_project_the_command_says_what_to_name(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-C", str(tmp_path), "export", str(checkpoint)]) == 1
    assert "hint: -o FILE.onnx names the file to write" in capsys.readouterr().err
