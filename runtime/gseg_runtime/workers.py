"""Threads that each take one job from start to end: no queues between stages, nothing to tune, memory bounded."""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import ceil
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

GRACE_S = 1.0  # after Ctrl-C
LISTEN_S = 0.5  # between looks whether Ctrl-C was pressed, where nothing else wakes the main thread
CGROUPS, OWN_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
_VERSION_2: Sequence[str] = ("cpu.max",)
_VERSION_1: Sequence[str] = ("cpu.cfs_quota_us", "cpu.cfs_period_us")

J = TypeVar("J")
R = TypeVar("R")


def num_cores(root: Path = CGROUPS, own: Path = OWN_GROUPS) -> int:
    """The cores this process may use, which in a container or under taskset are fewer than the machine has.

    root, own: where Linux tells the quotas of CPU time, as `docker run --cpus 2` and `systemd-run -p CPUQuota=200%` set
    them, and which groups this process belongs to.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([cores, *map(ceil, _quotas(root, own))]))


def _quotas(root: Path, own: Path) -> Iterator[float]:
    """Cores' worth of time that the groups allow: this process's own and all those that it lies in."""
    for folder, names in _groups(root, own):
        try:
            quota, period = " ".join((folder / name).read_text() for name in names).split()
            if int(quota) > 0:  # "max" or -1: none
                yield int(quota) / int(period)
        except (OSError, ValueError):
            continue


def _groups(root: Path, own: Path) -> Iterator[tuple[Path, Sequence[str]]]:
    """Folders that may tell a quota, and the files that do. man 7 cgroups, "/proc/[pid]/cgroup"."""
    text = own.read_text() if own.is_file() else ""
    for line in [*text.splitlines(), "0::/", "0:cpu:/"]:  # a container may see its own group as the root
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        top, names = (root / "cpu", _VERSION_1) if controllers else (root, _VERSION_2)
        group = top / path.strip("/")
        yield from ((folder, names) for folder in (group, *group.parents) if folder.is_relative_to(top))


class Stopped(Exception):  # noqa: N818 (no error: the run is to end, and this is how a job says that it did)
    """Raised in a worker whose run is to end."""


def run_to_completion(
    jobs: Iterable[J],
    work: Callable[[J], R],
    take: Callable[[R], None],
    num_workers: int,
    stop: threading.Event | None = None,
) -> None:
    """Do `work` on every job in `num_workers` threads; `take` gets each result, in the calling thread.

    Decoding, inference and compression release Python's lock, so on a few cores threads are enough; `codec_processes`
    is for many. The first exception in a worker or in `take` stops the workers after the job in their hands and is
    raised here. Ctrl-C does not wait for longer than a second: a thread that is still at work ends with the process.
    stop: set when the workers are to end, for work that can end early.
    """
    pool = _Pool(jobs, work, stop or threading.Event())
    threads: list[threading.Thread] = []
    patience_s: float | None = None
    try:
        for _ in range(num_workers):
            thread = threading.Thread(target=pool.loop, daemon=True)
            thread.start()
            threads.append(thread)
        pool.drain(num_workers, take)
    except KeyboardInterrupt:
        patience_s = GRACE_S
        raise
    finally:
        pool.is_stopped.set()
        join(threads, patience_s)


def join(threads: Iterable[threading.Thread], patience_s: float | None) -> None:
    """Wait until they have ended, for so long at most; None: however long it takes."""
    end_s = time.monotonic() + (patience_s or 0)
    for thread in threads:
        thread.join(None if patience_s is None else max(0, end_s - time.monotonic()))


class _Pool(Generic[J, R]):
    """The jobs not yet taken, and the results not yet handed over."""

    def __init__(self, jobs: Iterable[J], work: Callable[[J], R], stop: threading.Event) -> None:
        self.is_stopped = stop
        self._jobs = iter(jobs)
        self._jobs_lock = threading.Lock()
        self._work = work
        self._results: SimpleQueue[tuple[R] | BaseException | None] = SimpleQueue()

    def loop(self) -> None:
        """What each thread does. None among the results says that it has ended."""
        try:
            while (job := self._next()) is not None:
                self._results.put((self._work(job[0]),))
        except BaseException as error:  # raised again by drain
            self._results.put(error)
        finally:
            self._results.put(None)

    def _next(self) -> tuple[J] | None:
        with self._jobs_lock:
            return None if self.is_stopped.is_set() else next(((job,) for job in self._jobs), None)

    def drain(self, num_running: int, take: Callable[[R], None]) -> None:
        while num_running:
            try:
                # Not for ever: a signal just before the wait, or one that another thread was given, does not end it.
                result = self._results.get(timeout=LISTEN_S)
            except Empty:
                continue
            if result is None:
                num_running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                take(result[0])
