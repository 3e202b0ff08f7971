"""What do GANs of 512 and 1024 px cost without a GPU? Each piece of the work in a process of its own.

    python -m benchmarks.large [--sizes 512 1024]

StyleGAN2s of config f with random weights, on which time and memory do not depend; eight classes, drawn at random.
CPU seconds, since other processes may want the cores; on one thread.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cells import ROOT, made
from benchmarks.label_latency import generator_of
from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.distill.config import DistillConfig, PairsConfig
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.pairs import PairSet, make_pairs
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import start_student
from gseg_cli.distill.trainer import StudentTrainer
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.features import collect_features
from gseg_cli.fewshot.model import Teacher, TeacherConfig
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.load import GanModule
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.class_map import ClassMap

PAGE = ROOT / "large.md"
CLASSES = ClassMap.of_names([f"class {i}" for i in range(8)])
NUM, STEPS, BATCH, SMALL = 2, 20, 4, 256
Piece = Callable[[int], float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--piece", choices=PIECES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.piece:
        torch.set_num_threads(1)
        figures = {"cpu_s": PIECES[args.piece][1](args.sizes[0])}
        print(json.dumps({**figures, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    rows = {name: [in_a_process(name, size) for size in args.sizes] for name in PIECES}
    if args.sizes == parser.get_default("sizes"):
        PAGE.write_text(page(args.sizes, rows))
        print(PAGE)


def in_a_process(piece: str, size: int) -> dict[str, float]:
    args = [sys.executable, "-m", "benchmarks.large", "--piece", piece, "--sizes", str(size)]
    figures = json.loads(subprocess.run(args, check=True, capture_output=True, text=True).stdout)
    print(piece, size, figures, flush=True)
    return figures


def cpu_seconds(work: Callable[[], object]) -> float:
    start_s = time.process_time()
    work()
    return time.process_time() - start_s


@torch.no_grad()
def sample(size: int) -> float:
    generator = generator_of(size)
    ws = ws_for_seeds(generator, range(NUM), 0.7)
    return cpu_seconds(lambda: [generator.synthesis(w[None]) for w in ws]) / NUM


def teacher_features(size: int) -> float:
    generator = generator_of(size)
    return cpu_seconds(lambda: collect_features(generator, ws_for_seeds(generator, range(NUM), 0.7), size)) / NUM


def teacher_training(size: int) -> float:
    """By the difference of two trainings, which have the features in common."""
    generator = generator_of(size)
    annotations = _annotations(generator)
    few, more = (
        cpu_seconds(lambda steps=steps: fit_teacher(generator, annotations, FewshotConfig(steps=steps)))  # type: ignore[misc]
        for steps in (1, 1 + STEPS)
    )
    return (more - few) / STEPS


def _annotations(generator: GanModule) -> AnnotationSet:
    size, seeds = generator.img_resolution, range(NUM)
    coarse = np.random.default_rng(0).integers(0, len(CLASSES), (NUM, 8, 8), np.uint8)
    labels = coarse.repeat(size // 8, axis=1).repeat(size // 8, axis=2)
    ws = ws_for_seeds(generator, seeds, 0.7).numpy()
    return AnnotationSet(labels, ws, tuple(seeds), CLASSES, "0" * 64, truncation_psi=0.7)


def pair(size: int) -> float:
    generator = generator_of(size)
    config = TeacherConfig(model="mlp", channels=generator.feature_channels, num_classes=len(CLASSES), size=size)
    teacher = Teacher(config).eval().requires_grad_(False)
    with tempfile.TemporaryDirectory() as folder:
        return cpu_seconds(lambda: make_pairs(generator, teacher, range(NUM), Path(folder))) / NUM


def student_step(size: int) -> float:
    """Of a batch of BATCH, by the second step."""
    blank = torch.zeros(BATCH, size, size, dtype=torch.uint8)
    pairs = PairSet(blank[..., None].repeat(1, 1, 1, 3), blank, blank, blank, torch.zeros(BATCH))
    trainer = StudentTrainer(pairs, CLASSES, DistillConfig(batch=BATCH), torch.device("cpu"))
    trainer.step(0)
    return cpu_seconds(lambda: trainer.step(0.1)) / BATCH


def score(size: int) -> float:
    net = start_student(NetConfig(num_classes=len(CLASSES), input_size=size))
    images = torch.zeros(8, size, size, 3, dtype=torch.uint8)
    return cpu_seconds(lambda: predict_labels(net, images)) / len(images)


PIECES: dict[str, tuple[str, Piece]] = {
    "sample": ("`sample`, an image", sample),
    "features": ("`fewshot-train`, the features of an annotated sample", teacher_features),
    "teacher": ("`fewshot-train`, a step of the MLP, and features before", teacher_training),
    "pair": ("`distill`, a pair or a held-out sample", pair),
    "step": (f"`distill`, a pair in a step of {BATCH}, student of the GAN's size", student_step),
    "small-step": (f"the same, student of {SMALL} px", lambda size: student_step(SMALL)),
    "score": ("`distill`, a held-out sample scored", score),
}


def page(sizes: list[int], rows: dict[str, list[dict[str, float]]]) -> str:
    about: dict[str, Any] = made()
    cells = {
        name: " | ".join(f"{r['cpu_s']:.3g} | {r['peak_mb'] / 1000:.1f}" for r in found) for name, found in rows.items()
    }
    heads = " | ".join(f"{size} px, CPU seconds | peak GB" for size in sizes)
    lines = [
        "# GANs of 512 and 1024 px without a GPU",
        "",
        "What one unit of each piece of the work takes, on one thread; the whole is as many times that. The peak is",
        f"of a process that does this piece alone, on {NUM} images or a batch of {BATCH}. A StyleGAN2 of config f with",
        f"random weights, an MLP teacher, the default student, {len(CLASSES)} classes.",
        "",
        f"| piece | {heads} |",
        "|---|" + "---:|---:|" * len(sizes),
        *(f"| {PIECES[name][0]} | {cells[name]} |" for name in rows),
        "",
        f"By default `distill` draws {PairsConfig.count} pairs and takes {DistillConfig.steps} steps of "
        f"{DistillConfig.batch}. Without held-out samples that is",
        *(f"- at {size} px {_hours(rows, i)}" for i, size in enumerate(sizes)),
        "",
        f"Made by `python -m benchmarks.large`, commit {about['commit']}, {about['date']}, {about['hardware']}.",
        "",
    ]
    return "\n".join(lines)


def _hours(rows: dict[str, list[dict[str, float]]], column: int) -> str:
    pairs, large, small = (rows[name][column]["cpu_s"] / 3600 for name in ("pair", "step", "small-step"))
    pairs, num = PairsConfig.count * pairs, DistillConfig.steps * DistillConfig.batch
    return (
        f"{pairs:.1f} CPU hours for the pairs, {num * large:.1f} for the steps, or {num * small:.1f} with "
        f"`--input-size {SMALL}`"
    )


if __name__ == "__main__":
    main()
