"""A training leaves busy cores to those who use them, and takes them back."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gseg_cli import threads
from gseg_cli.steps import Step
from gseg_cli.threads import SETTING, Load, SharedCores

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def four_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(threads, "FIRST_S", 0.0)
    monkeypatch.setattr(threads, "AGAIN_S", -1.0)
    monkeypatch.delenv(SETTING, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def busy(monkeypatch: pytest.MonkeyPatch, *others: float) -> None:
    """The loads that are seen: between each and the next others keep so many cores busy, and this process two."""
    loads = [Load(0.0, 0.0, 0.0)]
    for cores in others:
        clock, total, own = loads[-1].clock, loads[-1].all, loads[-1].own
        loads.append(Load(clock + 10, total + 10 * (cores + 2), own + 20))
    monkeypatch.setattr(Load, "now", lambda seen=iter(loads): next(seen))


@pytest.mark.parametrize(("others", "expected"), [(0.0, 4), (0.4, 4), (0.7, 3), (2.0, 2), (4.0, 1), (9.0, 1)])
def test_busy_cores_are_left_to_others(others: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    busy(monkeypatch, others)
    SharedCores(CPU, said.append)
    assert torch.get_num_threads() == expected
    assert said == ([] if expected == 4 else [f"threads: {expected}, for other programs keep {others} of 4 cores busy"])


def test_cores_are_taken_back_when_they_are_free_again(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, 3.0, 1.0, 0.0)
    seen: list[int] = []
    step = SharedCores(CPU, lambda text: None).watched(lambda step: seen.append(torch.get_num_threads()))
    for done in range(2):
        step(Step(done, 2))
    assert [*seen, torch.get_num_threads()] == [1, 3, 4]


def test_who_sets_the_number_of_threads_or_has_a_gpu_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    busy(monkeypatch, 4.0)
    SharedCores(GPU, pytest.fail)
    monkeypatch.setenv(SETTING, "4")
    SharedCores(CPU, pytest.fail)
    assert torch.get_num_threads() == 4


def test_only_this_process_s_cores_count_and_nothing_of_low_priority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    core = f"{ticks} {50 * ticks} {ticks} 9 9 0 0 0 0 0"
    stat = tmp_path / "stat"
    stat.write_text(f"cpu  1 1 1 1 1 1 1 1 1 1\ncpu0 {core}\ncpu3 {core}\ncpu4 {core}\nintr 7\n")
    monkeypatch.setattr(threads, "STAT", stat)
    seen = Load.now()
    assert seen is not None and seen.all == 4.0


@pytest.mark.parametrize("content", [None, "", "cpu0 what\n", "cpu0 1 2\n"])
def test_a_system_that_does_not_tell_changes_nothing(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stat = tmp_path / "stat"
    if content is not None:
        stat.write_text(content)
    monkeypatch.setattr(threads, "STAT", stat)
    SharedCores(CPU, pytest.fail).watched(lambda step: None)(Step(1, 2))
    assert torch.get_num_threads() == 4
