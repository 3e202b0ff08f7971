"""`gseg serve` answers with what `gseg segment` writes, and takes no more at once than agreed."""

import asyncio
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import MakeModel, MakePhoto
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("httpx")
pytest.importorskip("prometheus_client")

import httpx
import uvicorn
from starlette.testclient import TestClient

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.enlarged import Plane
from gseg_runtime.errors import AnswerError
from gseg_runtime.label_map import Pixels
from gseg_runtime.loaded_model import LoadedModel
from gseg_runtime.manifest import read_entries
from gseg_runtime.serving.app import ServeConfig, make_app
from gseg_runtime.serving.metrics import Metrics
from gseg_runtime.serving.pipeline import BusyError, Pipeline
from gseg_runtime.serving.serve import names_for
from gseg_runtime.serving.server import configured, listen

ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture
def loaded(model: Path) -> Iterator[LoadedModel]:
    with Segmenter.load(model, "cpu") as segmenter:
        yield segmenter.loaded


MakeClient = Callable[..., TestClient]


@pytest.fixture
def client(loaded: LoadedModel) -> Iterator[MakeClient]:
    """client(config, limit, model) -> one that asks a server of its own."""
    with ExitStack() as stack:

        def make(config: ServeConfig | None = None, limit: int = 4, model: LoadedModel = loaded) -> TestClient:
            metrics = Metrics()
            pipeline = stack.enter_context(closing(Pipeline(model, 2, limit, metrics.batch)))
            metrics.watch(lambda: pipeline.num_in_hand)
            app = make_app(model, pipeline, metrics, config or ServeConfig())
            return TestClient(app, base_url=ADDRESS, raise_server_exceptions=False)

        yield make


@pytest.fixture
def asker(client: MakeClient) -> TestClient:
    return client()


def test_answers_are_what_segment_writes(asker: TestClient, model: Path, photos: Path, tmp_path: Path) -> None:
    with Segmenter.load(model, "cpu") as segmenter:
        segmenter.segment_folder(photos, tmp_path / "masks", overlay=True, coco=True, polygons=True)
    coco = json.loads((tmp_path / "masks" / "gseg-coco.json").read_text())
    for image in coco["images"]:
        photo = next(photos.rglob(image["file_name"]))
        mask = (tmp_path / "masks" / image["file_name"]).with_suffix(".png")
        answers = {form: asker.post(f"/segment?as={form}", content=photo.read_bytes()) for form in ("png", "overlay")}
        assert answers["png"].content == mask.read_bytes()
        assert answers["overlay"].content == mask.with_suffix(".overlay.jpg").read_bytes()
        got = asker.post("/segment?as=coco", content=photo.read_bytes()).json()
        expected = [each for each in coco["annotations"] if each["image_id"] == image["id"]]
        assert [without_ids(each) for each in got["annotations"]] == [without_ids(each) for each in expected]
        assert got["categories"] == coco["categories"]
        drawn = asker.post("/segment?as=labelme", content=photo.read_bytes()).json()
        written = json.loads((tmp_path / "masks/labelme" / image["file_name"]).with_suffix(".json").read_text())
        assert drawn == {**written, "imagePath": ""}


def test_a_jpeg_that_no_eighth_divides_is_answered_as_the_same_png(asker: TestClient) -> None:
    pixels = np.full((1025, 1025, 3), 224, np.uint8)
    pixels[:, :950] = 32
    masks = []
    for kind in ("jpeg", "png"):
        Image.fromarray(pixels).save(photo := io.BytesIO(), kind, quality=95)
        answer = asker.post("/segment", content=photo.getvalue())
        masks.append(np.asarray(Image.open(io.BytesIO(answer.content))))
    jpeg, png = masks
    assert len(np.unique(png)) > 1 and (jpeg == png).mean() > 0.999


@pytest.mark.parametrize("batch", [1, 4])
def test_a_model_of_tiles_answers_with_what_segment_writes(
    make_model: MakeModel, client: MakeClient, make_photo: MakePhoto, tmp_path: Path, batch: int
) -> None:
    photo, small = make_photo(tmp_path / "in" / "x.png", 80, 190), make_photo(tmp_path / "in" / "y.png", 20, 30)
    with Segmenter.load(make_model(logits=True, resize="tiles", tile=40), "cpu", batch=batch) as segmenter:
        segmenter.segment_folder(tmp_path / "in", tmp_path / "masks")
        asker = client(model=segmenter.loaded)
        for path in (photo, small):
            answer = asker.post("/segment", content=path.read_bytes())
            assert answer.content == (tmp_path / "masks" / path.name).read_bytes()


@pytest.mark.parametrize("batch", [1, 4])
def test_edges_of_answers_are_those_of_segment(model_with_logits: Path, tmp_path: Path, batch: int) -> None:
    (tmp_path / "in").mkdir()
    ramp = np.linspace(10, 245, 640).astype(np.uint8)  # edges that do not lie where the grid of the model has its own
    Image.fromarray(np.tile(ramp[:, None], (480, 1, 3))).save(tmp_path / "in" / "x.png")
    with Segmenter.load(model_with_logits, "cpu", batch=batch) as segmenter:
        for name, options in (("usual", {}), ("nearest", {"edges": "nearest"})):
            segmenter.segment_folder(tmp_path / "in", tmp_path / name, **options)
        with closing(Pipeline(segmenter.loaded, 2, 4)) as pipeline:
            answer = asyncio.run(pipeline.segment((tmp_path / "in" / "x.png").read_bytes(), "png"))
    usual, nearest = ((tmp_path / name / "x.png").read_bytes() for name in ("usual", "nearest"))
    assert answer.data == usual != nearest


@pytest.mark.parametrize("form", ["png", "coco"])
def test_an_answer_says_how_sure_the_model_is_and_the_metrics_count_it(
    client: MakeClient, model_with_logits: Path, photos: Path, tmp_path: Path, form: str
) -> None:
    with Segmenter.load(model_with_logits, "cpu") as segmenter:
        segmenter.segment_folder(photos / "b.png", tmp_path / "masks")
        (entry,) = read_entries(tmp_path / "masks")
        asker = client(model=segmenter.loaded)
        answer = asker.post(f"/segment?as={form}", content=(photos / "b.png").read_bytes())
        metrics = asker.get("/metrics").text
    assert float(answer.headers["Gseg-Confidence"]) == entry.confidence
    assert 'gseg_photo_confidence_bucket{le="+Inf"} 1.0' in metrics


def test_a_model_that_does_not_tell_has_no_such_header(asker: TestClient, photos: Path) -> None:
    assert "Gseg-Confidence" not in asker.post("/segment", content=(photos / "b.png").read_bytes()).headers
    assert "gseg_photo_confidence_count 0.0" in asker.get("/metrics").text


def without_ids(annotation: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in annotation.items() if key not in ("id", "image_id")}


def test_the_answer_says_what_it_is(asker: TestClient, photos: Path) -> None:
    photo = (photos / "a.jpg").read_bytes()
    kinds = {form: asker.post(f"/segment?as={form}", content=photo).headers["content-type"] for form in FORMS}
    assert kinds == FORMS


FORMS = {"png": "image/png", "coco": "application/json", "labelme": "application/json", "overlay": "image/jpeg"}


@pytest.mark.parametrize(
    ("query", "body", "status", "error", "hint"),
    [
        ("", b"no photo", 422, "photo: not a picture of a known format", "curl --data-binary @photo.jpg"),
        ("", b"\xff\xd8\xff broken", 422, "photo: ", "curl"),
        ("", b"", 400, "there is no body", "curl"),
        ("?as=jpeg", b"", 400, "as: expected one of png, coco, labelme, overlay, got 'jpeg'", None),
        ("", bytes(10**6 + 1), 413, "more than 1 MB in one body", "smaller"),
    ],
)
def test_what_cannot_be_answered_is_told_with_the_reason(
    client: MakeClient, query: str, body: bytes, status: int, error: str, hint: str | None
) -> None:
    answer = client(ServeConfig(max_megabytes=1)).post(f"/segment{query}", content=body)
    told = answer.json()
    assert (answer.status_code, set(told)) == (status, {"error", "hint"})
    assert told["error"].startswith(error)
    assert hint is None or hint in told["hint"]


def test_a_body_that_does_not_say_its_length_is_bounded_too(client: MakeClient) -> None:
    parts = (bytes(10**5) for _ in range(20))
    assert client(ServeConfig(max_megabytes=1)).post("/segment", content=parts).status_code == 413


def test_a_picture_of_more_pixels_than_agreed_is_refused_before_it_is_decoded(client: MakeClient) -> None:
    refused, taken = client(ServeConfig(max_pixels=63)), client(ServeConfig(max_pixels=64))
    for form in FORMS:
        answer = refused.post(f"/segment?as={form}", content=png(100))
        assert (answer.status_code, answer.json()["error"]) == (413, "photo: 64 pixels, more than 63")
        assert taken.post(f"/segment?as={form}", content=png(100)).status_code == 200


def test_a_picture_of_more_pixels_than_pillow_takes_is_refused_alike(client: MakeClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    assert client(ServeConfig(max_pixels=20)).post("/segment", content=png(100)).status_code == 413


def test_more_pixels_than_pillow_takes_can_be_agreed(client: MakeClient, monkeypatch: Any) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    asker = client(ServeConfig(max_pixels=64))
    assert [asker.post(f"/segment?as={form}", content=png(100)).status_code for form in FORMS] == [200] * len(FORMS)


def test_more_requests_than_agreed_are_refused_before_their_bodies_are_read(client: MakeClient, photos: Path) -> None:
    answer = client(limit=0).post("/segment", content=(photos / "a.jpg").read_bytes())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_a_place_is_free_again_whatever_came_of_its_request(client: MakeClient, photos: Path) -> None:
    asker = client(limit=1)
    for body in (b"no photo", b"", (photos / "a.jpg").read_bytes()) * 2:
        assert asker.post("/segment", content=body).status_code != 503


@pytest.mark.parametrize("kind", [GsegError, AnswerError])
def test_an_engine_that_fails_is_an_error_of_the_server(
    kind: type[GsegError], client: MakeClient, loaded: LoadedModel, photos: Path, monkeypatch: Any
) -> None:
    def fail(images: Pixels, outputs: Sequence[str]) -> list[Plane]:
        raise kind("ONNX Runtime, cuda: out of memory", "try a smaller --batch")

    monkeypatch.setattr(loaded.backend, "infer", fail)
    answer = client().post("/segment", content=(photos / "a.jpg").read_bytes())
    assert (answer.status_code, answer.json()["error"]) == (500, "ONNX Runtime, cuda: out of memory")


def test_too_little_memory_is_told_as_what_passes(client: MakeClient, photos: Path, monkeypatch: Any) -> None:
    def fail(image: Image.Image, *how: object) -> Pixels:
        raise MemoryError

    monkeypatch.setattr("gseg_runtime.images.to_rgb", fail)
    answer = client().post("/segment", content=(photos / "b.png").read_bytes())
    assert (answer.status_code, answer.json()["error"]) == (503, "not enough memory for this photo")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8000"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://[x]"},
    ],
)
def test_names_and_pages_of_others_are_refused(asker: TestClient, headers: dict[str, str]) -> None:
    for path in ("/", "/model", "/metrics"):
        assert asker.get(path, headers=headers).status_code == 403
    assert asker.post("/segment", content=b"x", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [{}, {"Host": "localhost:1"}, {"Host": "[::1]:8000"}, {"Origin": ADDRESS}, {"Origin": "https://127.0.0.1:8000"}],
)
def test_programs_and_the_own_page_are_welcome(asker: TestClient, photos: Path, headers: dict[str, str]) -> None:
    photo = (photos / "a.jpg").read_bytes()
    assert asker.post("/segment", content=photo, headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "127.1", "LOCALHOST"])
def test_on_this_machine_only_its_names_will_do_however_its_address_is_spelt(host: str) -> None:
    with listen(host, 0) as listener:
        names = names_for(host, listener, ["photos.example"])
        assert {"127.0.0.1", "localhost", host, "photos.example"} <= set(names)
        assert set(names_for(host, listener, [])) == {*names} - {"photos.example"}


@pytest.mark.parametrize("host", ["::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1"])
def test_so_it_is_with_the_longer_addresses(host: str) -> None:
    try:
        listener = listen(host, 0)
    except GsegError:
        pytest.skip("this machine has no IPv6")
    with listener:
        assert {"[::1]", f"[{host}]"} <= set(names_for(host, listener, []))


def test_beyond_this_machine_any_name_will_do_unless_some_are_given() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert names_for("0.0.0.0", listener, []) == ()
        assert "photos.example" in names_for("0.0.0.0", listener, ["photos.example"])


def test_the_address_that_is_printed_is_never_refused() -> None:
    with listen("0.0.0.0", 0) as listener:
        assert "0.0.0.0" in names_for("0.0.0.0", listener, ["photos.example"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/segment", 404), ("GET", "/sgment", 404), ("POST", "/sgment", 405), ("POST", "/model", 405)],
)
def test_other_addresses_and_methods_are_answered_as_documented(
    asker: TestClient, method: str, path: str, status: int
) -> None:
    answer = asker.request(method, path)
    assert answer.status_code == status
    assert answer.json()["hint"] == "POST a photo to /segment"


def test_prometheus_can_read_the_metrics(asker: TestClient, photos: Path) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    asker.post("/segment", content=(photos / "a.jpg").read_bytes())
    asker.post("/segment", content=b"no photo")
    families = {family.name: family for family in text_string_to_metric_families(asker.get("/metrics").text)}
    answers = {
        sample.labels["status"]: sample.value
        for sample in families["gseg_answers"].samples
        if sample.name == "gseg_answers_total"
    }
    assert answers == {"200": 1, "422": 1}
    assert families["gseg_requests_in_hand"].samples[0].value == 0


def test_health_and_model_are_told(asker: TestClient, loaded: LoadedModel) -> None:
    assert asker.get("/health").json() == {"status": "ok"}
    assert asker.get("/model").json() == {
        "device": loaded.device, "sha256": loaded.sha256, "card": loaded.card.to_json()
    }  # fmt: skip


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def in_batches(model: Path) -> Iterator[LoadedModel]:
    with Segmenter.load(model, "cpu", batch=4) as segmenter:
        yield segmenter.loaded


def test_what_waits_for_the_engine_goes_through_it_together(in_batches: LoadedModel, monkeypatch: Any) -> None:
    """The first two photos go at once and are held in the engine until all others wait."""
    everybody_waits, infer, sizes = threading.Event(), in_batches.backend.infer, []

    def held(images: Pixels, outputs: Sequence[str]) -> list[Plane]:
        assert everybody_waits.wait(60)
        return infer(images, outputs)

    async def ask() -> list[bytes]:
        with closing(Pipeline(in_batches, 2, 100, sizes.append)) as pipeline:
            tasks = [asyncio.create_task(pipeline.segment(png(25 * value), "png")) for value in range(10)]
            while len(pipeline._gatherer._waiting) < 8:  # type: ignore[union-attr]
                await asyncio.sleep(0.01)
            everybody_waits.set()
            return [answer.data for answer in await asyncio.gather(*tasks)]

    monkeypatch.setattr(in_batches.backend, "infer", held)
    masks = [np.asarray(Image.open(io.BytesIO(data))) for data in asyncio.run(ask())]
    assert sizes == [1, 1, 4, 4]
    assert [mask[0, 0] for mask in masks] == [25 * value // 64 for value in range(10)]


def test_an_error_of_a_batch_goes_to_all_who_wait_for_it_and_the_next_one_is_taken(in_batches: LoadedModel) -> None:
    fails, infer = [True, False], in_batches.backend.infer

    def once(images: Pixels, outputs: Sequence[str]) -> list[Plane]:
        if fails.pop(0):
            raise GsegError("full")
        return infer(images, outputs)

    async def ask() -> list[Any]:
        with closing(Pipeline(in_batches, 1, 100)) as pipeline:
            first = await asyncio.gather(pipeline.segment(png(0), "png"), return_exceptions=True)
            return [*first, await pipeline.segment(png(0), "png")]

    in_batches.backend.infer = once  # type: ignore[method-assign]
    error, answer = asyncio.run(ask())
    assert isinstance(error, GsegError) and answer.media_type == "image/png"


def test_a_full_pipeline_says_so(loaded: LoadedModel) -> None:
    with closing(Pipeline(loaded, 1, 1)) as pipeline, pipeline.place():
        with pytest.raises(BusyError), pipeline.place():
            pass
        assert pipeline.num_in_hand == 1


def test_answers_go_out_without_waiting_for_more() -> None:
    """asyncio turns Nagle's algorithm off only for a socket that names its protocol."""
    with listen("127.0.0.1", 0) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_an_error_with_a_hint() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(GsegError, match="port") as caught:
        listen("127.0.0.1", taken.getsockname()[1])
    assert caught.value.hint and "--port" in caught.value.hint


@pytest.fixture
def running(model: Path) -> Iterator[SimpleNamespace]:
    """`gseg serve` in a process of its own, in which PyTorch cannot be imported."""
    code = "import sys; sys.modules['torch'] = None; from gseg_cli.app import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "serve", "--model", str(model), "--port", "0"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    address = process.stdout.readline().strip()
    yield SimpleNamespace(process=process, address=address)
    process.kill()
    process.communicate()


def test_the_command_serves_until_it_is_told_to_end(running: SimpleNamespace, make_photo: MakePhoto, tmp_path: Path):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", running.address)
    photo = make_photo(tmp_path / "photo.png").read_bytes()
    with httpx.Client(base_url=running.address) as client:
        assert client.post("/segment", content=photo).headers["content-type"] == "image/png"
        assert "gseg serve" in client.get("/").text
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(60) == 0
    assert "Traceback" not in running.process.stderr.read()


def test_a_body_that_never_ends_gives_its_place_back(loaded: LoadedModel) -> None:
    async def ask() -> int:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0 if not started.is_set() else 60)
            started.set()
            return {"type": "http.request", "body": b"\xff\xd8\xff", "more_body": True}

        async def send(message: Any) -> None:
            statuses.append(message.get("status"))

        started, statuses = asyncio.Event(), []
        with closing(Pipeline(loaded, 1, 1)) as pipeline:
            app = make_app(loaded, pipeline, Metrics(), ServeConfig(body_s=0.05))
            scope = {
                "type": "http", "method": "POST", "path": "/segment", "query_string": b"", "root_path": "",
                "headers": [(b"host", b"localhost")],
            }  # fmt: skip
            await app(scope, receive, send)
            assert pipeline.num_in_hand == 0
        return statuses[0]

    assert asyncio.run(ask()) == 408


@pytest.fixture
def port(client: MakeClient) -> Iterator[int]:
    """Where a server listens in a thread of this process."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(configured(client().app, 1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


def said(port: int, request: bytes) -> bytes:
    """All that a server says until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",  # TLS
        b"GET /health HTTP/1.1\r\n\r\n",
        b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: -3\r\n\r\nabc",
        b"POST /segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_http_is_told_so_in_json(port: int, request_: bytes) -> None:
    head, _, body = said(port, request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"nosniff" in head
    assert set(json.loads(body)) == {"error", "hint"}


def test_a_body_that_turns_bad_after_its_answer_ends_the_connection(port: int, caplog: Any) -> None:
    start = b"PUT /segment HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(start)
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
        connection.sendall(b"zz\r\n")
        assert answer.startswith(b"HTTP/1.1 405 ") and connection.recv(65536) == b""
    assert not caplog.records


@pytest.mark.parametrize("beginning", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\nGET /"])
def test_nobody_holds_a_connection_without_a_request(port: int, beginning: bytes, monkeypatch: Any) -> None:
    monkeypatch.setattr("gseg_runtime.serving.connection.PATIENCE_S", 0.1)
    assert (b'{"status":"ok"}' in said(port, beginning)) == beginning.endswith(b"GET /")


def test_a_request_that_takes_longer_than_headers_may_is_answered(
    port: int, photos: Path, loaded: LoadedModel, monkeypatch: Any
) -> None:
    def slow(self: Any, squares: Pixels, outputs: Sequence[str]) -> list[Plane]:
        time.sleep(0.5)
        return infer(self, squares, outputs)

    infer = type(loaded.backend).infer
    monkeypatch.setattr(type(loaded.backend), "infer", slow)
    monkeypatch.setattr("gseg_runtime.serving.connection.PATIENCE_S", 0.1)
    answer = httpx.post(f"http://127.0.0.1:{port}/segment", content=(photos / "a.jpg").read_bytes())
    assert answer.status_code == 200


BEGUN = b"POST /segment HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nn"


def is_ended(connection: socket.socket) -> bool:
    with suppress(ConnectionResetError):
        return connection.recv(1) == b""
    return True


def test_of_more_connections_than_there_are_files_for_those_that_nobody_uses_are_closed(
    port: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr("gseg_runtime.serving.connection.max_connections", lambda: 3)
    address = ("127.0.0.1", port)
    with ExitStack() as stack:
        used = stack.enter_context(socket.create_connection(address, timeout=20))
        used.sendall(BEGUN)
        time.sleep(0.5)  # until it has arrived
        idle = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(8)]
        assert all(map(is_ended, idle[:6]))
        for connection, rest in ((used, b"o"), (idle[-1], BEGUN + b"o")):
            connection.sendall(rest)
            assert connection.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_while_all_connections_are_used_more_are_refused(port: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("gseg_runtime.serving.connection.max_connections", lambda: 3)
    address = ("127.0.0.1", port)
    with ExitStack() as stack:
        used = [stack.enter_context(socket.create_connection(address, timeout=20)) for _ in range(3)]
        for connection in used:
            connection.sendall(BEGUN)
        time.sleep(0.5)
        assert is_ended(stack.enter_context(socket.create_connection(address, timeout=20)))
        for connection in used:
            connection.sendall(b"o")
            assert connection.recv(65536).startswith(b"HTTP/1.1 422 ")


def test_an_answer_that_nobody_reads_is_given_up(port: int, monkeypatch: Any) -> None:
    monkeypatch.setattr("gseg_runtime.serving.connection.PATIENCE_S", 0.3)
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (2000, 2000, 3), dtype=np.uint8)).save(file, "BMP")
    head = b"POST /segment?as=overlay HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", port))
        connection.sendall(head % len(file.getvalue()) + file.getvalue())
        answer = connection.recv(1024)
        time.sleep(3)
        with suppress(ConnectionResetError):
            while part := connection.recv(65536):
                answer += part
    match = re.search(rb"content-length: (\d+)", answer)
    assert match and len(answer) < int(match[1])


def test_what_is_missing_is_named_with_its_extra(monkeypatch: Any, capsys: Any, model: Path) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "gseg_runtime.serving.server", raising=False)
    monkeypatch.delitem(sys.modules, "gseg_runtime.serving.serve", raising=False)
    assert main(["serve", "--model", str(model)]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "error: gseg serve needs uvicorn, which is not installed"
    assert "pip install" in hint
