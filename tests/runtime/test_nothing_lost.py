"""Killed, interrupted, out of room, given bad files: what is done stays, what is not is named, photos untouched."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakePhoto
from PIL import Image

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.errors import ImageError, OutputError
from gseg_runtime.files import INCOMPLETE, LOCK
from gseg_runtime.folder import Progress
from gseg_runtime.manifest import Entry, ManifestWriter
from gseg_runtime.output_folder import OutputFolder
from gseg_runtime.photo_files import FolderFiles
from gseg_runtime.remote.disk import DiskStore

# `gseg` with an engine that takes its time, so that a signal finds it at work.
SLOW = """
import sys, time
from gseg_runtime.loaded_model import LoadedModel
infer = LoadedModel.infer
def slow(self, squares, **options):
    time.sleep(float(sys.argv[1]))
    return infer(self, squares, **options)
LoadedModel.infer = slow
from gseg_cli.app import main
sys.exit(main(sys.argv[2:]))
"""
# An engine that never comes back but is in C++ nearly all the time; the program as it is installed.
BUSY = """
import sys
from gseg_runtime.loaded_model import LoadedModel
infer = LoadedModel.infer
def forever(self, squares, **options):
    squares = squares.repeat(3000, axis=0)
    while True:
        infer(self, squares, **options)
LoadedModel.infer = forever
from gseg_cli.app import run
run()
"""
NUM_PHOTOS = 30


@pytest.fixture
def many(make_photo: MakePhoto, tmp_path: Path) -> Path:
    for index in range(NUM_PHOTOS):
        make_photo(tmp_path / "in" / f"{index % 3}" / f"{index:02d}.png", 20 + index, 30, (7 * index, 255 - 7 * index))
    return tmp_path / "in"


@contextmanager
def started(code: str, *args: str) -> Iterator[subprocess.Popen[str]]:
    """A child that Ctrl-C reaches even where this process ignores it, as under nohup; it does not outlive the test."""
    as_usual = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    command = [sys.executable, "-c", code, *args]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=as_usual)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def slow(seconds: float, photos: Path, out: Path, model: Path, *flags: str) -> AbstractContextManager[Any]:
    call = ["segment", str(photos), "-o", str(out), "--model", str(model), "--device", "cpu", "--workers", "2", *flags]
    return started(SLOW, str(seconds), *call)


def wait_for_masks(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    manifest, end_s = out / "gseg-manifest.jsonl", time.monotonic() + 60
    while not (manifest.is_file() and manifest.read_bytes().count(b"\n") >= count):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end_s, "no mask within a minute"
        time.sleep(0.002)


def masks_of(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*.png")}


def everything_in(folder: Path) -> dict[str, tuple[int, int]]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in paths}


def test_killed_at_any_time_a_run_can_be_gone_on_with(model: Path, many: Path, tmp_path: Path) -> None:
    out, inputs = tmp_path / "out", everything_in(many)
    rng = np.random.default_rng(0)
    for count in (1, 9, 20):
        with slow(0.02, many, out, model, *(["--resume"] if out.exists() else [])) as process:
            wait_for_masks(out, count, process)
            time.sleep(rng.uniform(0, 0.03))
        assert process.returncode == -signal.SIGKILL
        assert (out / INCOMPLETE).exists()
        lines = (out / "gseg-manifest.jsonl").read_bytes().splitlines(keepends=True)
        finished = [json.loads(line)["mask"] for line in lines if line.endswith(b"\n")]
        before = {mask: (out / mask).stat().st_mtime_ns for mask in finished}
    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_folder(many, out, resume=True)
        segmenter.segment_folder(many, tmp_path / "whole")
    assert (report.done, report.skipped) == (NUM_PHOTOS - len(finished), len(finished))
    assert before == {mask: (out / mask).stat().st_mtime_ns for mask in finished}
    assert masks_of(out) == masks_of(tmp_path / "whole")
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
    assert inputs == everything_in(many)


def test_ctrl_c_does_not_wait_for_a_slow_engine(model: Path, many: Path, tmp_path: Path) -> None:
    for seconds, out, count in ((0.02, tmp_path / "out", 2), (3600, tmp_path / "stuck", 0)):
        with slow(seconds, many, out, model) as process:
            wait_for_masks(out, count, process)
            process.send_signal(signal.SIGINT)
            assert "interrupted" in process.communicate(timeout=60)[1]
            assert process.returncode == 130
    assert main(["segment", str(many), "-o", str(tmp_path / "out"), "--model", str(model), "--resume"]) == 0


def test_sigterm_ends_a_run_as_ctrl_c_does_and_holds_no_folder(model: Path, many: Path, tmp_path: Path) -> None:
    with slow(0.02, many, tmp_path / "out", model) as process:
        wait_for_masks(tmp_path / "out", 2, process)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=60)[1].endswith("error: interrupted\n")
        assert process.returncode == 130
    assert not (tmp_path / "out" / LOCK).exists()  # else another machine would wait for three minutes


def test_ctrl_c_does_not_abort_the_process_when_an_engine_is_still_at_work(
    model: Path, many: Path, tmp_path: Path
) -> None:
    call = ["segment", str(many), "-o", str(tmp_path / "out"), "--model", str(model), "--device", "cpu"]
    with started(BUSY, *call) as process:
        wait_for_masks(tmp_path / "out", 0, process)
        process.send_signal(signal.SIGINT)
        shown = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert shown.splitlines()[-1] == "error: interrupted"  # and no word of C++ after it


def test_a_full_disk_ends_the_run_with_what_to_do(
    model: Path, make_photo: MakePhoto, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A limit on the size of files, which the system enforces as it does a full disk."""
    for index in range(6):
        make_photo(tmp_path / "in" / f"{index}.png", 300, 300)
    noise = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)  # its mask is the largest by far
    Image.fromarray(noise).resize((3000, 3000), Image.Resampling.NEAREST).save(tmp_path / "in" / "3.png")
    inputs = everything_in(tmp_path / "in")
    call = ["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--model", str(model), "--workers", "1"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        code = main(call)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    shown = capfd.readouterr().err
    assert code == 1 and "cannot be written" in shown and "--resume" in shown
    assert sorted(masks_of(tmp_path / "out")) == ["0.png", "1.png", "2.png"]
    assert not list((tmp_path / "out").rglob(".gseg-tmp-*"))
    assert main([*call, "--resume"]) == 0
    assert len(masks_of(tmp_path / "out")) == 6
    assert inputs == everything_in(tmp_path / "in")


def test_a_manifest_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "gseg-manifest.jsonl").symlink_to("/dev/full")  # takes nothing
    entry = Entry("x.jpg", "x.png", "done", "", 0, None)
    with pytest.raises(GsegError, match=os.strerror(errno.ENOSPC)) as caught, ManifestWriter(tmp_path) as manifest:
        manifest.add(entry)
    assert "--resume" in str(caught.value.hint)


def test_a_disk_that_is_full_when_the_tables_are_written_ends_the_run_as_it_does_before(
    model: Path, photos: Path, tmp_path: Path
) -> None:
    segmenter = Segmenter.load(model, device="cpu")

    def fill_up(progress: Progress) -> None:
        if progress.done == progress.total:
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OutputError) as caught:
            segmenter.segment_folder(photos, tmp_path / "out", stats=True, on_image=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reason = os.strerror(errno.EFBIG)  # and nothing of a temporary name
    assert str(caught.value) == f"{tmp_path}/out/gseg-stats.csv: cannot be written: {reason}; 4 masks are safe"
    assert "--resume" in str(caught.value.hint)
    assert segmenter.segment_folder(photos, tmp_path / "out", resume=True, stats=True).skipped == 4


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process may open no file beside those that it has open."""
    with Path(os.devnull).open() as file:
        next_number = file.fileno()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next_number, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_many_open_files_end_the_run_instead_of_costing_each_photo(photos: Path, tmp_path: Path) -> None:
    with OutputFolder(tmp_path / "out") as out:
        files = FolderFiles(out)
        with no_more_files(), pytest.raises(GsegError, match=os.strerror(errno.EMFILE)) as reading:
            files.read(photos / "a.jpg")
        with no_more_files(), pytest.raises(OutputError, match=os.strerror(errno.EMFILE)) as writing:
            files.write(Path("a.png"), b"")
    store = DiskStore(photos)
    with no_more_files(), pytest.raises(GsegError, match=os.strerror(errno.EMFILE)) as of_store:
        store.read("a.jpg", 1)
    assert not any(isinstance(error.value, ImageError) for error in (reading, of_store))
    assert all("ulimit -n" in str(error.value.hint) for error in (reading, of_store, writing))


def test_a_pipe_named_like_a_photo_is_not_waited_for(model: Path, photos: Path, tmp_path: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    (photos / "unreadable.jpg").write_bytes((photos / "a.jpg").read_bytes())
    (photos / "unreadable.jpg").chmod(0)
    (photos / "video.jpg").write_bytes(b"\0\0\0\x20ftypisom" + bytes(1000))
    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_folder(photos, tmp_path / "out")
    reasons = {Path(failure.path).name: failure.reason for failure in report.failures}
    assert reasons.pop("unreadable.jpg", "Permission denied") == "Permission denied"  # root may read everything
    assert reasons == {"pipe.jpg": "not a regular file", "video.jpg": "not a picture of a known format"}


def test_a_name_that_leaves_no_room_for_its_mask_costs_only_that_photo(
    model_with_confidence: Path, make_photo: MakePhoto, tmp_path: Path
) -> None:
    long = make_photo(tmp_path / "in" / f"{'x' * 248}.jpg")  # of at most 255 bytes
    make_photo(tmp_path / "in" / "y.jpg")
    with Segmenter.load(model_with_confidence, "cpu") as segmenter:
        assert segmenter.segment_folder(tmp_path / "in", tmp_path / "plain").done == 2
        report = segmenter.segment_folder(tmp_path / "in", tmp_path / "more", overlay=True, confidence=True)
    assert [(failure.path, failure.reason) for failure in report.failures] == [
        (str(long), f"its file {'x' * 248}.confidence.png cannot be written: File name too long")
    ]
    assert sorted(path.name for path in (tmp_path / "more").glob("*.*")) == [
        "gseg-manifest.jsonl", "gseg-report.json", "y.confidence.png", "y.overlay.jpg", "y.png"
    ]  # fmt: skip


def test_a_folder_that_cannot_be_listed_is_named(model: Path, photos: Path, tmp_path: Path) -> None:
    """As one without permission; root is shown these, but nobody a path of more than 4096 bytes."""
    here = os.open(photos, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=here)
        below = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    with Segmenter.load(model, "cpu") as segmenter:
        report = segmenter.segment_folder(photos, tmp_path / "out")
    assert (report.done, report.failed) == (4, 1)
    assert report.failures[0].reason == "File name too long"
