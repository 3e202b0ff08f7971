"""Training a GAN: seconds per thousand images, against the networks and losses of stylegan2-ada-pytorch.

    python -m benchmarks.gan_speed --stylegan2-ada DIR     # a checkout of github.com/NVlabs/stylegan2-ada-pytorch

Both sides: the same networks, batch, losses and lazy R1, no augmentation, random pictures, one thread. Theirs is a
minimal loop around their networks and StyleGAN2Loss; on a CPU their custom operations fall back to plain PyTorch. In
the bf16 rows they take their mixed-precision path (the four highest resolutions), with bfloat16 in the place of
float16. The sides take turns within one process and CPU time is measured, because a busy machine makes wall time
meaningless. Needs `requests`, which the checkout imports. Writes gan_speed.md.
"""

import argparse
import time
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.cells import CELLS, ROOT, cell, hardware
from benchmarks.stylegan2_ada import TheirTrainer, add_checkout
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_runtime.files import read_json, write_text

CPU = torch.device("cpu")
BATCH, MAIN_STEPS, R1_INTERVAL = 8, 3, 16
RESOLUTIONS, PRECISIONS = (64, 128), ("fp32", "bf16")
Round = Callable[[], float]  # CPU seconds of MAIN_STEPS steps, the last with R1 at its share of the time


def images(resolution: int) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (64, 3, resolution, resolution), dtype=torch.uint8, generator=draw)


def timed(step: Callable[[], Any]) -> float:
    start_s = time.process_time()
    step()
    return time.process_time() - start_s


def per_kimg(main_s: list[float], with_r1_s: float) -> float:
    """One step in R1_INTERVAL has the penalty."""
    plain_s = sum(main_s) / len(main_s)
    return (plain_s + (with_r1_s - plain_s) / R1_INTERVAL) / BATCH * 1000


def rounds_of(trainer: GanTrainer | TheirTrainer) -> Round:
    def run() -> float:
        trainer.num_steps = R1_INTERVAL - MAIN_STEPS - 1
        return per_kimg([timed(trainer.step) for _ in range(MAIN_STEPS)], timed(trainer.step))

    return run


def figures(resolution: int, precision: str, rounds: int) -> dict[str, float]:
    """Seconds per kimg of both, the median over the rounds, and the ratios of single rounds."""
    config = GanTrainConfig(
        resolution=resolution, channel_base=2048, batch=BATCH, r1_interval=R1_INTERVAL, precision=precision
    )
    sides = [rounds_of(side(config, images(resolution), CPU)) for side in (GanTrainer, TheirTrainer)]
    for side in sides:
        side()  # first calls choose kernels
    times = [[side() for side in sides] for _ in range(rounds)]
    our_s, their_s = (median(column) for column in zip(*times, strict=True))
    ratios = [a / b for a, b in times]
    seconds = {"ours_s": our_s, "theirs_s": their_s}
    return {**seconds, "ratio": our_s / their_s, "least": min(ratios), "most": max(ratios)}


def measure(stylegan2_ada: Path, rounds: int) -> None:
    """The cells of this machine."""
    add_checkout(stylegan2_ada)
    torch.set_num_threads(1)
    for resolution, precision in product(RESOLUTIONS, PRECISIONS):
        config = {"hardware": hardware(), "resolution": resolution, "precision": precision, "rounds": rounds}
        cell("gan_speed", config, partial(figures, resolution, precision, rounds))


TEXT = """# Training a GAN: seconds per thousand images

CPU seconds per kimg of one thread, median of so many rounds in which both sides take turns, and their ratio. The other
side is a minimal loop around the networks and `StyleGAN2Loss` of
[stylegan2-ada-pytorch](https://github.com/NVlabs/stylegan2-ada-pytorch), whose custom operations fall back to plain
PyTorch on a CPU; in the bf16 rows it takes its own mixed-precision path (the four highest resolutions) with bfloat16 in
the place of float16, while gseg computes all of G and D in bfloat16 but for the last layers of D. Same networks (2048
/ R channels at R px), batch {batch}, lazy R1 every {interval} steps, no path length, no augmentation.
Nothing here says how both compare on a GPU.

Made by `python -m benchmarks.gan_speed --stylegan2-ada DIR`, a cell for each machine that it was run on.

{tables}"""
HEAD = """| pixels | precision | gseg, s/kimg | stylegan2-ada-pytorch, s/kimg | ratio | of single rounds |
|---:|---|---:|---:|---:|---|"""


def tables() -> str:
    """Of every machine, the newest first."""
    cells = [read_json(path) for path in CELLS.glob("gan_speed-*.json")]
    cells.sort(key=lambda c: (c["config"]["resolution"], c["config"]["precision"] == "bf16"))
    machines = sorted({(c["date"], c["hardware"], c["commit"], c["config"]["rounds"]) for c in cells}, reverse=True)
    parts = []
    for date, machine, commit, rounds in machines:
        rows = [row(c) for c in cells if (c["date"], c["hardware"], c["commit"]) == (date, machine, commit)]
        parts.append("\n".join([f"## {machine}\n", f"Commit {commit}, {date}, {rounds} rounds.\n", HEAD, *rows, ""]))
    return "\n".join(parts)


def row(c: dict[str, Any]) -> str:
    config, f = c["config"], c["figures"]
    seconds = f"{f['ours_s']:.0f} | {f['theirs_s']:.0f} | {f['ratio']:.2f}"
    return f"| {config['resolution']} | {config['precision']} | {seconds} | {f['least']:.2f} to {f['most']:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stylegan2-ada", type=Path, required=True, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    measure(args.stylegan2_ada, args.rounds)
    text = TEXT.format(batch=BATCH, interval=R1_INTERVAL, tables=tables())
    write_text(ROOT / "gan_speed.md", text)
    print(text)


if __name__ == "__main__":
    main()
