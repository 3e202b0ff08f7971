"""Photos decoded and encoded in processes of their own, for machines with many cores.

Threads of one process share Python's lock. A photo holds it for about a millisecond in all, and the more threads there
are, the more time goes into handing it over. So on many cores each worker thread has a process that does for it what
`PhotoWork` does; the engine, the manifest and the lock on the folder stay where they are.

Not by multiprocessing.Process: it would run the script of whoever calls once more.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.spawn import get_executable
from pathlib import Path
from queue import LifoQueue
from typing import Any, Self

import numpy as np

from gseg_runtime.detail import Detail
from gseg_runtime.errors import GsegError
from gseg_runtime.extras import Extras
from gseg_runtime.images import share_large_lock
from gseg_runtime.manifest import Entry
from gseg_runtime.model_card import ModelCard
from gseg_runtime.output_folder import OpenFolder
from gseg_runtime.photo_files import FolderFiles
from gseg_runtime.photo_work import Loaded, PhotoWork, Work
from gseg_runtime.plan import Job
from gseg_runtime.prediction import Inference
from gseg_runtime.process_lock import ProcessLock
from gseg_runtime.shared_arrays import file_without_name, pack, unpack

MIN_WORKERS = 4  # with fewer, threads seldom wait for each other
MIN_PHOTOS = 1000  # to start a process takes as long as some fifty photos in it
_MEMORY = "is there enough memory? fewer --workers need less of it; then go on with --resume"
_BROKEN = "if it ends there again, take them away and go on with --resume"
_NO_SQUARE = np.empty((0, 0, 3), np.uint8)
# Signals are for the process that people see: systemd and Slurm send them to all at once.
_START = """
import signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
sys.path[:] = {path!r}
from gseg_runtime.codec_processes import serve
serve({pipe})
"""


def are_worth_it(num_photos: int, num_workers: int, detail: Detail) -> bool:
    """Whether processes are faster than threads, and can do it: photos in tiles ask the engine while they are saved.

    A program that Python is a part of may have no Python to start.
    """
    has_python = bool(get_executable()) and not getattr(sys, "frozen", False)
    is_possible = os.name == "posix" and detail.tile is None and has_python
    return is_possible and num_workers >= MIN_WORKERS and num_photos >= MIN_PHOTOS


@dataclass(frozen=True)
class Setting:
    """What a `PhotoWork` is made of, here or in a process. out, handle: path of the output folder, and its open handle;
    masks: see `FolderFiles`.
    """

    out: Path
    handle: int
    masks: frozenset[str]
    card: ModelCard
    model_sha256: str
    extras: Extras
    detail: Detail

    def work(self, out: OpenFolder) -> PhotoWork:
        return PhotoWork(FolderFiles(out, self.masks), self.card, self.model_sha256, self.extras, self.detail)


class CodecProcesses(Work):
    """`PhotoWork` in `count` processes; for as many threads. They end with this one, however it ends.

    GsegError when a process cannot be started, or is ended by somebody else, as by the system for its memory.
    """

    def __init__(self, setting: Setting, count: int) -> None:
        self.detail, self.wants_confidence = setting.detail, setting.extras.confidence
        self._idle: LifoQueue[_Process] = LifoQueue()  # the same few, where not all are needed
        self._all: list[_Process] = []
        try:
            self._large = file_without_name()  # what they lock while they hold a large photo
            self._start(setting, count)
        except OSError as error:
            message = f"a process for photos cannot be started: {error.strerror}"
            raise GsegError(message, f"with fewer than {MIN_WORKERS} --workers none is needed") from error

    def _start(self, setting: Setting, count: int) -> None:
        try:
            for _ in range(count):
                process = _Process(setting, self._large.fileno())
                self._all.append(process)
                self._idle.put(process)
        except BaseException:
            self.close()
            raise

    def load_all(self, jobs: Sequence[Job]) -> list[Loaded | Entry]:
        answer: list[Loaded | Entry] = self._ask("load_all", jobs)
        return answer

    def save_all(self, items: Sequence[Loaded | Entry], inference: Any, first: int = 0) -> list[Entry]:
        """inference: an `Inference`."""
        small = [replace(item, square=_NO_SQUARE) if isinstance(item, Loaded) else item for item in items]
        answer: list[Entry] = self._ask("save_all", small, _part(inference, first, len(items)))
        return answer

    def _ask(self, step: str, items: Sequence[Job | Loaded | Entry], *arguments: Any) -> Any:
        process = self._idle.get()
        try:
            return process.ask(step, items, *arguments)
        finally:
            self._idle.put(process)

    def close(self) -> None:
        """End them. One that is at work leaves no more behind than a temporary file."""
        for process in self._all:
            process.end()
        self._large.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _part(inference: Inference, first: int, count: int) -> Inference:
    answers = (inference.labels, inference.confidence, inference.logits)
    return Inference(*(None if answer is None else answer[first : first + count] for answer in answers))  # type: ignore[arg-type]


class _Process:
    def __init__(self, setting: Setting, large: int) -> None:
        self._pipe, theirs = Pipe()
        self._arrays = file_without_name()
        with theirs, ExitStack() as stack:
            handles = (theirs.fileno(), setting.handle, large, self._arrays.fileno())
            try:
                pipe, out, large, arrays = (_behind_streams(handle, stack) for handle in handles)
                # A group of its own: Ctrl-C is for the process that people see.
                self._process = subprocess.Popen(
                    _command(pipe),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=(pipe, out, large, arrays),
                    process_group=0,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # NumPy starts a thread per core, and needs none
                )
            except OSError:
                self._arrays.close()
                raise
        with suppress(BrokenPipeError):  # told when it is asked
            self._pipe.send((replace(setting, handle=out), large, arrays))

    def ask(self, step: str, items: Sequence[Job | Loaded | Entry], *arguments: Any) -> Any:
        try:
            message = pack((step, (items, *arguments)), self._arrays)
        except OSError as error:
            raise GsegError(f"no place for what a process for photos is to get: {error.strerror}", _MEMORY) from error
        try:
            self._pipe.send(message)
            answer = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise self._ended(items) from error
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _ended(self, items: Sequence[Job | Loaded | Entry]) -> GsegError:
        """The system ends what takes too much memory by SIGKILL; by itself a process ends where a library fails."""
        status = self._process.wait()
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        photos = ", ".join(_photo_of(item) for item in items)
        hint = _BROKEN if status < 0 and -status != signal.SIGKILL else _MEMORY
        return GsegError(f"a process for photos ended: {how}; it had {photos} in hand", hint)

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._pipe.close()
        self._arrays.close()


def _photo_of(item: Job | Loaded | Entry) -> str:
    match item:
        case Entry():
            return item.input
        case Loaded():
            return str(item.job.photo)
    return str(item.photo)


def _command(pipe: int) -> list[str]:
    """-P: no modules of the working folder. -X utf8: names of files are the same bytes there as here."""
    path = [place for place in sys.path if isinstance(place, str)]  # Python passes over all else, too
    code = _START.format(path=path, pipe=pipe)
    return [get_executable(), "-P", "-X", f"utf8={sys.flags.utf8_mode}", "-c", code]


def _behind_streams(handle: int, stack: ExitStack) -> int:
    """The same file by a number that is no stream's: files get those where a program has closed its streams."""
    import fcntl  # not on Windows

    other = fcntl.fcntl(handle, fcntl.F_DUPFD_CLOEXEC, 3)
    stack.callback(os.close, other)
    return other


def serve(pipe: int) -> None:
    """What a process does: answer what `_Process` asks, until nobody can ask any more."""
    connection = Connection(pipe)
    with suppress(EOFError, ConnectionError):
        setting, large, arrays = connection.recv()
        share_large_lock(ProcessLock(large))
        work = setting.work(OpenFolder(setting.out, setting.handle))
        while True:
            step, arguments = unpack(connection.recv(), arrays)
            connection.send(_answer(work, step, arguments))


def _answer(work: PhotoWork, step: str, arguments: tuple[Any, ...]) -> Any:
    """Also what was raised."""
    try:
        return getattr(work, step)(*arguments)
    except GsegError as error:
        return error
    except Exception as error:  # a bug; what it holds need not be fit to be sent
        return RuntimeError(f"{type(error).__name__}: {error}")
