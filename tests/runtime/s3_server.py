"""A real S3 server on localhost (moto's), and one before it that misbehaves as it is told."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NUM_PHOTOS = 24  # that are good, beside two more at the top
# How a request is answered: its method, its path, and how often it came before. "" for as it should be.
Mood = Callable[[str, str, int], str]
SLOW_S = 3.0


@contextmanager
def moto_server(log: Path) -> Iterator[int]:
    """Its port."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
        try:
            wait_for(port, process)
            yield port
        finally:
            process.kill()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end_s = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert process.poll() is None and time.monotonic() < end_s, "no S3 server within a minute"
            time.sleep(0.05)


def credentials(port: int) -> dict[str, str]:
    """What the environment says to clients of the server."""
    return {
        **{
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "not-a-secret",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        **{"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_EC2_METADATA_DISABLED": "true"},
        **{"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull},
    }


@contextmanager
def moody_server(port: int, mood: Mood, slow_s: float = SLOW_S) -> Iterator[int]:
    """The port of one that passes requests on to the server at `port`, or answers them itself: "503" refuses,
    "truncate" ends in the middle of the content, "slow" takes `slow_s` seconds before it answers.
    """
    seen: Counter[tuple[str, str]] = Counter()
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            path = unquote(urlsplit(self.path).path)
            with lock:
                times = seen[self.command, path]
                seen[self.command, path] += 1
            answer = mood(self.command, path, times)
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # the client has gone; the server would wait for the rest for ever
                self.close_connection = True
                return
            if answer == "slow":
                time.sleep(slow_s)
            status, headers, content = self._busy() if answer == "503" else self._passed_on(body)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                with suppress(ConnectionError):  # it was too slow
                    self.wfile.write(content[: len(content) // 2] if answer == "truncate" else content)
            self.close_connection = True

        def _busy(self) -> tuple[int, list[tuple[str, str]], bytes]:
            text = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
            return 503, [("Content-Type", "application/xml")], text

        def _passed_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
            connection = HTTPConnection("127.0.0.1", port)
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            content = response.read()
            connection.close()
            kept = [pair for pair in response.getheaders() if pair[0].lower() not in ("content-length", "connection")]
            return response.status, kept, content

        def log_message(self, *_: Any) -> None:
            pass

        do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _answer  # noqa: N815 (http.server's names)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # closing it waits for what is still on its way
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def upload(s3: Any, folder: Path, bucket: str = "photos") -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            s3.pipe_file(f"{bucket}/in/{path.relative_to(folder).as_posix()}", path.read_bytes())


def masks_in(s3: Any, place: str = "masks/out") -> dict[str, bytes]:
    return {name.removeprefix(f"{place}/"): s3.cat_file(name) for name in s3.find(place) if name.endswith(".png")}


def masks_below(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.png")}


def rows_in(s3: Any, place: str = "masks/out") -> list[dict[str, Any]]:
    parts = sorted(s3.find(f"{place}/_gseg/parts"))
    return [json.loads(line) for part in parts for line in s3.cat_file(part).splitlines()]
