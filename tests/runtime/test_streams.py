"""Whatever the caller did with stdin, stdout and stderr, and with HOME, masks are made and errors are told."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gseg_cli.app import main


def run(*args: str, before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "gseg_cli", "segment", *args]
    return subprocess.run(command, input=b"", capture_output=True, preexec_fn=before, timeout=60)


@pytest.mark.parametrize("numbers", [[0], [1], [2], [0, 1, 2]])
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_closed_streams_end_no_run_and_their_numbers_go_to_no_file(
    model: Path, photos: Path, tmp_path: Path, numbers: list[int], flags: list[str]
) -> None:
    def close() -> None:
        for number in numbers:
            os.close(number)

    out = tmp_path / "out"
    (photos / "bad.jpg").write_bytes(b"")
    done = run(str(photos), "-o", str(out), "--model", str(model), "--device", "cpu", *flags, before=close)
    assert done.returncode == 3, done
    assert len(list(out.rglob("*.png"))) == 4
    assert json.loads((out / "gseg-report.json").read_text())["done"] == 4
    if 1 not in numbers and flags:
        assert json.loads(done.stdout)["data"]["done"] == 4
    elif 1 not in numbers:
        assert done.stdout.startswith(os.fsencode(out))
    if 2 not in numbers:
        assert b"bad.jpg: the file is empty" in done.stderr


def test_a_list_from_a_closed_stdin_is_an_empty_list(model: Path, tmp_path: Path) -> None:
    done = run("-", "-o", str(tmp_path / "out"), "--model", str(model), before=lambda: os.close(0))
    assert done.returncode == 1 and b"no photo is named" in done.stderr
    assert b"hint: a list on stdin has a path on each line" in done.stderr


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_who_stops_listening_ends_no_run(model: Path, photos: Path, tmp_path: Path, name: str) -> None:
    """As `gseg segment ... 2>&1 | head -1`."""
    (photos / "bad.jpg").write_bytes(b"")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "gseg_cli", "segment", str(photos), "-o", str(out), "--model", str(model)]
    reader, writer = os.pipe()
    os.close(reader)
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, name: writer}
    process = subprocess.Popen(command, stdout=streams["stdout"], stderr=streams["stderr"])
    os.close(writer)
    shown, talk = process.communicate(timeout=60)
    assert process.returncode == 3
    assert json.loads((out / "gseg-report.json").read_text())["done"] == 4
    assert b"Traceback" not in (talk or b"") and b"Exception ignored" not in (talk or b"")
    assert name == "stdout" or shown.startswith(os.fsencode(out))


def test_without_a_home_masks_are_made_all_the_same(
    model: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a user id that the system has no entry for, in a container."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert main(["segment", str(photos), "-o", str(tmp_path / "out"), "--model", str(model)]) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a full disk is simulated by /dev/full")
@pytest.mark.parametrize("call", [["init", "{}"], ["init", "{}", "--json"], ["--help"], ["--json", "info", "missing"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_what_a_full_disk_does_not_take_of_stdout_is_one_error_that_says_so(
    tmp_path: Path, call: list[str], unbuffered: str
) -> None:
    command = [sys.executable, "-m", "gseg_cli", *(word.format(tmp_path / "project") for word in call)]
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, env=env, text=True)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    said = "missing: no such file" if "missing" in call else "standard output: No space left on device"
    if unbuffered and "--help" in call:
        said = "No space left on device"  # it is Typer that writes
    assert len(errors) == 1 and said in errors[0]
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr


def test_a_result_that_nobody_reads_is_no_error(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "gseg_cli", "init", str(tmp_path / "project")]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, text=True)
    os.close(writing)
    assert done.returncode == 0 and done.stderr.startswith("next: gseg ") and done.stderr.count("\n") == 1


def test_an_error_as_json_for_a_closed_stdout_is_no_traceback() -> None:
    command = f"exec {shlex.quote(sys.executable)} -m gseg_cli --json info missing >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, timeout=60, text=True)
    assert done.returncode == 1 and "Traceback" not in done.stderr
