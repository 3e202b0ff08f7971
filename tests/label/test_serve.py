"""The real process: its address, its end, and what goes over the line."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.app import main
from gseg_cli.label.lock import locked
from gseg_cli.label.serve import listen, listen_for
from gseg_cli.project import Project
from gseg_runtime.errors import GsegError
from tests.tiny import CLASSES


@dataclass
class Running:
    """`gseg label` in a process of its own. page: has let itself in."""

    process: subprocess.Popen[str]
    address: str
    page: httpx.Client

    def end(self, how: int = signal.SIGINT) -> tuple[int, str, str]:
        """Exit code, and what else it wrote."""
        self.process.send_signal(how)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


def start(project: Path, *args: str) -> Running:
    command = [sys.executable, "-m", "gseg_cli", "-C", str(project), "label", "--no-browser", "--device", "cpu", *args]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout
    address = ""
    while not address.startswith("http"):
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        address = re.sub(r'^\s*"address": "|",?$', "", line.strip())
    origin = address.partition("/?")[0]
    page = httpx.Client(base_url=origin, headers={"Origin": origin}, timeout=60)
    page.get(address)
    return Running(process, address, page)


@pytest.fixture
def running(project: Project) -> Iterator[Running]:
    running = start(project.dir)
    yield running
    running.page.close()
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


def put(page: httpx.Client, rev: int, label: int, y: int = 0) -> httpx.Response:
    where = {"rev": rev, "x": 0, "y": y, "w": 4, "h": 1}
    return page.put("/api/samples/3/labels", params=where, content=bytes([label] * 4))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_the_normal_end_with_all_on_disk_though_a_page_listens(running, project, how):
    listens = threading.Event()

    def listener() -> None:
        with running.page.stream("GET", "/api/events") as events:
            for _ in events.iter_lines():
                listens.set()

    thread = threading.Thread(target=listener)
    thread.start()
    assert listens.wait(30)
    assert put(running.page, 0, 1).status_code == 200
    assert put(running.page, 1, 2, y=5).status_code == 200  # the teacher is at work
    code, out, err = running.end(how)
    thread.join(30)
    assert not thread.is_alive()
    assert (code, out) == (0, "")
    assert err.splitlines()[1:] == [
        "labels on 1 of 3 samples",
        "warning: labelled nowhere, so never predicted: dark",
        f"next: gseg -C {project.dir} fewshot-train",
    ]
    assert AnnotationSet.load(project.annotations_dir).pixel_counts.tolist() == [[0, 4, 4]]
    assert (project.annotations_dir / "preview" / "000003.png").is_file()


def test_without_labels_no_training_is_proposed(running):
    _, _, err = running.end()
    assert err.splitlines()[1:] == ["labels on 0 of 3 samples"]


def test_after_a_kill_every_acknowledged_stroke_is_there_with_its_history(running, project):
    for rev in range(5):
        assert put(running.page, rev, rev % 3, y=rev).status_code == 200
    running.end(signal.SIGKILL)
    again = start(project.dir)
    answer = again.page.get("/api/samples/3/labels")
    assert (answer.headers["x-rev"], answer.headers["x-can-undo"]) == ("5", "1")
    assert [answer.content[16 * y] for y in range(6)] == [0, 1, 2, 0, 1, 255]
    for rev in range(5, 10):
        assert again.page.post("/api/samples/3/undo", json={"rev": rev}).status_code == 200
    assert set(again.page.get("/api/samples/3/labels").content) == {255}
    again.page.close()
    assert again.end()[0] == 0


def test_a_page_that_listens_hears_of_strokes_fits_predictions_and_what_is_next(running):
    heard: dict[str, dict[str, object]] = {}
    with running.page.stream("GET", "/api/events", timeout=60) as events:
        lines = (line for line in events.iter_lines() if line)
        assert next(lines).startswith(":")
        put(running.page, 0, 1)
        put(running.page, 1, 2, y=5)
        for line in lines:
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
                heard[name] = json.loads(next(lines).removeprefix("data: "))
            if {"labels", "fit", "prediction", "next"} <= set(heard) and heard["fit"]["stage"] == "mlp":
                break
    assert heard["labels"] == {"seed": 3, "rev": 2}
    assert set(heard["fit"]) == {"stage", "seconds", "pixels"}
    assert set(heard["prediction"]) == {"seed", "id", "stage", "doubt"}
    assert {"seed", "why"} <= set(heard["next"])


def test_a_second_gseg_label_on_the_project_is_refused(running, project, capsys):
    assert main(["-C", str(project.dir), "label", "--no-browser", "--device", "cpu"]) == 1
    error, hint = capsys.readouterr().err.splitlines()[-2:]
    assert f"in use by process {running.process.pid}" in error and hint.startswith("hint: ")


def test_the_token_stands_in_the_address_and_nowhere_else(running):
    token = running.address.partition("token=")[2]
    assert len(token) == 43
    running.page.get("/nothing", params={"token": token})
    answers = [running.page.get(path) for path in ("/", "/api/project", "/nothing")]
    assert not [answer for answer in answers if token in answer.text + str(answer.headers)]
    _, out, err = running.end()
    assert token not in out + err


RAW_PATHS = ["/page/../app.py", "/page/../../../../etc/passwd", "//etc/passwd", "/page/./../guard.py", "http://evil/"]


def test_paths_that_no_client_would_send_lead_nowhere(running):
    """Over the bare socket: clients tidy paths up."""
    url = httpx.URL(running.address)
    cookie = "; ".join(f"{name}={value}" for name, value in running.page.cookies.items())
    for path in RAW_PATHS:
        with socket.create_connection((url.host, url.port or 0), timeout=30) as line:
            head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
            line.sendall(head.encode())
            answer = b"".join(iter(lambda line=line: line.recv(65536), b""))
        assert re.match(rb"HTTP/1.1 40[0-9] ", answer), (path, answer[:200])


def test_only_this_machine_is_listened_on(running):
    port = httpx.URL(running.address).port
    assert port is not None
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        with pytest.raises(OSError):
            socket.create_connection((str(address), port), timeout=1)


def test_samples_are_made_where_there_are_none_and_json_names_the_address(tmp_path, tiny_gan):
    project = Project.create(tmp_path / "new", classes=CLASSES, gan=str(tiny_gan))
    running = start(project.dir, "--json", "--count", "2")
    assert running.page.get("/api/project").json()["size"] == 16
    assert len(running.page.get("/api/project").json()["samples"]) == 2
    assert len(list(project.samples_dir.glob("0*.png"))) == 2
    running.page.close()
    code, out, _ = running.end()
    assert code == 0 and "Ctrl-C" not in out


def test_samples_are_not_made_while_another_gseg_label_makes_them(tmp_path, tiny_gan, capsys):
    project = Project.create(tmp_path / "new", classes=CLASSES, gan=str(tiny_gan))
    project.label_dir.mkdir()
    with locked(project.label_dir):
        assert main(["-C", str(project.dir), "label", "--no-browser", "--device", "cpu", "--count", "2"]) == 1
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err
    assert not list(project.samples_dir.iterdir())


def test_pictures_that_an_interruption_left_out_are_made_before_the_page_opens(project, tmp_path):
    picture = project.samples_dir / "000005.png"
    before = picture.read_bytes()
    picture.unlink()
    running = start(project.dir)
    assert picture.read_bytes() == before
    running.page.close()
    assert running.end()[0] == 0


@pytest.mark.parametrize(
    "args", [["--count", "0"], ["--seeds", "x"], ["--port", "0"], ["--seeds", "1", "--count", "2"]]
)
def test_wrong_usage_is_code_2(project, args):
    assert main(["-C", str(project.dir), "label", "--no-browser", *args]) == 2


def test_a_port_that_is_taken_is_an_error_with_a_hint():
    with listen(0).socket as taken:
        with pytest.raises(GsegError, match="port") as caught:
            listen(taken.getsockname()[1])
        assert caught.value.hint and "--port" in caught.value.hint


def test_a_project_has_the_same_port_each_time_and_another_where_that_is_taken(tmp_path):
    with listen_for(tmp_path).socket as first, listen_for(tmp_path).socket as second:
        port = first.getsockname()[1]
        assert second.getsockname()[1] != port
    with listen_for(tmp_path).socket as third, listen_for(tmp_path / "other").socket as other:
        assert third.getsockname()[1] == port != other.getsockname()[1]


def test_samples_of_another_gan_are_refused(project, tmp_path):
    from tests.tiny import write_gan

    other = write_gan(tmp_path / "other.safetensors", seed=1)
    path = project.path("gseg.toml")
    path.write_text(re.sub('path = ".*"', f'path = "{other}"', path.read_text()))
    assert main(["-C", str(project.dir), "label", "--no-browser", "--device", "cpu"]) == 1


def test_the_browser_is_given_an_address_that_opens_once(project, monkeypatch):
    """What stands in a program's arguments can be seen by others on the machine."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)

    def serve(app: object, listener: object, on_end: object) -> None:
        for _ in range(100):
            if opened:
                assert listener.address_once == opened[0] != listener.address  # type: ignore[attr-defined]
                return
            time.sleep(0.05)

    monkeypatch.setattr("gseg_cli.label.serve.serve", serve)
    assert main(["-C", str(project.dir), "label", "--device", "cpu"]) == 0
    assert len(opened) == 1
