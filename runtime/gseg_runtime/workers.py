"""Threads that each take one job from start to end: no queues between stages, nothing to tune, memory bounded."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from math import ceil
from pathlib import Path
from queue import SimpleQueue
from typing import Generic, TypeVar

GRACE_S = 1.0  # after Ctrl-C
CGROUP = Path("/sys/fs/cgroup")  # a container sees its own group here
UNLIMITED = 1e9

J = TypeVar("J")
R = TypeVar("R")


def num_cores(cgroup: Path = CGROUP) -> int:
    """The cores this process may use, which in a container or under taskset are fewer than the machine has.

    cgroup: where Linux tells the quota of CPU time, as `docker run --cpus 2` sets it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, ceil(_quota(cgroup))))


def _quota(cgroup: Path) -> float:
    """How many cores' time the container may take; UNLIMITED when nothing says so."""
    for names in (("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):  # version 2, version 1
        try:
            quota, period = " ".join((cgroup / name).read_text() for name in names).split()
            if int(quota) > 0:  # "max" or -1: none
                return int(quota) / int(period)
        except (OSError, ValueError):
            continue
    return UNLIMITED


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

    Decoding, inference and compression release Python's lock, so threads are enough. The first exception in a worker
    or in `take` stops the workers after the job in their hands and is raised here. Ctrl-C does not wait for longer
    than a second: a thread that is still at work then ends with the process.
    stop: set when the workers are to end, for work that can end early.
    """
    pool = _Pool(jobs, work, stop or threading.Event())
    threads = [threading.Thread(target=pool.loop, daemon=True) for _ in range(num_workers)]
    for thread in threads:
        thread.start()
    patience_s: float | None = None
    try:
        pool.drain(num_workers, take)
    except KeyboardInterrupt:
        patience_s = GRACE_S
        raise
    finally:
        pool.is_stopped.set()
        _join(threads, patience_s)


def _join(threads: Iterable[threading.Thread], patience_s: float | None) -> None:
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
            result = self._results.get()
            if result is None:
                num_running -= 1
            elif isinstance(result, BaseException):
                raise result
            else:
                take(result[0])
