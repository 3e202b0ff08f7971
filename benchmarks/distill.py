"""How good students are beside their teachers and beside exact labels, and what each option of `gseg distill` brings.

    python -m benchmarks.distill [--draws 3] [--only PART]

At 64 px, with the GAN that comes along and the reference annotator in the place of a person. Each training is a cell,
and computes on one core, so that two parts can be computed side by side; writes distill.md. Pairs are kept in a
temporary folder and made once for each teacher.
"""

import argparse
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import pairwise
from math import exp, log
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import teachers
from benchmarks.cells import ROOT, cell, made
from benchmarks.precision import milliseconds, open_session
from benchmarks.toy_data import TOY, toy_pairs
from gseg_cli.datasets.splits import SUPERVISED_SEED, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.demo import TEACHER_SEEDS
from gseg_cli.device import pick_device
from gseg_cli.distill.config import DistillConfig, PairsConfig, configure
from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.pairs import PairSet, annotated_pairs
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.stage import choose_pairs, make_training_pairs
from gseg_cli.distill.train import fit_student
from gseg_cli.distill.unet import SHAPES, UNet
from gseg_cli.evaluate.code_key import code_key
from gseg_cli.evaluate.reference import annotate_samples
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.train import fit_teacher, taught
from gseg_cli.gan.generator import to_uint8
from gseg_cli.progress import progress
from gseg_export.graph import finish
from gseg_export.to_onnx import from_network
from gseg_runtime.files import write_text
from gseg_runtime.metrics import Matrix, confusion_matrix, iou_per_class, mean_iou
from gseg_runtime.model_card import ModelCard

SHOTS = (1, 5, 10)
MANY = (30, 100, 300)  # exact labels; draws hardly differ then, and there is one
LONG = DistillConfig(minutes=10.0)  # one draw
SIZE = 64
NUM_MISTAKES = 8
SMALL = ("eyes", "brows", "nose", "mouth", "ears")  # about a hundredth of the picture each, or less
# What the options table compares with the default, in the words of the command.
OPTIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "`--annotated 0`": {"annotated": 0.0},
    "`--labels hard`": {"labels": "hard"},
    "`--loss dice`": {"loss": "dice"},
    "`--loss balanced`": {"loss": "balanced"},
    "`--loss focal`": {"loss": "focal"},
    "`--student tiny`": {"student": "tiny"},
}
Figures = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    draws: int = 3
    pairs: int = PairsConfig().count


# The pieces: teachers, their pairs, and what students are judged by. Each is made when the first cell asks for it.
@cache
def teacher(shots: int, heads: int, draw: int) -> Teacher:
    return fit_teacher(teachers.generator(), teachers.drawn(shots, draw), FewshotConfig(num_heads=heads, seed=draw))


@cache
def pairs(shots: int, heads: int, draw: int, count: int) -> PairSet:
    code = code_key(teacher, make_training_pairs)
    name = f"{TOY.gan_sha256[:12]}-{code}-{shots}-{heads}-{draw}-{count}"
    folder = Path(tempfile.gettempdir()) / "gseg-benchmark-pairs" / name
    with progress(f"pairs of {shots} annotations, draw {draw}", "pairs") as on_step:
        network = teacher(shots, heads, draw)
        return make_training_pairs(teachers.generator(), network, PairsConfig(count=count), folder, on_step)


@cache
def faces() -> PairSet:
    """Fresh toy faces with their exact labels."""
    return toy_pairs(TEST_SEEDS)


@cache
def generated() -> PairSet:
    """The samples that teachers are measured on, with the reference annotator's labels."""
    return annotated_samples(TEACHER_SEEDS)


@torch.no_grad()
def annotated_samples(seeds: range) -> PairSet:
    samples = annotate_samples(teachers.generator(), seeds, 1.0, TOY.gan_sha256)
    ws = torch.from_numpy(samples.ws).to(pick_device())
    images = torch.cat([to_uint8(teachers.generator().synthesis(part)).cpu() for part in ws.split(32)])
    return PairSet.exact(images.numpy(), samples.labels)


def judged(net: UNet) -> Figures:
    def matrix(on: PairSet) -> Matrix:
        return confusion_matrix(predict_labels(net, on.images), on.first.numpy(), len(CLASSES))

    on_faces, on_generated = matrix(faces()), matrix(generated())
    return {
        "faces": mean_iou(on_faces),
        "generated": mean_iou(on_generated),
        "faces_per_class": dict(zip(CLASSES.names, iou_per_class(on_faces).tolist(), strict=True)),
        "generated_per_class": dict(zip(CLASSES.names, iou_per_class(on_generated).tolist(), strict=True)),
        "mistakes": mistakes(on_faces),
    }


def mistakes(matrix: Matrix) -> list[dict[str, Any]]:
    """The most frequent ones: true and predicted class, and their share of all wrong pixels."""
    wrong = np.where(np.eye(len(CLASSES), dtype=bool), 0, matrix[:, : len(CLASSES)])
    largest = np.argsort(wrong, axis=None)[::-1][:NUM_MISTAKES]
    cells, names = zip(*np.unravel_index(largest, wrong.shape), strict=True), CLASSES.names
    return [{"truth": names[t], "predicted": names[p], "share": float(wrong[t, p] / wrong.sum())} for t, p in cells]


# The cells.
def student(config: DistillConfig, setting: Setting, draw: int, *, shots: int = 10, heads: int = 1) -> Figures:
    """One student; draw is also its seed."""
    config = replace(config, seed=draw)

    def compute() -> Figures:
        chosen = choose_pairs(pairs(shots, heads, draw, setting.pairs), config)
        annotated = annotated_pairs(teachers.generator(), taught(teachers.drawn(shots, draw)))
        return trained(chosen, config, f"student of {shots} annotations, draw {draw}", annotated)

    keyed = {
        "train": asdict(config), "shots": shots, "heads": heads, "draw": draw, "pairs": setting.pairs,
        "reference": TOY.reference_sha256,
    }  # fmt: skip
    found = cell("distill", keyed, compute, gan=TOY.gan_sha256)
    return {**found["figures"], "seconds": found["seconds"]}  # with its teacher and pairs, where it was their first


def exact(config: DistillConfig, count: int, draw: int) -> Figures:
    """The same training on toy faces with exact labels."""
    config = replace(config, seed=draw)

    def compute() -> Figures:
        first = SUPERVISED_SEED + draw * 10_000
        return trained(toy_pairs(range(first, first + count)), config, f"{count} exact labels, draw {draw}")

    keyed = {"train": asdict(config), "labels": count, "draw": draw, "reference": TOY.reference_sha256}
    return cell("distill-exact", keyed, compute, gan=TOY.gan_sha256)["figures"]


def ceiling(setting: Setting) -> Figures:
    """A student of the reference annotator itself: what is left then is what the GAN does not draw."""
    config = DistillConfig()
    seeds = range(PairsConfig.first_seed, PairsConfig.first_seed + setting.pairs)
    keyed = {"train": asdict(config), "pairs": setting.pairs, "reference": TOY.reference_sha256}

    def compute() -> Figures:
        return trained(annotated_samples(seeds), config, "student of the reference annotator")

    return cell("distill-ceiling", keyed, compute, gan=TOY.gan_sha256)["figures"]


def trained(on: PairSet, config: DistillConfig, title: str, annotated: PairSet | None = None) -> Figures:
    steps = 0
    with progress(title, "steps") as on_step:

        def count(step: Any) -> None:
            nonlocal steps
            steps = step.done
            on_step(step)

        net = fit_student(on, CLASSES, config, pick_device(), annotated=annotated, on_step=count)
    return {**judged(net), "steps": steps}


def one_draw() -> Figures:
    """CPU seconds of teacher, pairs and student from ten annotations, on one thread: a busy machine takes no more."""

    def compute() -> Figures:
        start_s = time.process_time()
        annotations, generator = teachers.drawn(10, 0), teachers.generator()
        network = fit_teacher(generator, annotations, FewshotConfig())
        with tempfile.TemporaryDirectory() as folder:
            made = make_training_pairs(generator, network, PairsConfig(), Path(folder))
        chosen, annotated = choose_pairs(made, DistillConfig()), annotated_pairs(generator, taught(annotations))
        fit_student(chosen, CLASSES, DistillConfig(), pick_device(), annotated=annotated)
        return {"cpu_seconds": time.process_time() - start_s}

    return cell("distill-time", {}, compute, gan=TOY.gan_sha256)["figures"]


def cost(size: str) -> Figures:
    """Parameters, multiply-adds and milliseconds of one image of 64 px, through ONNX Runtime on one core."""

    def compute() -> Figures:
        net = UNet(NetConfig(size=size, num_classes=len(CLASSES), input_size=SIZE)).eval().requires_grad_(False)
        model = finish((source := _source(net)).graph, source.card).onnx
        image = np.zeros((1, SIZE, SIZE, 3), np.uint8)
        with FlopCounterMode(display=False) as counter:
            net(torch.zeros(1, 3, SIZE, SIZE))
        return {
            "parameters": sum(p.numel() for p in net.parameters()),
            "macs": counter.get_total_flops() // 2,
            "ms": milliseconds({size: open_session(model)}, image)[size],
            "mb": len(model) / 1e6,
        }

    return cell("distill-cost", {"size": size}, compute)["figures"]


def _source(net: nn.Module) -> Any:
    return from_network(net, ModelCard(classes=CLASSES, input_size=SIZE))


# The tables.
def spread(values: list[float], sign: str = "") -> str:
    return f"{mean(values):{sign}.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def teacher_figures(draw: int) -> Figures:
    return teachers.teach(FewshotConfig(), 10, draw)


def gap(s: Setting) -> str:
    """Students and their teachers on the same generated samples."""
    rows = [gap_row("none", DistillConfig(), s.draws, s)]
    rows += [gap_row(f"`--minutes {LONG.minutes:g}`", LONG, 1, s)]
    return "\n".join(rows)


def gap_row(name: str, config: DistillConfig, draws: int, s: Setting) -> str:
    made_by = [student(config, s, draw) for draw in range(draws)]
    own, above = [m["generated"] for m in made_by], [teacher_figures(draw)["miou"] for draw in range(draws)]
    below = [t - m for t, m in zip(above, own, strict=True)]
    steps = round(mean(m["steps"] for m in made_by))
    gaps = f"{spread(below, '+')} | {max(below):+.3f}"
    return f"| {name} | {draws} | {steps} | {spread(above)} | {spread(own)} | {gaps} |"


def against_exact(s: Setting) -> str:
    """As many annotations as exact labels, with the same steps, and how many labels would do as well."""
    config, rows, labels, curve = DistillConfig(), [], exact_counts(s), exact_curve(s)
    for count, theirs in labels.items():
        cells = ["", "", ""]
        if count in SHOTS:
            ours = [student(config, s, draw, shots=count)["faces"] for draw in range(s.draws)]
            gain = [one - other for one, other in zip(ours, theirs, strict=True)]
            cells = [spread(ours), spread(gain, "+"), labels_worth(mean(ours), curve)]
        rows.append(f"| {count} | {len(theirs)} | {spread(theirs)} | {' | '.join(cells)} |")
    return "\n".join(rows)


def exact_curve(s: Setting) -> list[tuple[int, float]]:
    return [(count, mean(values)) for count, values in exact_counts(s).items()]


def ceiling_text(s: Setting) -> str:
    miou = ceiling(s)["faces"]
    return f"a student of {s.pairs} samples that the reference annotator itself labelled reaches {miou:.3f} on faces."


def exact_counts(s: Setting) -> dict[int, list[float]]:
    """Mean IoU on fresh faces of each draw, by the number of exact labels."""
    draws = {count: range(s.draws) for count in SHOTS} | {count: range(1) for count in MANY}
    return {n: [exact(DistillConfig(), n, draw)["faces"] for draw in numbers] for n, numbers in draws.items()}


def per_class(s: Setting) -> str:
    made_by = [student(DistillConfig(), s, draw) for draw in range(s.draws)]
    above = [teacher_figures(draw) for draw in range(s.draws)]
    lines = {
        "teacher, generated": [t["per_class_iou"] for t in above],
        "student, generated": [m["generated_per_class"] for m in made_by],
        "student, faces": [m["faces_per_class"] for m in made_by],
    }
    rows = [f"| | {' | '.join(CLASSES.names)} |", f"|---|{'---:|' * len(CLASSES)}"]
    for name, cells in lines.items():
        rows.append(f"| {name} | " + " | ".join(f"{mean(c[n] for c in cells):.3f}" for n in CLASSES.names) + " |")
    return "\n".join(rows)


def wrong(s: Setting) -> str:
    """What the first student mistakes for what."""
    found = student(DistillConfig(), s, 0)["mistakes"]
    return "\n".join(f"| {m['truth']} | {m['predicted']} | {m['share']:.0%} |" for m in found)


def options(s: Setting) -> str:
    rows, default = [], [student(DistillConfig(), s, draw) for draw in range(s.draws)]
    for name, given in OPTIONS.items():
        own = [student(configure(given).train, s, draw) for draw in range(s.draws)]
        gain = [one["faces"] - other["faces"] for one, other in zip(own, default, strict=True)]
        small = [mean(o["faces_per_class"][n] for n in SMALL) for o in own]
        values = [spread([o[key] for o in own]) for key in ("faces", "generated")]
        difference = spread(gain, "+") if given else ""
        rows.append(f"| {name} | {values[0]} | {difference} | {spread(small)} | {values[1]} |")
    return "\n".join(rows)


def labels_worth(miou: float, table: list[tuple[int, float]]) -> str:
    """How many exact labels give this mean IoU, interpolated by the logarithm of their number."""
    if miou < table[0][1]:
        return f"less than {table[0][0]}"
    for (few, low), (many, high) in pairwise(table):
        if low <= miou < high:
            share = (miou - low) / (high - low)
            return f"{exp(log(few) + share * (log(many) - log(few))):.0f}"
    return f"{table[-1][0]} or more"


def sizes(s: Setting) -> str:
    rows = []
    for size in SHAPES:
        c = cost(size)
        quality = worth = "-"
        if size != "paper":  # it is too slow to train on a CPU
            config = configure({"student": size}).train
            own = [student(config, s, draw)["faces"] for draw in range(s.draws)]
            quality, worth = spread(own), labels_worth(mean(own), exact_curve(s))
        macs, millions = c["macs"] / 1e9, c["parameters"] / 1e6
        rows.append(f"| {size} | {millions:.2f} | {macs:.2f} | {c['ms']:.1f} | {c['mb']:.1f} | {quality} | {worth} |")
    return "\n".join(rows)


PARTS = {
    "gap": gap, "against_exact": against_exact, "ceiling": ceiling_text, "per_class": per_class, "wrong": wrong,
    "options": options, "sizes": sizes,
}  # fmt: skip

TEXT = """# Students

All at 64 px. *Faces*: mean IoU over all ten classes on {num_faces} fresh toy faces with exact labels. *Generated*: on
{num_generated} generated samples of truncation_psi 1 that no training saw, against the reference annotator, which
stands in for a person. Each draw has ten annotated samples of its own, and with fewer it takes the first of them; it
is also the seed of teacher and student. {pairs} pairs; each training computes on one core, and takes the {steps} steps
of `gseg distill` unless its minutes are given: with teacher and pairs {draw_minutes:.1f} minutes of CPU. Figures after
± are standard deviations over {draws} draws.

Made by `python -m benchmarks.distill --draws {draws}`, commit {commit}, {date}, {hardware}.

GAN `{gan}`, reference annotator `{reference}`.

## Students and their teachers

Ten annotations, on the same generated samples; `gseg distill` with no options, and for so long. `--minutes` counts
training alone.

| options | draws | steps | teacher | student | below its teacher | at most |
|---|---:|---:|---:|---:|---:|---:|
{gap}

By class, with no options, mean over the draws:

{per_class}

The first draw's most frequent mistakes on faces, in shares of all its wrong pixels:

| truth | prediction | share |
|---|---|---:|
{wrong}

## Annotations and exact labels

On faces: `gseg distill` with no options, and the same network, steps, augmentation and optimiser on exact labels.
*Worth*: the number of exact labels that give the same, interpolated by its logarithm between the rows.

| number | draws | exact labels | student of as many annotations | difference | worth |
|---:|---:|---:|---:|---:|---:|
{against_exact}

The ceiling: {ceiling}

## Options

Ten annotations. The difference is on faces, to the default of the same draw. *Small parts*: mean IoU on faces of
{small}. What `--geometry paper` costs on aligned faces, and brings on others, is the last table of
[docs/results.md](../docs/results.md).

| option | faces | difference | small parts | generated |
|---|---:|---:|---:|---:|
{options}

Until 2026-11-26, with twice as many pairs a step, the table had more rows, none of which differed from the default by
more than 0.003: `--drop 0`, `--ignore-below 0.8`, `--colour 0`, `--background 0.5`, and five heads with `--drop 0.1`
and 0.3.

## Sizes

One image of 64 px, ONNX Runtime on one core, CPU time. The paper's size stands here for its cost.

| size | million parameters | billion multiply-adds | ms | MB | faces | exact labels of equal worth |
|---|---:|---:|---:|---:|---:|---:|
{sizes}
"""


def page(s: Setting) -> str:
    tables = {name: part(s) for name, part in PARTS.items()}
    return TEXT.format(
        num_faces=len(TEST_SEEDS), num_generated=len(TEACHER_SEEDS), gan=TOY.gan_sha256,
        reference=TOY.reference_sha256, small=", ".join(SMALL), steps=DistillConfig.steps,
        draw_minutes=one_draw()["cpu_seconds"] / 60,
        **asdict(s), **tables, **made(),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=Setting.draws, choices=range(1, teachers.MAX_DRAWS + 1))
    parser.add_argument("--only", choices=PARTS, help="compute and show this part; the page is not written")
    args = parser.parse_args()
    setting = Setting(draws=args.draws)
    torch.set_num_threads(1)
    if args.only:
        print(PARTS[args.only](setting))
        return
    text = page(setting)
    write_text(ROOT / "distill.md", text)
    print(text)


if __name__ == "__main__":
    main()
