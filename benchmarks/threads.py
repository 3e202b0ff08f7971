"""What waiting threads cost: distillation and GAN training on all cores, alone and beside busy programs.

    python -m benchmarks.threads [--seconds 20] [--rounds 3]

Each measurement is a process of its own, since OpenMP reads its settings once. "as gseg": as `gseg_cli.openmp` sets
them; "as OpenMP": untouched. The two take turns. Writes threads.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from benchmarks.cells import ROOT, made
from gseg_cli.openmp import SPIN_COUNT, WAITING
from gseg_runtime.files import write_text
from gseg_runtime.workers import num_cores

BUSY = "while True: pass"
WAYS = {"as OpenMP": {}, "as gseg": {"GOMP_SPINCOUNT": SPIN_COUNT}}
WORK = ("distill", "gan-train")


@dataclass(frozen=True)
class Pace:
    """steps and CPU seconds per second of the clock."""

    steps: float
    cores: float


def work(name: str, seconds: float) -> Pace:
    """In this process: steps of a training for so long."""
    step = _distill_step() if name == "distill" else _gan_step()
    step()
    start_s, start_cpu_s, count = time.monotonic(), time.process_time(), 0
    while time.monotonic() - start_s < seconds:
        step()
        count += 1
    spent_s = time.monotonic() - start_s
    return Pace(count / spent_s, (time.process_time() - start_cpu_s) / spent_s)


def _distill_step():  # type: ignore[no-untyped-def]
    import numpy as np
    import torch

    from gseg_cli.distill.config import DistillConfig
    from gseg_cli.distill.pairs import PairSet
    from gseg_cli.distill.trainer import StudentTrainer

    random = np.random.RandomState(0)
    images = random.randint(0, 256, (64, 64, 64, 3)).astype(np.uint8)
    labels = random.randint(0, 10, (64, 8, 8)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    trainer = StudentTrainer(PairSet.exact(images, labels), 10, DistillConfig(), torch.device("cpu"))
    return lambda: trainer.step(0.1)


def _gan_step():  # type: ignore[no-untyped-def]
    import torch

    from gseg_cli.gan.training.config import GanTrainConfig
    from gseg_cli.gan.training.trainer import GanTrainer

    torch.manual_seed(0)
    photos = torch.randint(0, 256, (64, 3, 64, 64), dtype=torch.uint8)
    config = GanTrainConfig(resolution=64, channel_base=1024, batch=16, augment="none")
    trainer = GanTrainer(config, photos, torch.device("cpu"))
    return trainer.step


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


def measure(name: str, way: str, seconds: float) -> Pace:
    environment = {k: v for k, v in os.environ.items() if k not in (*WAITING, "OMP_NUM_THREADS")} | WAYS[way]
    command = [sys.executable, "-m", "benchmarks.threads", "--work", name, "--seconds", str(seconds)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return Pace(**json.loads(done.stdout.splitlines()[-1]))


def rows(name: str, seconds: float, rounds: int) -> Iterator[str]:
    cores = num_cores()
    for count in (0, 1, 2):
        paces: dict[str, list[Pace]] = {way: [] for way in WAYS}
        with busy(count):
            for _ in range(rounds):
                for way in WAYS:
                    paces[way].append(measure(name, way, seconds))
        before, after = (median(pace.steps for pace in paces[way]) for way in WAYS)
        taken = " | ".join(f"{median(pace.cores for pace in paces[way]):.2f}" for way in WAYS)
        fair = cores if not count else cores * cores / (cores + count)
        yield f"| {name} | {count} | {before:.2f} | {after:.2f} | {after / before:.2f} | {taken} | {fair:.2f} |"


TEXT = """# Threads that wait

Steps a second of two trainings with PyTorch's own number of threads, alone and beside programs that keep a core
busy each: with OpenMP untouched, whose threads spin at a barrier, and as gseg sets it, where they sleep after {spin}
turns. Medians of {rounds} runs of {seconds:g} s, which took turns. Cores: CPU seconds taken per second of the clock;
fair: an even share for each thread.

Made by `python -m benchmarks.threads --seconds {seconds:g} --rounds {rounds}`, commit {commit}, {date}, {hardware}.

| Training | Busy programs | as OpenMP | as gseg | ratio | cores, as OpenMP | as gseg | fair |
|---|---:|---:|---:|---:|---:|---:|---:|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", choices=WORK, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        print(json.dumps(vars(work(args.work, args.seconds))))
        return
    lines = [line for name in WORK for line in rows(name, args.seconds, args.rounds)]
    text = TEXT.format(**made(), spin=SPIN_COUNT, rounds=args.rounds, seconds=args.seconds, rows="\n".join(lines))
    write_text(ROOT / "threads.md", text)
    print(text)


if __name__ == "__main__":
    main()
