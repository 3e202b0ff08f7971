"""Nothing calls home: neither written below the user's home, nor any host looked up, by whatever loads an engine."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from gseg_runtime.telemetry import no_telemetry

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the library that watches look-ups is for Linux")

# Stands before the C library: all that is looked up goes through here, Python's own look-ups too.
WATCHER = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **res) {
    FILE *file = fopen(getenv("LOOK_UPS"), "a");
    if (file) { fprintf(file, "%s\\n", node ? node : "-"); fclose(file); }
    return EAI_FAIL;
}
struct hostent *gethostbyname(const char *name) { getaddrinfo(name, 0, 0, 0); return 0; }
"""

SEGMENT = """
import sys
import numpy as np
from gseg_runtime import Segmenter
with Segmenter.load(sys.argv[1], "DEVICE") as segmenter:
    assert segmenter.segment([np.full((5, 6, 3), 200, np.uint8)])[0].tolist() == [[3] * 6] * 5
"""
COMMAND = """
import sys
from gseg_cli.app import main
assert main(["bench", "--model", sys.argv[1], "--seconds", "0", "--count", "2", "--device", "cpu"]) == 0
assert main(["doctor"]) in (0, 1)
"""
SERVE = """
import signal, socket, sys, threading
from gseg_runtime import Segmenter
from gseg_runtime.serving.app import ServeConfig, make_app
from gseg_runtime.serving.metrics import Metrics
from gseg_runtime.serving.pipeline import Pipeline
from gseg_runtime.serving.server import run
with Segmenter.load(sys.argv[1]) as segmenter, socket.create_server(("127.0.0.1", 0)) as listener:
    app = make_app(segmenter.loaded, Pipeline(segmenter.loaded, 1, 1), Metrics(), ServeConfig())
    threading.Timer(1, signal.raise_signal, [signal.SIGTERM]).start()
    run(app, listener, patience_s=1)
"""
TRITON = """
from gseg_runtime import Segmenter
from gseg_runtime.errors import BackendUnavailable
try:
    Segmenter.connect("triton://127.0.0.1:9/faces")
except BackendUnavailable:
    pass
"""
EXPORT = """
import sys
from pathlib import Path
import numpy as np
from gseg_export.precision import to_fp16
from gseg_export.source import from_model
source = from_model(Path(sys.argv[1]))
to_fp16(source.graph)
assert source.label(np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 32, 32)
"""


def needs(package: str, code: str) -> Any:
    is_missing = find_spec(package) is None
    return pytest.param(code, marks=pytest.mark.skipif(is_missing, reason=f"{package} is not installed"))


CASES = {
    "onnxruntime": SEGMENT.replace("DEVICE", "auto"),
    "openvino": SEGMENT.replace("DEVICE", "openvino"),
    "commands": COMMAND,
    "export": EXPORT,
    "serve": needs("prometheus_client", SERVE),
    "triton": needs("tritonclient", TRITON),
}


@pytest.fixture(scope="session")
def watcher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("watcher")
    (folder / "watcher.c").write_text(WATCHER)
    command = [compiler, "-shared", "-fPIC", "-o", str(folder / "watcher.so"), str(folder / "watcher.c")]
    subprocess.run(command, check=True)
    return folder / "watcher.so"


def traces(watcher: Path, folder: Path, code: str, *args: str) -> list[str]:
    """What a program leaves in a fresh home, and the hosts that it looks up."""
    home, look_ups = folder / "home", folder / "look-ups"
    home.mkdir()
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(home), "LD_PRELOAD": str(watcher), "LOOK_UPS": str(look_ups),
        "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, *args], env=variables, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    hosts = look_ups.read_text().split() if look_ups.exists() else []
    return [str(path.relative_to(home)) for path in home.rglob("*")] + hosts


@pytest.mark.parametrize("code", CASES.values(), ids=CASES.keys())
def test_nothing_calls_home(watcher: Path, model: Path, tmp_path: Path, code: str) -> None:
    assert traces(watcher, tmp_path, code, str(model)) == []


def test_a_call_would_be_seen(watcher: Path, tmp_path: Path) -> None:
    code = """
import pathlib, socket
(pathlib.Path.home() / "queue").touch()
try:
    socket.getaddrinfo("events.example", 443)
except OSError:
    pass
"""
    assert traces(watcher, tmp_path, code) == ["queue", "events.example"]


def test_who_wants_the_reports_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    no_telemetry()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "0"
