"""`--device triton://HOST/MODEL`, against a server that speaks Triton's protocol and computes with ONNX Runtime."""

# ruff: noqa: N802 (the names are the protocol's)

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.errors import BackendUnavailable, ModelCardError, UsageError
from gseg_runtime.onnx_file import read_card

grpc = pytest.importorskip("grpc")
triton = pytest.importorskip("tritonclient.grpc")
pb = triton.service_pb2

BATCH = 4


class Server(triton.service_pb2_grpc.GRPCInferenceServiceServicer):
    """Holds one model, "faces". batches: how many pictures came together."""

    def __init__(self, model: Path) -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        self.card = json.dumps(read_card(model).to_json())
        self.batches: list[int] = []
        self.renamed: dict[str, str] = {}
        self.is_broken = False

    def ModelConfig(self, request: Any, context: Any) -> Any:
        if request.name != "faces":
            context.abort(grpc.StatusCode.NOT_FOUND, f"unknown model {request.name!r}")
        config = triton.model_config_pb2.ModelConfig(name="faces", max_batch_size=BATCH)
        for tensors, told in ((self.session.get_inputs(), config.input), (self.session.get_outputs(), config.output)):
            for tensor in tensors:
                dims = [side if isinstance(side, int) else -1 for side in tensor.shape[1:]]
                told.add(name=self.renamed.get(tensor.name, tensor.name), dims=dims)
        config.parameters["gseg"].string_value = self.card
        return pb.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: Any) -> Any:
        (tensor,) = request.inputs
        assert (tensor.name, tensor.datatype) == ("images", "UINT8") and tensor.shape[0] <= BATCH
        if self.is_broken:
            context.abort(grpc.StatusCode.UNAVAILABLE, "out of memory")
        self.batches.append(tensor.shape[0])
        images = np.frombuffer(request.raw_input_contents[0], np.uint8).reshape(tensor.shape)
        names = [output.name for output in request.outputs]
        answer = pb.ModelInferResponse(model_name="faces")
        for name, plane in zip(names, self.session.run(names, {"images": images}), strict=True):
            answer.outputs.add(name=name, datatype="FP32" if name == "logits" else "UINT8", shape=plane.shape)
            answer.raw_output_contents.append(plane.tobytes())
        return answer


@contextmanager
def serving(model: Path) -> Iterator[Server]:
    pool = ThreadPoolExecutor(4)
    servicer, listening = Server(model), grpc.server(pool)
    triton.service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, listening)
    servicer.address = f"triton://127.0.0.1:{listening.add_insecure_port('127.0.0.1:0')}/faces"
    listening.start()
    yield servicer
    listening.stop(None).wait()
    pool.shutdown()


@pytest.fixture
def server(model_with_confidence: Path) -> Iterator[Server]:
    with serving(model_with_confidence) as servicer:
        yield servicer


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.png")}


def test_a_folder_gets_the_masks_of_the_same_model_here(
    server: Server, model_with_confidence: Path, photos: Path, tmp_path: Path
) -> None:
    assert (
        main(["segment", str(photos), "-o", str(tmp_path / "there"), "--device", server.address, "--confidence"]) == 0
    )
    here = ["--model", str(model_with_confidence), "--device", "cpu", "--confidence"]
    assert main(["segment", str(photos), "-o", str(tmp_path / "here"), *here]) == 0
    assert files(tmp_path / "there") == files(tmp_path / "here")
    assert server.batches == [BATCH, BATCH]  # the first is the trial, of zeros


def test_edges_and_tiles_come_of_the_logits_that_the_server_has(
    model_with_logits: Path, photos: Path, tmp_path: Path
) -> None:
    how = ["--edges", "smooth", "--tile", "40", "--confidence"]
    with serving(model_with_logits) as server:
        assert main(["segment", str(photos), "-o", str(tmp_path / "there"), "--device", server.address, *how]) == 0
    here = ["--model", str(model_with_logits), "--device", "cpu", *how]
    assert main(["segment", str(photos), "-o", str(tmp_path / "here"), *here]) == 0
    assert files(tmp_path / "there") == files(tmp_path / "here")


def test_no_answer_holds_more_logits_than_a_message_may(
    model_with_logits: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gseg_runtime.backends.triton._MOST_BYTES", 2 * 4 * 4 * 32 * 32)  # those of two photos
    with serving(model_with_logits) as server:
        assert main(["segment", str(photos), "-o", str(tmp_path / "out"), "--device", server.address]) == 0
        assert server.batches == [2, 2, 2]
    monkeypatch.setattr("gseg_runtime.backends.triton._MOST_BYTES", 1)
    with serving(model_with_logits) as server, Segmenter.connect(server.address) as segmenter:
        assert segmenter.batch == 1


def test_one_photo_is_sent_alone_and_the_card_comes_from_the_server(server: Server) -> None:
    with Segmenter.connect(server.address) as segmenter:
        server.batches.clear()
        assert segmenter.segment([np.full((5, 6, 3), 200, np.uint8)])[0].tolist() == [[3] * 6] * 5
        assert segmenter.card == read_card_of(server) and segmenter.batch == BATCH
        assert segmenter.model_sha256 == sha256(server.card.encode()).hexdigest()
    assert server.batches == [1]


def read_card_of(server: Server) -> Any:
    from gseg_runtime import ModelCard

    return ModelCard.from_json(json.loads(server.card))


def test_what_the_server_lacks_is_said_in_its_own_words(server: Server) -> None:
    with pytest.raises(BackendUnavailable, match=r"triton://.*/cars: unknown model 'cars'"):
        Segmenter.connect(server.address.replace("faces", "cars"))
    with pytest.raises(BackendUnavailable, match=r"triton://127\.0\.0\.1:9/faces: "):
        Segmenter.connect("triton://127.0.0.1:9/faces")
    server.card = ""
    with pytest.raises(ModelCardError, match="has no gseg model card"):
        Segmenter.connect(server.address)


def test_a_card_of_another_network_is_refused(model_with_logits: Path) -> None:
    with serving(model_with_logits) as server:
        card = json.loads(server.card)
        server.card = json.dumps({**card, "input_size": 64})
        with pytest.raises(ModelCardError, match="faces: the model card tells of 64 pixels, but the network has 32"):
            Segmenter.connect(server.address)
        server.card = json.dumps({**card, "classes": card["classes"][:2]})
        with pytest.raises(ModelCardError, match="tells of 2 classes, but the network has 4"):
            Segmenter.connect(server.address)
        server.renamed = {"labels": "classes"}
        with pytest.raises(ModelCardError, match="expected images and labels, got images, classes"):
            Segmenter.connect(server.address)


def test_a_server_that_fails_in_the_middle_ends_the_run(server: Server, photos: Path, tmp_path: Path) -> None:
    with Segmenter.connect(server.address) as segmenter:
        server.is_broken = True
        with pytest.raises(GsegError, match="out of memory"):
            segmenter.segment_folder(photos, tmp_path / "masks")


@pytest.mark.parametrize(
    "address", ["triton://", "triton://host", "triton://host/", "triton://host/a/b", "triton:///a"]
)
def test_an_address_without_host_or_model_is_wrong_usage(address: str) -> None:
    with pytest.raises(UsageError, match="expected triton://HOST"):
        Segmenter.connect(address)


def test_a_model_file_beside_a_server_is_wrong_usage(model: Path, photos: Path, tmp_path: Path) -> None:
    command = [
        "segment",
        str(photos),
        "-o",
        str(tmp_path / "out"),
        "--model",
        str(model),
        "--device",
        "triton://x/faces",
    ]
    assert main(command) == 2
