"""`python -m benchmarks.gpu`: run the steps, then write DIR/README.md."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import benchmarks.gpu
from benchmarks.gpu import gans, marked, serving, teaching, training
from benchmarks.gpu.page import write_page
from benchmarks.gpu.setting import Setting
from gseg_cli.device import pick_device

GRACE_S = 20  # beyond its budget, for the figure in hand


@dataclass(frozen=True)
class Step:
    """minutes: the most it gets; None for all that those behind it do not need."""

    name: str
    minutes: float | None
    run: Callable[[Setting], None]


STEPS = (
    Step("tests", 4, marked.measure),
    Step("gan-train", 5, training.measure),
    Step("teaching", 5, teaching.measure),
    Step("segment", 3, serving.measure),
    Step("tensorrt", 1, serving.measure_tensorrt),
    Step("gans", None, gans.measure),
    Step("ceilings", 4, gans.measure_ceilings),
)
NAMES = tuple(step.name for step in STEPS)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=benchmarks.gpu.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--dry-run", action="store_true", help="tiny, on a CPU: shows that every step runs")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="STEP", help=", ".join(NAMES))
    parser.add_argument("--stylegan2-ada", type=Path, metavar="DIR", help="a checkout, to compare gan-train with")
    parser.add_argument("--photos", type=Path, metavar="ZIP", help="photos to train a GAN of 64 px on")
    parser.add_argument("--crop", metavar="BOX", help="of the photos: left,top,right,bottom")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)  # this process is one step
    return parser.parse_args()


def main() -> int:
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.inside:
        (step,) = (step for step in STEPS if step.name in args.only)
        step.run(_setting(args))
        return 0
    end_s = time.monotonic() + args.minutes * 60
    chosen = [step for step in STEPS if step.name in args.only]
    for position, step in enumerate(chosen):
        later = sum(other.minutes or 0 for other in chosen[position + 1 :])
        left = (end_s - time.monotonic()) / 60
        minutes = min(left, step.minutes) if step.minutes is not None else left - later
        print(f"== {step.name}: at most {minutes:.1f} minutes", flush=True)
        _run_apart(step, minutes)
    gans.keep(_setting(args))
    print(write_page(args.out))
    failed = sorted((args.out / "failed").glob("*.txt"))
    return 1 if failed else 0


def _setting(args: argparse.Namespace) -> Setting:
    return Setting(
        args.out, pick_device("cpu" if args.dry_run else args.device), args.minutes, args.dry_run,
        args.stylegan2_ada, args.photos, args.crop,
    )  # fmt: skip


def _run_apart(step: Step, minutes: float) -> None:
    """In a process of its own, which ends soon after its time."""
    words = [word for word in sys.argv[1:] if word != "--inside"]
    command = [sys.executable, "-m", "benchmarks.gpu", *words, "--inside", "--only", step.name]
    try:
        subprocess.run([*command, "--minutes", str(minutes)], timeout=max(minutes, 0) * 60 + GRACE_S)
    except subprocess.TimeoutExpired:
        print(f"{step.name}: ended after its {minutes:.1f} minutes", flush=True)


if __name__ == "__main__":
    sys.exit(main())
