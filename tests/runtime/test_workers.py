import signal
import threading
import time
from pathlib import Path

import pytest

from gseg_runtime.workers import num_cores, run_to_completion


def test_every_job_is_done_once_by_several_threads() -> None:
    threads: set[str] = set()
    meeting = threading.Barrier(3)
    results: list[int] = []

    def work(job: int) -> int:
        if job < 3:
            meeting.wait(timeout=5)  # passes only when three threads are at work
        threads.add(threading.current_thread().name)
        return job * job

    run_to_completion(range(50), work, results.append, num_workers=3)
    assert sorted(results) == [job * job for job in range(50)]
    assert len(threads) == 3


@pytest.mark.parametrize("error", [ValueError, StopIteration, KeyboardInterrupt])
def test_an_error_in_a_worker_stops_all_and_is_raised(error: type[BaseException]) -> None:
    done: list[int] = []
    num_threads = threading.active_count()

    def work(job: int) -> int:
        if job == 5:
            raise error("job 5")
        return job

    with pytest.raises(error, match="job 5"):
        run_to_completion(range(100_000), work, done.append, num_workers=2)
    assert len(done) < 100_000
    assert threading.active_count() == num_threads


def test_an_error_while_results_are_taken_stops_the_workers() -> None:
    num_threads = threading.active_count()

    def take(result: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_to_completion(range(100_000), abs, take, num_workers=2)
    assert threading.active_count() == num_threads


def test_ctrl_c_is_heard_while_all_workers_are_busy_even_if_its_signal_woke_another_thread(hears_ctrl_c: None) -> None:
    """The system may hand a signal to any thread, or to the main one just before it starts to wait."""
    hold, ended = threading.Event(), []

    def work(job: int) -> None:
        time.sleep(0.2)  # the main thread waits by then
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        hold.wait(20)
        ended.append(job)

    with pytest.raises(KeyboardInterrupt):
        run_to_completion([0], work, lambda result: None, num_workers=1)
    assert not ended
    hold.set()


def test_there_is_a_core() -> None:
    assert num_cores() >= 1


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "5000 100000\n"}, 1),
        ({"cpu.max": "max 100000\n"}, 64),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 64),
        ({"cpu.max": ""}, 64),
        ({}, 64),
    ],
)
def test_a_containers_quota_of_cpu_time_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert num_cores(tmp_path, tmp_path / "no groups") == cores


@pytest.mark.parametrize(
    ("groups", "files", "cores"),
    [
        ("0::/user.slice/job.scope\n", {"user.slice/job.scope/cpu.max": "200000 100000\n"}, 2),
        (
            "0::/a.slice/b.slice/c.scope\n",
            {"a.slice/cpu.max": "300000 100000\n", "a.slice/b.slice/cpu.max": "max 100000\n"},
            3,
        ),
        (
            "12:pids:/x\n4:cpu,cpuacct:/docker/1234\n0::/\n",
            {"cpu/docker/1234/cpu.cfs_quota_us": "150000\n", "cpu/docker/1234/cpu.cfs_period_us": "100000\n"},
            2,
        ),
        ("0::/of/another/container\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/../outside\n", {}, 64),
    ],
)
def test_the_quota_of_a_group_counts_and_that_of_the_groups_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    assert num_cores(tmp_path / "root", tmp_path / "groups") == cores
