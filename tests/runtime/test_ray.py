"""A bucket on Ray gives the masks of the folder, also when actors, their machine or the driver are killed."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from s3_server import NUM_PHOTOS, free_port, masks_below, masks_in, moody_server, rows_in, upload

from gseg_cli.app import main
from gseg_runtime import Segmenter
from gseg_runtime.on_ray.engine import share
from tests.test_imports import REFUSE

MARK = "GSEG_TEST_OF_RAY"  # a variable of the environment, which Ray's processes inherit
# `gseg` with small blocks.
SMALL = """
import sys
from gseg_runtime.remote import listing
listing.BLOCK = 3
from gseg_cli.app import main
sys.exit(main(sys.argv[1:]))
"""


@contextmanager
def marked() -> Iterator[dict[str, str]]:
    """An environment whose processes, and those that they start, do not outlive the test."""
    mark = secrets.token_hex(8)
    try:
        yield {**os.environ, MARK: mark, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
    finally:
        for pid in pids(mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def pids(mark: str, name: str = "") -> list[int]:
    """Of living processes with this mark, whose program is called like this."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with suppress(OSError):
                is_named = name.encode() in (folder / "cmdline").read_bytes().partition(b"\0")[0]
                if is_named and f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
    return found


def start_node(environment: dict[str, str], *where: str) -> None:
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--num-cpus", "1", "--disable-usage-stats", *where]
    done = subprocess.run([*command, "--object-store-memory", str(80 * 2**20)], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def segment_on_ray(environment: dict[str, str], model: Path, *flags: str) -> "subprocess.Popen[str]":
    call = ["segment", "s3://photos/in", "-o", "s3://masks/out", "--model", str(model), "--device", "cpu", "--json"]
    command = [sys.executable, "-c", SMALL, *call, "--engine", "ray", "--actors", "2", "--workers", "2", *flags]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_parts(s3: Any, count: int, process: "subprocess.Popen[str]") -> None:
    end_s = time.monotonic() + 120
    while len(s3.find("masks/out/_gseg/parts")) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end_s, "no part within two minutes"
        time.sleep(0.02)


def kill(mark: str, name: str) -> None:
    os.kill(pids(mark, name)[0], signal.SIGKILL)


def check_masks(s3: Any, model: Path, photos: Path, out: Path) -> None:
    with Segmenter.load(model, "cpu") as segmenter:
        segmenter.segment_folder(photos, out, full_names=True)
    assert masks_in(s3) == masks_below(out)


def test_a_cluster_that_loses_an_actor_and_a_machine_gives_the_masks_of_the_folder(
    s3: Any, s3_port: int, model: Path, mixed: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    upload(s3, mixed)
    address = f"127.0.0.1:{free_port()}"
    with moody_server(s3_port, lambda *_: "slow", slow_s=0.2) as port, marked() as head, marked() as other:
        for environment in (head, other):
            environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        start_node(head, "--head", "--port", address.partition(":")[2], "--include-dashboard", "false")
        start_node(other, "--address", address)
        process = segment_on_ray(head, model, "--address", address)
        wait_for_parts(s3, 1, process)
        kill(head[MARK], "ray::Actor")
        wait_for_parts(s3, 3, process)
        kill(other[MARK], "raylet/raylet")
        shown, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    report = json.loads(shown)["data"]
    assert (report["done"], report["failed"]) == (NUM_PHOTOS + 2, 3)
    assert report["device"].endswith("actors on Ray")
    check_masks(s3, model, mixed, tmp_path / "out")


def test_without_its_driver_a_run_ends_and_another_goes_on_with_it(
    s3: Any, s3_port: int, model: Path, mixed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    upload(s3, mixed)
    with moody_server(s3_port, lambda *_: "slow", slow_s=0.1) as port, marked() as environment:
        environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
        process = segment_on_ray(environment, model)
        wait_for_parts(s3, 2, process)
        process.kill()
        process.communicate()
    recorded = {row["key"] for row in rows_in(s3) if row["status"] == "done"}
    assert {f"{key}.png" for key in recorded} <= masks_in(s3).keys()
    call = ["segment", "s3://photos/in", "-o", "s3://masks/out", "--model", str(model), "--device", "cpu"]
    assert main([*call, "--resume", "--json"]) == 3
    report = json.loads(capsys.readouterr().out)["data"]
    assert (report["done"], report["skipped"]) == (NUM_PHOTOS + 2 - len(recorded), len(recorded))
    check_masks(s3, model, mixed, tmp_path / "out")


def test_actors_share_what_the_cluster_has() -> None:
    assert share(16, 0) == (1, 0)
    assert share(2, 1) == (2, 1)
    assert share(128, 8) == (4, 0.25)


def test_what_ray_cannot_do_is_refused_before_it_is_started(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model)]
    for flags, text in {
        ("--address", "auto"): "--address is about Ray",
        ("--actors", "2"): "--actors is about Ray",
        ("--engine", "ray", "--actors", "many"): "--actors: expected MIN:MAX",
        ("--engine", "ray", "--actors", "3:2"): "expected MIN:MAX with MIN from 1 on, got 3:2",
        ("--engine", "ray", "--device", "cuda:1"): "Ray chooses which one",
        ("--engine", "ray", "--coco"): "--coco: not to be had",
    }.items():
        assert main([*call, *flags]) == 2
        assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_cannot_be_reached_leaves_nothing_behind(
    model: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("ray", reason="the extra [ray] is not installed")
    address = f"127.0.0.1:{free_port()}"
    call = ["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model)]
    assert main([*call, "--engine", "ray", "--address", address]) == 1
    assert f"Ray: {address}: [Errno 111] Connection refused" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(call) == 0


def test_without_ray_there_is_a_hint_and_a_folder_needs_none_of_it(model: Path, photos: Path, tmp_path: Path) -> None:
    code = f"REFUSED = ('ray', 'fsspec'){REFUSE}from gseg_cli.app import main; sys.exit(main(sys.argv[1:]))"
    call = [sys.executable, "-c", code, "segment", str(photos), "--model", str(model), "-o"]
    assert subprocess.run([*call, str(tmp_path / "folder")], capture_output=True).returncode == 0
    done = subprocess.run([*call, str(tmp_path / "out"), "--engine", "ray"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "error: ray is not installed" in done.stderr and "hint: pip install" in done.stderr
