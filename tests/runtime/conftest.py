"""A tiny real model: the class is the brightness in steps of 64, so the right label map is known by hand."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image
from s3_server import NUM_PHOTOS, credentials, moto_server

from gseg_runtime.class_map import ClassMap
from gseg_runtime.model_card import METADATA_KEY, ModelCard
from gseg_runtime.telemetry import no_telemetry

no_telemetry()  # tests import engines by themselves, too

INPUT_SIZE = 32
CLASSES = ClassMap.of_names(["background", "dark", "medium", "light"])

MakeModel = Callable[..., Path]
MakePhoto = Callable[..., Path]


def brightness_graph(size: int, *, confidence: bool = False, logits: bool = False) -> onnx.ModelProto:
    """uint8 [N, S, S, 3] -> uint8 [N, S, S]: mean over RGB, divided by 64, rounded down; as confidence the mean.

    A class's logit is minus the distance of the mean from the middle of the class.
    """
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels", "last_axis"], ["grey"], keepdims=0),
        helper.make_node("Div", ["grey", "step"], ["steps"]),
        helper.make_node("Floor", ["steps"], ["classes"]),
        helper.make_node("Cast", ["classes"], ["labels"], to=TensorProto.UINT8),
    ]
    constants = [
        helper.make_tensor("last_axis", TensorProto.INT64, [1], [3]),
        helper.make_tensor("step", TensorProto.FLOAT, [], [64.0]),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.UINT8, ["batch", size, size, 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["batch", size, size])
    outputs = [labels]
    if confidence:
        nodes.append(helper.make_node("Cast", ["grey"], ["confidence"], to=TensorProto.UINT8))
        outputs.append(helper.make_tensor_value_info("confidence", TensorProto.UINT8, ["batch", size, size]))
    if logits:
        nodes += [
            helper.make_node("Unsqueeze", ["grey", "first_axis"], ["one_channel"]),
            helper.make_node("Sub", ["one_channel", "middles"], ["distances"]),
            helper.make_node("Abs", ["distances"], ["sizes"]),
            helper.make_node("Neg", ["sizes"], ["logits"]),
        ]
        constants += [
            helper.make_tensor("first_axis", TensorProto.INT64, [1], [1]),
            helper.make_tensor("middles", TensorProto.FLOAT, [1, 4, 1, 1], [32.0, 96.0, 160.0, 224.0]),
        ]
        outputs.append(helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 4, size, size]))
    graph = helper.make_graph(nodes, "brightness", [images], outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="session")
def make_model(tmp_path_factory: pytest.TempPathFactory) -> MakeModel:
    """make_model(**fields of the card) -> path of a model.onnx; `metadata` replaces the card as JSON, None omits it."""

    def make(
        metadata: str | None = "card", *, confidence: bool = False, logits: bool = False, **card_fields: object
    ) -> Path:
        model = brightness_graph(INPUT_SIZE, confidence=confidence, logits=logits)
        card = ModelCard(**{"classes": CLASSES, "input_size": INPUT_SIZE, **card_fields})  # type: ignore[arg-type]
        text = json.dumps(card.to_json()) if metadata == "card" else metadata
        if text is not None:
            helper.set_model_props(model, {METADATA_KEY: text})
        path = tmp_path_factory.mktemp("model") / "model.onnx"
        onnx.save(model, path)
        return path

    return make


@pytest.fixture(scope="session")
def model(make_model: MakeModel) -> Path:
    return make_model()


@pytest.fixture(scope="session")
def model_with_confidence(make_model: MakeModel) -> Path:
    return make_model(confidence=True)


@pytest.fixture(scope="session")
def model_with_logits(make_model: MakeModel) -> Path:
    return make_model(logits=True)


@pytest.fixture
def make_photo() -> MakePhoto:
    """make_photo(path, height, width, values): left part values[0], right part values[1], grey."""

    def make(
        path: Path, height: int = 20, width: int = 30, values: tuple[int, int] = (32, 224), **save: object
    ) -> Path:
        pixels = np.full((height, width, 3), values[1], np.uint8)
        pixels[:, : width // 2] = values[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **save)
        return path

    return make


@pytest.fixture
def photos(tmp_path: Path, make_photo: MakePhoto) -> Path:
    """Four good photos in a small tree."""
    folder = tmp_path / "photos"
    make_photo(folder / "a.jpg", quality=95)
    make_photo(folder / "b.png", height=51, width=37)
    make_photo(folder / "deep" / "a.jpg", height=7, width=90, quality=95)
    make_photo(folder / "deep" / "er" / "photo de la mère\n.webp", lossless=True)
    return folder


@pytest.fixture
def mixed(make_photo: MakePhoto, tmp_path: Path) -> Path:
    """Good photos, bad ones, and what is no photo."""
    top = tmp_path / "in"
    for index in range(NUM_PHOTOS):
        make_photo(top / f"{index % 3}" / f"{index:02d} ä.png", 20 + index, 30, (6 * index, 255 - 6 * index))
    make_photo(top / "a.jpg", quality=95)
    make_photo(top / "a.png")
    (top / "empty.jpg").touch()
    (top / "text.jpg").write_text("no picture")
    (top / "cut.jpg").write_bytes((top / "a.jpg").read_bytes()[:300])
    (top / "note.txt").write_text("no photo")
    (top / "__MACOSX").mkdir()
    (top / "__MACOSX" / "._a.jpg").touch()
    return top


@pytest.fixture(scope="session")
def s3_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Of a real S3 server."""
    pytest.importorskip("moto", reason="moto's S3 server is not installed")
    with moto_server(tmp_path_factory.mktemp("moto") / "log") as port:
        yield port


@pytest.fixture(scope="session")
def s3_client(s3_port: int) -> Any:
    """The file system of fsspec's. Making one takes half a second."""
    s3fs = pytest.importorskip("s3fs", reason="the extra [remote] is not installed")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in credentials(s3_port).items():
            patch.setenv(name, value)
        fs = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True)
        fs.ls("")
    return fs


@pytest.fixture
def s3(s3_port: int, s3_client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The same with buckets `photos` and `masks`, which are empty; others reach them by the environment."""
    for name, value in credentials(s3_port).items():
        monkeypatch.setenv(name, value)
    for bucket in ("photos", "masks"):
        s3_client.mkdir(bucket)
    yield s3_client
    for bucket in ("photos", "masks"):
        s3_client.rm(bucket, recursive=True)


@pytest.fixture
def ask_at(s3_client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Have clients ask the server at another port; in this process they are made anew."""

    def at(port: int) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        type(s3_client).clear_instance_cache()

    yield at
    type(s3_client).clear_instance_cache()
