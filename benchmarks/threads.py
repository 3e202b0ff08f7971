"""What a training gets done on all cores, alone and beside busy programs.

    python -m benchmarks.threads [--seconds 20] [--rounds 3]

"all": PyTorch's own number of threads. "gseg": `gseg_cli.threads` watches what other programs use. Each measurement is
a process of its own; the ways take turns. Needs a machine on which nothing else runs. Writes threads.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

import torch

from benchmarks.cells import ROOT, made
from benchmarks.steps import distill, gan
from gseg_cli.steps import Step, ignore_say, ignore_step
from gseg_cli.threads import SETTING, SharedCores
from gseg_runtime.files import write_text
from gseg_runtime.workers import num_cores

BUSY = "while True: pass"
WAYS = ("one thread", "all", "gseg")
WORK: dict[str, Callable[[], Callable[[], object]]] = {
    "distill, 64 px, batch 32": lambda: distill(64, 32, "auto"),
    "gan-train, 64 px, channels 1024, batch 16": lambda: gan(1024, 16, "auto"),
}


def pace(work: str, way: str, seconds: float) -> dict[str, float]:
    """In this process: steps a second of the clock, and CPU seconds of a step."""
    if way == "one thread":
        torch.set_num_threads(1)
    step = WORK[work]()
    step()
    watch = SharedCores(torch.device("cpu"), ignore_say).watched(ignore_step) if way == "gseg" else ignore_step
    start_s, start_cpu_s, count = time.monotonic(), time.process_time(), 0
    while time.monotonic() - start_s < seconds:
        step()
        count += 1
        watch(Step(count, count))
    return {
        "steps": count / (time.monotonic() - start_s),
        "cpu_s": (time.process_time() - start_cpu_s) / count,
        "threads": torch.get_num_threads(),
    }


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Beside so many programs that take a core each."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def measured(work: str, way: str, seconds: float) -> dict[str, float]:
    environment = {name: value for name, value in os.environ.items() if name != SETTING}
    command = [sys.executable, "-m", "benchmarks.threads", "--one", work, way, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def rows(seconds: float, rounds: int) -> Iterator[str]:
    """Work done is told in cores: steps a second, times the CPU seconds of a step on one thread."""
    for work in WORK:
        for others in (0, 1, 2):
            with busy(others):
                turns = [{way: measured(work, way, seconds) for way in WAYS} for _ in range(rounds)]
            cpu_s = median(turn["one thread"]["cpu_s"] for turn in turns)
            done = [f"{median(turn[way]['steps'] for turn in turns) * cpu_s:.2f}" for way in WAYS]
            threads = median(turn["gseg"]["threads"] for turn in turns)
            fair = num_cores() / (others + 1)
            yield f"| {work} | {others} | {' | '.join(done)} | {threads:g} | {fair:.2f} |"


TEXT = """# Threads beside other programs

What two trainings get done, alone and beside programs that keep a core busy each, in cores: steps a second, times the
CPU seconds of a step on one thread. On one thread; on PyTorch's own number of threads; and as gseg chooses them, by
what other programs use. Fair: an even share of the cores for each program. Medians of {rounds} runs of
{seconds:g} s, which took turns.

Made by `python -m benchmarks.threads --seconds {seconds:g} --rounds {rounds}`, commit {commit}, {date}, {hardware}.

| Training | Busy programs | one thread | all threads | gseg | its threads | fair |
|---|---:|---:|---:|---:|---:|---:|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(pace(*args.one, args.seconds)))
        return
    lines = "\n".join(rows(args.seconds, args.rounds))
    text = TEXT.format(**made(), rounds=args.rounds, seconds=args.seconds, rows=lines)
    write_text(ROOT / "threads.md", text)
    print(text)


if __name__ == "__main__":
    main()
