"""The output folder is one process's own, stays the same folder to the end, and counts only what is whole."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import MakePhoto
from test_nothing_lost import slow, wait_for_masks

from gseg_cli.app import main
from gseg_runtime import GsegError, Segmenter
from gseg_runtime.folder import Progress
from gseg_runtime.folder_lock import LOCK, STALE_S, FolderLock
from gseg_runtime.label_map import read_label_png
from gseg_runtime.output_folder import OutputFolder

NUM_PHOTOS = 8


@pytest.fixture
def many(make_photo: MakePhoto, tmp_path: Path) -> Path:
    for index in range(NUM_PHOTOS):
        make_photo(tmp_path / "in" / f"sub{index % 2}" / f"{index}.png")
    return tmp_path / "in"


@pytest.fixture
def segmenter(model: Path) -> Segmenter:
    return Segmenter.load(model, device="cpu")


def everything_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# One process at a time.


def test_a_second_process_is_refused_with_the_first_ones_host_and_number(
    model: Path, many: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with slow(0.3, many, out, model) as first:
        wait_for_masks(out, 1, first)
        for flags in ([], ["--resume"], ["--overwrite"]):
            assert main(["segment", str(many), "-o", str(out), "--model", str(model), *flags]) == 1
            shown = capsys.readouterr().err
            assert f"in use by process {first.pid} on {os.uname().nodename}, since " in shown
        first.communicate(timeout=60)
        assert first.returncode == 0
    assert not (out / LOCK).exists()
    assert main(["segment", str(many), "-o", str(out), "--model", str(model), "--resume"]) == 0


def test_of_processes_that_start_together_one_does_the_work(model: Path, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with ExitStack() as stack:
        processes = [stack.enter_context(slow(0.1, many, out, model)) for _ in range(4)]
        shown = [process.communicate(timeout=60)[1] for process in processes]
    assert sorted(process.returncode for process in processes) == [0, 1, 1, 1]
    assert sum("in use by process" in text or "not empty" in text for text in shown) == 3
    assert len(list(out.rglob("*.png"))) == NUM_PHOTOS and not (out / LOCK).exists()


def test_the_lock_of_a_dead_process_is_taken_over_at_once(model: Path, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with slow(0.3, many, out, model) as first:
        wait_for_masks(out, 1, first)
        first.kill()
        first.wait()
    assert (out / LOCK).exists()
    assert main(["segment", str(many), "-o", str(out), "--model", str(model), "--resume"]) == 0
    assert not (out / LOCK).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only the number of a process is known")
def test_a_number_that_another_process_has_by_now_is_not_the_holder(tmp_path: Path) -> None:
    with OutputFolder(tmp_path) as folder:
        holder = json.loads((tmp_path / LOCK).read_text())
        assert holder["pid"] == os.getpid()
        with pytest.raises(GsegError, match="in use"):
            OutputFolder(tmp_path)
    (tmp_path / LOCK).write_text(json.dumps({**holder, "start": "17"}))  # this process began at another time
    with OutputFolder(tmp_path) as folder:
        folder.check()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_process_that_is_dead_but_not_buried_holds_nothing(tmp_path: Path) -> None:
    code = "import os, sys; from pathlib import Path; from gseg_runtime.output_folder import OutputFolder; "
    code += "OutputFolder(Path(sys.argv[1])); os._exit(0)"
    zombie = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    assert (tmp_path / LOCK).exists()
    OutputFolder(tmp_path).close()
    zombie.wait()


def lock_of_another_host(folder: Path, age_s: float = 0) -> None:
    with OutputFolder(folder):
        holder = json.loads((folder / LOCK).read_text())
    (folder / LOCK).write_text(json.dumps({**holder, "host": "far", "pid": 7, "place": "another boot"}))
    os.utime(folder / LOCK, (time.time() - age_s,) * 2)


def test_the_lock_of_another_host_is_taken_over_when_it_was_not_touched_for_long(tmp_path: Path) -> None:
    lock_of_another_host(tmp_path, age_s=STALE_S / 2)
    with pytest.raises(GsegError, match="in use by process 7 on far") as caught:
        OutputFolder(tmp_path)
    assert "180 s" in str(caught.value.hint)
    assert {path.name for path in tmp_path.iterdir()} == {LOCK}
    os.utime(tmp_path / LOCK, (time.time() - 2 * STALE_S,) * 2)
    OutputFolder(tmp_path).close()
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 7}'])
def test_a_lock_that_says_nothing_counts_by_its_age(tmp_path: Path, text: str) -> None:
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(GsegError, match="in use"):
        OutputFolder(tmp_path)
    os.utime(tmp_path / LOCK, (1, 1))
    OutputFolder(tmp_path).close()


def test_a_lock_that_is_just_being_written_names_its_holder(tmp_path: Path) -> None:
    lock_of_another_host(tmp_path)
    text = (tmp_path / LOCK).read_text()
    (tmp_path / LOCK).write_text("")
    later = threading.Timer(0.1, (tmp_path / LOCK).write_text, [text])
    later.start()
    with pytest.raises(GsegError, match="in use by process 7 on far"):
        OutputFolder(tmp_path)
    later.join()


def test_a_disk_that_is_full_at_the_start_is_left_as_it_was_found(tmp_path: Path) -> None:
    """A limit on the size of files, of which a lock gets a part."""
    there = tmp_path / "there"
    there.mkdir()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for folder in (there, tmp_path / "new"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            with pytest.raises(GsegError, match=f"cannot be written to: {os.strerror(errno.EFBIG)}"):
                OutputFolder(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.rglob("*")) == [there]
    OutputFolder(there).close()


def test_the_lock_is_touched_while_the_process_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gseg_runtime.folder_lock.BEAT_S", 0.01)
    num_threads = threading.active_count()
    with OutputFolder(tmp_path):
        os.utime(tmp_path / LOCK, (1, 1))
        wait_until(lambda: (tmp_path / LOCK).stat().st_mtime > 1)
        (tmp_path / LOCK).unlink()  # by somebody who tidies up
        wait_until((tmp_path / LOCK).exists)
    assert threading.active_count() == num_threads and not (tmp_path / LOCK).exists()


def wait_until(is_so: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def test_a_process_that_slept_until_another_took_over_writes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gseg_runtime.folder_lock.BEAT_S", 0.01)

    def is_refused() -> bool:
        try:
            folder.check()
        except GsegError as error:
            return "process 7 on far took it over" in error.message
        return False

    with OutputFolder(tmp_path) as folder:
        holder = json.loads((tmp_path / LOCK).read_text())
        theirs = json.dumps({**holder, "host": "far", "pid": 7, "place": "another boot"})
        (tmp_path / LOCK).write_text(theirs)
        wait_until(is_refused)
    assert (tmp_path / LOCK).read_text() == theirs


def test_two_that_find_the_same_dead_lock_do_not_both_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes to remove the dead one when the first has replaced it by its own."""
    lock_of_another_host(tmp_path, age_s=2 * STALE_S)
    remove, firsts = FolderLock._remove_dead, []

    def too_late(self: FolderLock, text: str) -> None:
        if not firsts:
            firsts.append(None)
            firsts[0] = OutputFolder(tmp_path)
        remove(self, text)

    monkeypatch.setattr(FolderLock, "_remove_dead", too_late)
    with pytest.raises(GsegError, match=f"in use by process {os.getpid()}"):
        OutputFolder(tmp_path)
    firsts[0].check()
    firsts[0].close()


# The same folder to the end.


def vanishes(out: Path) -> None:
    out.rename(out.with_name("elsewhere"))


def is_replaced(out: Path) -> None:
    """As by an unmounted disk, whose mount point is an empty folder."""
    vanishes(out)
    out.mkdir()


def is_deleted(out: Path) -> None:
    while out.exists():  # the run is still writing
        shutil.rmtree(out, ignore_errors=True)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("happens", "num_safe"), [(vanishes, 3), (is_replaced, 3), (is_deleted, 0)])
def test_a_folder_that_is_no_more_what_it_was_ends_the_run_and_what_is_safe_is_said(
    model: Path,
    many: Path,
    tmp_path: Path,
    happens: Callable[[Path], None],
    num_safe: int,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, one_by_one, write = tmp_path / "out", threading.Lock(), OutputFolder.write

    def write_alone(folder: OutputFolder, name: Path, data: bytes) -> None:
        with one_by_one:
            write(folder, name, data)

    def on_image(state: Progress) -> None:
        if state.done == 3:
            with one_by_one:  # a mask that is between the look at its folder and its name would be lost in the new one
                happens(out)

    monkeypatch.setattr(OutputFolder, "write", write_alone)

    with Segmenter.load(model, "cpu", batch=batch) as segmenter:
        with pytest.raises(GsegError, match=rf"out: .*; {num_safe} masks are safe") as caught:
            segmenter.segment_folder(many, out, on_image=on_image, workers=1)
        assert caught.value.exit_code == 1
        assert [path for path in out.rglob("*") if path.is_file()] == []  # a folder may have been made meanwhile
        if num_safe:
            moved = tmp_path / "elsewhere"
            assert not (moved / LOCK).exists()
            assert segmenter.segment_folder(many, moved, resume=True).skipped >= num_safe


def test_a_folder_that_vanishes_after_the_last_mask_is_no_success(
    segmenter: Segmenter, many: Path, tmp_path: Path
) -> None:
    def on_image(state: Progress) -> None:
        if state.done == state.total:
            is_replaced(tmp_path / "out")

    with pytest.raises(GsegError, match=f"{NUM_PHOTOS} masks are safe"):
        segmenter.segment_folder(many, tmp_path / "out", on_image=on_image, stats=True, coco=True)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_subfolder_that_vanishes_is_made_again(segmenter: Segmenter, many: Path, tmp_path: Path) -> None:
    def on_image(state: Progress) -> None:
        if state.done == 6:
            shutil.rmtree(tmp_path / "out" / "sub0")

    report = segmenter.segment_folder(many, tmp_path / "out", on_image=on_image, workers=1)
    assert (report.done, report.failed) == (NUM_PHOTOS, 0)


def test_a_full_disk_says_how_many_masks_are_safe(
    segmenter: Segmenter, many: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, calls = Path.replace, iter(range(100))

    def full(self: Path, target: Path) -> Path:
        if next(calls) == 4:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(GsegError, match="No space left on device; 4 masks are safe"):
        segmenter.segment_folder(many, tmp_path / "out", workers=1)


# What counts as done, and as ours.


def test_a_mask_that_is_not_whole_is_made_again(segmenter: Segmenter, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    segmenter.segment_folder(many, out, overlay=True)
    cut, empty, zeros = out / "sub0" / "0.png", out / "sub1" / "1.png", out / "sub0" / "2.png"
    overlay = out / "sub1" / "3.overlay.jpg"
    cut.write_bytes(cut.read_bytes()[:-5])
    empty.write_bytes(b"")
    zeros.write_bytes(bytes(zeros.stat().st_size))  # as after a power failure
    overlay.write_bytes(overlay.read_bytes()[:-1])
    report = segmenter.segment_folder(many, out, overlay=True, resume=True)
    assert (report.done, report.skipped) == (4, NUM_PHOTOS - 4)
    assert read_label_png(cut).shape == (20, 30)


def test_resume_under_other_full_names_is_refused(segmenter: Segmenter, many: Path, tmp_path: Path) -> None:
    for full in (False, True):
        out = tmp_path / f"out-{full}"
        segmenter.segment_folder(many, out, full_names=full)
        before = everything_in(out)
        with pytest.raises(GsegError, match="--full-names") as caught:
            segmenter.segment_folder(many, out, full_names=not full, resume=True)
        assert "--full-names" in str(caught.value.hint)
        assert everything_in(out) == before
        assert segmenter.segment_folder(many, out, full_names=full, resume=True).skipped == NUM_PHOTOS


LITTER = [".DS_Store", "Thumbs.db", "desktop.ini", "._x.png", ".nfs0123", "@eaDir/x.png@SynoEAStream", "lost+found/#1"]


def put_litter(folder: Path) -> dict[str, bytes]:
    for name in LITTER:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"litter")
    return dict.fromkeys(LITTER, b"litter")


def test_what_systems_leave_behind_makes_no_folder_foreign(segmenter: Segmenter, many: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    litter = put_litter(out)
    segmenter.segment_folder(many, out)  # it counts as empty
    (out / "sub0" / ".DS_Store").write_bytes(b"litter")
    litter["sub0/.DS_Store"] = b"litter"
    assert segmenter.segment_folder(many, out, resume=True).skipped == NUM_PHOTOS
    assert segmenter.segment_folder(many / "sub1", out, overwrite=True).done == NUM_PHOTOS // 2
    left = everything_in(out)
    assert {name: left.pop(name) for name in litter} == litter  # and none of it is touched
    assert {name for name in left if "/" in name} == set()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(GsegError, match=r"1 file that gseg did not write, for example notes\.txt"):
        segmenter.segment_folder(many, out, overwrite=True)


def test_a_foreign_folder_is_not_even_touched(segmenter: Segmenter, many: Path, tmp_path: Path) -> None:
    (out := tmp_path / "out").mkdir()
    (out / "thesis.txt").write_text("years")
    before = out.stat().st_mtime_ns
    for how in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(GsegError, match=r"not empty|not written by gseg"):
            segmenter.segment_folder(many, out, **how)
    assert out.stat().st_mtime_ns == before


def test_masks_that_a_disk_takes_for_one_are_refused(
    segmenter: Segmenter, make_photo: MakePhoto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a disk that does not tell a.png from A.png."""
    for name in ("A.png", "a.png"):
        make_photo(tmp_path / "in" / name)
    assert segmenter.segment_folder(tmp_path / "in", tmp_path / "ext4").done == 2
    lstat: Any = os.path.lexists
    monkeypatch.setattr("os.path.lexists", lambda path: lstat(str(path).replace(LOCK.upper(), LOCK)))
    with pytest.raises(GsegError, match=r"in/A\.png and .*in/a\.png would both write a\.png") as caught:
        segmenter.segment_folder(tmp_path / "in", tmp_path / "exfat")
    assert "ignores case" in str(caught.value.hint) and not (tmp_path / "exfat").exists()
