"""Where there are many cores, photos are decoded and encoded in processes: nothing else is different."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import MakePhoto
from PIL import Image

from gseg_runtime import GsegError, Segmenter, codec_processes
from gseg_runtime.codec_processes import CodecProcesses, Setting, are_worth_it
from gseg_runtime.detail import Detail
from gseg_runtime.errors import OutputError
from gseg_runtime.extras import Extras
from gseg_runtime.files import LOCK
from gseg_runtime.folder import Progress
from gseg_runtime.onnx_file import read_card
from gseg_runtime.output_folder import OutputFolder
from gseg_runtime.photo_work import Loaded
from gseg_runtime.plan import Job
from gseg_runtime.process_lock import ProcessLock

EVERYTHING: dict[str, Any] = {
    **dict.fromkeys(("overlay", "cutout", "binary", "layers", "polygons", "coco", "instances", "stats"), True),
    **{"confidence": True, "full_names": True, "failures": True},
}
# `gseg` with processes for few photos, too.
COMMAND = """
import sys
from gseg_runtime import codec_processes
codec_processes.MIN_WORKERS = codec_processes.MIN_PHOTOS = 1
from gseg_cli.app import main
sys.exit(main(sys.argv[1:]))
"""
# A user's script that does not guard itself against being run again, as multiprocessing wants it.
SCRIPT = """
import sys
from gseg_runtime import Segmenter, codec_processes
print("once", flush=True)
codec_processes.MIN_WORKERS = codec_processes.MIN_PHOTOS = 1
with Segmenter.load(sys.argv[1], "cpu") as segmenter:
    print(segmenter.segment_folder(sys.argv[2], sys.argv[3], workers=2).done)
"""


@pytest.fixture
def many(make_photo: MakePhoto, tmp_path: Path) -> Path:
    for index in range(20):
        make_photo(tmp_path / "in" / f"{index % 2}" / f"{index:02d}.jpg", 20 + index, 30, quality=95)
    (tmp_path / "in" / "none.jpg").write_bytes(b"no photo")
    return tmp_path / "in"


@pytest.fixture
def in_processes(monkeypatch: pytest.MonkeyPatch) -> list[CodecProcesses]:
    """Those that the runs of a test had."""
    seen: list[CodecProcesses] = []
    init = CodecProcesses.__init__

    def watch(self: CodecProcesses, *arguments: Any) -> None:
        init(self, *arguments)
        seen.append(self)

    monkeypatch.setattr(CodecProcesses, "__init__", watch)
    monkeypatch.setattr(codec_processes, "MIN_WORKERS", 1)
    monkeypatch.setattr(codec_processes, "MIN_PHOTOS", 1)
    return seen


def everything_in(folder: Path) -> dict[str, bytes]:
    """But for files that tell times."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".jsonl", ".json")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in [*paths, *folder.rglob("gseg-[ci]*.json")]}


@pytest.mark.parametrize("batch", [1, 4, 32])
def test_files_are_those_of_threads(
    batch: int, model_with_confidence: Path, many: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with Segmenter.load(model_with_confidence, "cpu", batch=batch) as segmenter:
        threads = segmenter.segment_folder(many, tmp_path / "threads", workers=2, **EVERYTHING)
        seen = request.getfixturevalue("in_processes")
        processes = segmenter.segment_folder(many, tmp_path / "processes", workers=2, **EVERYTHING)
    assert len(seen) == 1
    assert (processes.done, processes.failures) == (20, threads.failures)
    assert everything_in(tmp_path / "processes") == everything_in(tmp_path / "threads")


@pytest.mark.parametrize("edges", ["smooth", "guided"])
def test_logits_get_there_too(
    edges: str, model_with_logits: Path, many: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with Segmenter.load(model_with_logits, "cpu", batch=8) as segmenter:
        segmenter.segment_folder(many, tmp_path / "threads", workers=2, edges=edges, confidence=True)
        request.getfixturevalue("in_processes")
        segmenter.segment_folder(many, tmp_path / "processes", workers=2, edges=edges, confidence=True)
    assert everything_in(tmp_path / "processes") == everything_in(tmp_path / "threads")


def test_they_are_for_many_photos_on_many_cores_and_not_in_tiles() -> None:
    assert are_worth_it(1000, 4, Detail())
    assert not are_worth_it(999, 64, Detail())
    assert not are_worth_it(10**6, 3, Detail())
    assert not are_worth_it(10**6, 64, Detail(tile=512))


@pytest.mark.parametrize(("number", "what_to_do"), [(signal.SIGKILL, "enough memory"), (signal.SIGSEGV, "take them")])
def test_what_one_had_in_hand_that_ended_is_told(
    number: signal.Signals, what_to_do: str, model: Path, many: Path, tmp_path: Path
) -> None:
    jobs = [Job(many / "0" / "00.jpg", Path("00.png"))]
    with OutputFolder(tmp_path / "out") as out:
        setting = Setting(out.path, out.handle, frozenset(), read_card(model), "", Extras(), Detail())
        with CodecProcesses(setting, 1) as processes:
            os.kill(processes._all[0]._process.pid, number)
            with pytest.raises(GsegError, match=f"ended: signal {number}; it had .*/0/00.jpg in hand") as caught:
                processes.load_all(jobs)
    assert what_to_do in str(caught.value.hint) and "--resume" in str(caught.value.hint)


@pytest.mark.parametrize("batch", [1, 4])
def test_one_that_is_killed_ends_the_run_and_resume_goes_on(
    batch: int, model: Path, many: Path, tmp_path: Path, in_processes: list[CodecProcesses]
) -> None:
    def kill(progress: Progress) -> None:
        if progress.done == 5:
            for process in in_processes[0]._all:
                process._process.kill()

    with Segmenter.load(model, "cpu", batch=batch) as segmenter:
        with pytest.raises(GsegError, match="a process for photos ended: signal 9") as caught:
            segmenter.segment_folder(many, tmp_path / "out", workers=2, on_image=kill)
        assert "--resume" in str(caught.value.hint)
        report = segmenter.segment_folder(many, tmp_path / "out", workers=2, resume=True)
    assert report.done + report.skipped == 20 and report.skipped >= 4


def test_a_folder_that_goes_away_is_not_made_again(
    model: Path, many: Path, tmp_path: Path, in_processes: list[CodecProcesses]
) -> None:
    def take_away(progress: Progress) -> None:
        if progress.done == 3:
            shutil.move(tmp_path / "out", tmp_path / "elsewhere")

    with (
        Segmenter.load(model, "cpu") as segmenter,
        pytest.raises(OutputError, match=r"disappeared during the run.*3 masks are safe"),
    ):
        segmenter.segment_folder(many, tmp_path / "out", workers=2, on_image=take_away)
    assert not (tmp_path / "out").exists()


def test_a_process_that_cannot_be_started_is_told(
    model: Path, many: Path, tmp_path: Path, in_processes: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_processes, "get_executable", lambda: str(tmp_path / "python"))
    with Segmenter.load(model, "cpu") as segmenter, pytest.raises(GsegError, match="cannot be started: No such file"):
        segmenter.segment_folder(many, tmp_path / "out", workers=2)


@pytest.mark.parametrize("executable", [None, ""])
def test_where_there_is_no_python_to_start_threads_do_it(
    executable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_processes, "get_executable", lambda: executable)
    assert not are_worth_it(1000, 4, Detail())


def test_too_few_open_files_are_told(tmp_path: Path, model: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with OutputFolder(tmp_path / "out") as out:
        setting = Setting(out.path, out.handle, frozenset(), read_card(model), "", Extras(), Detail())
        num_open = os.dup(0)  # the lowest that is free
        os.close(num_open)
        for num_free in range(8):
            resource.setrlimit(resource.RLIMIT_NOFILE, (num_open + num_free, hard))
            try:
                with pytest.raises(GsegError, match="cannot be started: Too many open files"):
                    CodecProcesses(setting, 8)
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_python_passes_over_in_its_search_path_ends_no_process(
    model: Path, many: Path, tmp_path: Path, in_processes: list[CodecProcesses], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [tmp_path, *sys.path])
    with Segmenter.load(model, "cpu") as segmenter:
        assert segmenter.segment_folder(many, tmp_path / "out", workers=2).done == 20
    assert len(in_processes) == 1


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except FileNotFoundError:
        return True


def wait_until(condition: Any) -> None:
    end_s = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def started(model: Path, many: Path, out: Path, *options: str) -> tuple["subprocess.Popen[bytes]", list[int]]:
    """The command in the middle of its work, and its two processes."""
    for index in range(2000):
        (many / f"link-{index}.jpg").symlink_to(many / "0" / "00.jpg")
    call = ["segment", str(many), "-o", str(out), "--model", str(model), "--device", "cpu", "--workers", "2", *options]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *call],
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    wait_until(lambda: (out / "gseg-manifest.jsonl").is_file() and (out / "gseg-manifest.jsonl").stat().st_size)
    children = children_of(process.pid)
    assert len(children) == 2
    return process, children


tells_children = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs Linux to tell children")


@tells_children
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_they_end_with_the_command_however_it_ends(
    number: signal.Signals, model: Path, many: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process, children = started(model, many, out)
    process.send_signal(number)
    shown = process.communicate(timeout=60)[1]
    assert process.returncode == (-9 if number == signal.SIGKILL else 130), shown
    wait_until(lambda: all(map(is_gone, children)))
    assert (out / LOCK).exists() == (number == signal.SIGKILL)
    assert b"Traceback" not in shown


@tells_children
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_all_is_for_the_command(number: signal.Signals, model: Path, many: Path, tmp_path: Path) -> None:
    process, children = started(model, many, tmp_path / "out")
    for child in children:
        os.kill(child, number)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[1].splitlines()[-1] == b"error: interrupted"


@tells_children
@pytest.mark.parametrize("batch", ["1", "4"])
def test_ctrl_c_waits_for_no_process_that_is_stuck(batch: str, model: Path, many: Path, tmp_path: Path) -> None:
    process, children = started(model, many, tmp_path / "out", "--batch", batch)
    for child in children:
        os.kill(child, signal.SIGSTOP)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    try:
        assert process.communicate(timeout=20)[1].splitlines()[-1] == b"error: interrupted"
    finally:
        process.kill()
    wait_until(lambda: all(map(is_gone, children)))


def test_a_script_of_a_user_runs_once_and_no_module_of_the_working_folder(
    model: Path, many: Path, tmp_path: Path
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "in" / "simplejpeg.py").write_text("print('I am run'); raise SystemExit(1)")
    call = [sys.executable, tmp_path / "script.py", model, many, tmp_path / "out"]
    shown = subprocess.run(call, cwd=tmp_path / "in", capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout == "once\n20\n" and not shown.stderr


def test_a_program_may_have_closed_its_streams(model: Path, many: Path, tmp_path: Path) -> None:
    script = f"import os\nfor stream in range(3): os.close(stream)\nprint = lambda *_, **__: None\n{SCRIPT}"
    call = [sys.executable, "-c", script, model, many, tmp_path / "out"]
    subprocess.run(call, check=True, timeout=60)
    assert len(list((tmp_path / "out").rglob("*.png"))) == 20


@pytest.mark.parametrize("mode", ["0", "1"])
def test_names_are_the_same_bytes_there_as_here(mode: str, model: Path, many: Path, tmp_path: Path) -> None:
    (many / "0" / "00.jpg").rename(many / "0" / "é.jpg")
    call = [sys.executable, "-X", f"utf8={mode}", "-c", SCRIPT, model, many, tmp_path / "out"]
    env = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert subprocess.run(call, env=env, capture_output=True, check=True, timeout=60).stdout == b"once\n20\n"
    assert (tmp_path / "out" / "0" / "é.png").is_file()


def test_of_processes_that_share_a_lock_one_holds_it_as_often_as_it_likes(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as file:
        lock, handle = ProcessLock(file.fileno()), file.fileno()
        code = f"from gseg_runtime.process_lock import ProcessLock\nwith ProcessLock({handle}): print('held')"
        with lock:
            with lock:
                pass
            other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, pass_fds=[handle])
            with pytest.raises(subprocess.TimeoutExpired):
                other.wait(1)
        assert other.communicate(timeout=60)[0] == b"held\n"


def test_large_photos_are_decoded_one_at_a_time_in_all_processes_together(model: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5000, 6500), np.uint8)).save(tmp_path / "large.png")
    jobs = [Job(tmp_path / "large.png", Path("large.png"))]
    with OutputFolder(tmp_path / "out") as out:
        setting = Setting(out.path, out.handle, frozenset(), read_card(model), "", Extras(), Detail())
        with CodecProcesses(setting, 1) as processes, ThreadPoolExecutor() as pool:
            with ProcessLock(processes._large.fileno()):
                loaded = pool.submit(processes.load_all, jobs)
                with pytest.raises(TimeoutError):
                    loaded.result(3)  # it takes half a second
            assert isinstance(loaded.result(60)[0], Loaded)
