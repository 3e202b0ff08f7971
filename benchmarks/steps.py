"""What a training step costs on a CPU: in both precisions, and against the plain way to compute it.

    python -m benchmarks.steps [--rounds 3]

"plain": the maps that a student joins are enlarged first, the pretrained encoder pads and normalises its maps and
filters single channels in the precision of all else, images that ADA leaves in their place are resampled like the
others, photos and samples are judged one after the other, and freed memory goes back to the system. Each measurement is
a process of its own on one thread, because a process remembers how it treats memory; both ways take turns. CPU time is
measured, because a busy machine makes wall time meaningless. Writes this processor's section of steps.md.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.by_processor import write_page
from benchmarks.cells import ROOT, made
from gseg_cli.choices import StudentSize
from gseg_cli.device import has_bf16
from gseg_cli.distill import lite_net, unet
from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.joined_conv import run_joined
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.trainer import StudentTrainer
from gseg_cli.gan.training import augment
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.projected import ProjectedTrainer
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_cli.gan.training.warp import warp_all
from gseg_cli.memory import keep_freed_memory
from gseg_cli.pretrained import lite0
from gseg_runtime.class_map import ClassMap

CPU = torch.device("cpu")
CLASSES = ClassMap.of_names([f"class {i}" for i in range(10)])
PRECISIONS, WAYS, STEPS = ("fp32", "bf16"), ("plain", "gseg"), 8
_JUDGED = GanTrainer._logits
AUGMENT_P = 0.03  # what ADA comes to in trainings of an hour or two: 0.01 to 0.1


def distill(size: int, batch: int, precision: str, student: StudentSize = "default") -> Callable[[], object]:
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (128, size, size, 3)).astype(np.uint8)
    labels = random.randint(0, len(CLASSES), (128, 8, 8)).repeat(size // 8, 1).repeat(size // 8, 2).astype(np.uint8)
    config = DistillConfig(student=student, batch=batch, precision=precision)
    trainer = StudentTrainer(PairSet.exact(images, labels), CLASSES, config, CPU)
    return lambda: trainer.step(0.3)


def gan(channel_base: int, batch: int, precision: str) -> Callable[[], object]:
    """With augmentation, and without the regularisers, which are due at few steps."""
    images = torch.randint(0, 256, (128, 3, 64, 64), dtype=torch.uint8)
    config = GanTrainConfig(
        channel_base=channel_base, batch=batch, precision=precision, augment="fixed", augment_p=AUGMENT_P, r1_gamma=0.0
    )
    return GanTrainer(config, images, CPU).step


def projected_gan(channel_base: int, batch: int, precision: str) -> Callable[[], object]:
    """The median is of a step at which StyleGAN2's discriminator does not learn."""
    images = torch.randint(0, 256, (128, 3, 64, 64), dtype=torch.uint8)
    config = GanTrainConfig(
        channel_base=channel_base, batch=batch, precision=precision, discriminator="projected", augment="none",
        r1_gamma=0.0,
    )  # fmt: skip
    return ProjectedTrainer(config, images, CPU).step


WORK: dict[str, Callable[[str], Callable[[], object]]] = {
    "distill, 64 px, batch 16": lambda precision: distill(64, 16, precision),
    "distill, 128 px, batch 12": lambda precision: distill(128, 12, precision),
    "distill, 64 px, `lite0`, batch 16": lambda precision: distill(64, 16, precision, "lite0"),
    "gan-train, 64 px, channels 1024, batch 16": lambda precision: gan(1024, 16, precision),
    "gan-train, 64 px, channels 2048, batch 16": lambda precision: gan(2048, 16, precision),
    "gan-train, 64 px, channels 1024, batch 16, projected": lambda precision: projected_gan(1024, 16, precision),
}


def _enlarged(layers: nn.Sequential, fine: Tensor, coarse: Tensor, is_training: bool) -> Tensor:
    return run_joined(layers, fine, coarse, is_training=False)


def _apart(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    return norm(conv(lite0.padded(conv, x)))


def _one_by_one(trainer: GanTrainer, classes: list[Tensor | None], images: list[Tensor]) -> list[Tensor]:
    return [_JUDGED(trainer, [index], [batch])[0] for index, batch in zip(classes, images, strict=True)]


def milliseconds(work: str, precision: str, way: str) -> float:
    """CPU time of a step, the median of some, in this process."""
    torch.set_num_threads(1)
    if way == "gseg":
        keep_freed_memory()
    else:
        unet.run_joined = lite_net.run_joined = _enlarged
        lite0.normalised = _apart
        augment.warp = warp_all
        GanTrainer._logits = _one_by_one  # type: ignore[method-assign]
    step = WORK[work](precision)
    times = []
    for _ in range(STEPS + 2):
        start = time.process_time()
        step()
        times.append(1000 * (time.process_time() - start))
    return median(times[2:])  # first calls choose kernels


def measured(work: str, precision: str, way: str) -> float:
    command = [sys.executable, "-m", "benchmarks.steps", "--one", work, precision, way]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def rows(rounds: int) -> Iterator[str]:
    for work in WORK:
        ours = {}
        for precision in PRECISIONS if has_bf16(CPU) else PRECISIONS[:1]:
            pairs = [[measured(work, precision, way) for way in WAYS] for _ in range(rounds)]
            plain, ours[precision] = (median(column) for column in zip(*pairs, strict=True))
            gains = [before / after for before, after in pairs]
            gain = f"{median(gains):.2f} ({min(gains):.2f} to {max(gains):.2f})"
            relative = f"{ours['fp32'] / ours[precision]:.2f}"
            yield f"| {work} | {precision} | {plain:.0f} | {ours[precision]:.0f} | {gain} | {relative} |"


HEAD = """# A training step on a CPU

CPU milliseconds of a step on one thread, medians of some processes for each figure. Plain: the maps that a student
joins are enlarged first, the pretrained encoder of `lite0` pads and normalises its maps and filters single channels in
the precision of all else, images that ADA leaves in their place are resampled like the others, photos and samples are
judged one after the other, and freed memory goes back to the system. gseg: as its commands train, ADA at p {augment_p}.
Gain: plain / gseg, the median of pairs that ran one after the other, and the least and the most. Against fp32: how many
times as fast as that precision, which differs from processor to processor; `--precision auto` measures it where it
runs.

Where the extra `pretrained` is installed, `gseg distill` trains `lite0` and `gseg gan-train` a projected discriminator,
unless told otherwise. The sections of the AMD processors were measured before gseg judged photos and samples together,
and before it filtered the single channels of `lite0` in fp32 where all else is bf16.
"""
SECTION = """Made by `python -m benchmarks.steps --rounds {rounds}`, commit {commit}, {date}.

| Step | Precision | plain, ms | gseg, ms | gain | against fp32 |
|---|---|---:|---:|---:|---:|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(milliseconds(*args.one))
        return
    section = SECTION.format(**made(), rounds=args.rounds, rows="\n".join(rows(args.rounds)))
    print(write_page(ROOT / "steps.md", HEAD.format(augment_p=AUGMENT_P), section))


if __name__ == "__main__":
    main()
