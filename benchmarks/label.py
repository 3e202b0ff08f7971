"""`gseg label`: how soon its teacher answers, and what strokes are worth beside whole label maps.

    python -m benchmarks.label [--only PART | --page]

With the GANs that come along and the reference annotator in the place of a person. Each training is a cell; writes
label.md and label.png of what is there.
"""

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from benchmarks import distill, label_latency, teachers
from benchmarks.cells import CELLS, ROOT, cell, made
from benchmarks.simulated_annotator import Hand, Labels, Watcher, accepted, annotate
from benchmarks.toy_data import TOY
from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.charts import BLUE, GREEN, GREY, ORANGE, PURPLE, WIDTH, End, as_pixels, name_ends
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.distill.config import DistillConfig, PairsConfig
from gseg_cli.distill.pairs import annotated_pairs
from gseg_cli.distill.stage import choose_pairs, make_training_pairs
from gseg_cli.evaluate.reference import compare_teacher
from gseg_cli.evaluate.result_cache import ResultCache
from gseg_cli.evaluate.samples import TEACHER_SEEDS
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.train import fit_teacher, taught
from gseg_cli.label.accept import SURE
from gseg_cli.progress import progress
from gseg_runtime.class_map import IGNORE
from gseg_runtime.files import atomic_path, write_text
from gseg_runtime.label_map import Pixels
from gseg_runtime.metrics import iou_per_class, mean_iou

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STROKES, DRAWS, SHOTS = (60, 40, 20, 10), 3, 10  # the most telling first
TAKEN = {"strokes alone": None, "accepted where sure": SURE, "accepted": 0}  # from which confidence on, of 255
ALONE, SURELY, ALL = TAKEN
WHOLE, SCATTERED = "ten label maps", "scattered pixels"
AIM = 0.02
SHARES = (20, 5)  # one in so many pixels
GANS = {128: "toy faces", 512: "config f", 1024: "config f"}
THIN, WIDE = "thin", "wide"
HANDS = {THIN: Hand(), WIDE: Hand(width=5, length=24, inside="part")}
LAST = ((THIN, ALONE), (THIN, SURELY), (WIDE, ALONE), (WIDE, SURELY), (THIN, ALL))  # looked at after all strokes
Figures = dict[str, Any]
Cell = tuple[Any, ...]  # what `cell` is given


# Where the strokes go. Kept apart from what they are worth: a change of the page's teacher that leaves them as they are
# leaves those figures too.
def paint(draw: int, hand: Hand) -> Figures:
    """By number of strokes: the labels, with what is accepted as well, and the live teacher's figures."""
    truth, found = teachers.drawn(SHOTS, draw), {}
    watcher = Watcher(teachers.generator(), truth)
    try:
        for count, pictures in enumerate(annotate(watcher, truth, max(STROKES), hand), start=len(CLASSES)):
            if count in STROKES:
                matrix = watcher.judge(TEACHER_SEEDS)
                predicted = np.stack([picture.labels for picture in pictures])
                found[str(count)] = {
                    "miou": mean_iou(matrix),
                    "per_class_iou": dict(zip(CLASSES.names, iou_per_class(matrix).tolist(), strict=True)),
                    "wrong": float((predicted != truth.labels).mean()),
                    "pixels": int((watcher.labels != IGNORE).sum()),
                    "labels": {
                        name: _packed(accepted(watcher.labels, pictures, least)) for name, least in TAKEN.items()
                    },
                }
    finally:
        watcher.close()
    return found


def painted(draw: int, hand: str) -> Figures:
    return cell(*_painting(draw, hand))["figures"]


def _painting(draw: int, hand: str) -> Cell:
    keyed = {"draw": draw, "hand": asdict(HANDS[hand]), "strokes": sorted(STROKES), "reference": TOY.reference_sha256}
    return "label-strokes", keyed, partial(paint, draw, HANDS[hand]), TOY.gan_sha256


def _packed(labels: Labels) -> str:
    return base64.b64encode(zlib.compress(labels.tobytes(), 9)).decode()


def _scattered(labels: Labels, draw: int, share: int) -> Labels:
    is_kept = np.random.default_rng(draw).random(labels.shape) < 1 / share
    return np.where(is_kept, labels, IGNORE).astype(np.uint8)


def labelled(draw: int, hand: str, strokes: int, taken: str) -> AnnotationSet:
    """The draw's samples with the labels that so many strokes gave."""
    truth = teachers.drawn(SHOTS, draw)
    if taken == WHOLE:
        return truth
    if taken == SCATTERED:
        return replace(truth, labels=_scattered(truth.labels, draw, strokes))
    data = zlib.decompress(base64.b64decode(painted(draw, hand)[str(strokes)]["labels"][taken]))
    return replace(truth, labels=np.frombuffer(data, np.uint8).reshape(truth.labels.shape))


# What they are worth.
def teach(annotations: AnnotationSet, config: FewshotConfig) -> Figures:
    """As in teachers.py."""
    teacher = fit_teacher(teachers.generator(), annotations, config)
    matrix = compare_teacher(teachers.generator(), teacher, TEACHER_SEEDS, 1.0)
    names = zip(CLASSES.names, iou_per_class(matrix).tolist(), strict=True)
    return {"miou": mean_iou(matrix), "per_class_iou": dict(names)}


def distilled(annotations: AnnotationSet, config: DistillConfig, count: int) -> Figures:
    """As in distill.py."""
    teacher = fit_teacher(teachers.generator(), annotations, FewshotConfig(seed=config.seed))
    with tempfile.TemporaryDirectory() as folder, progress("pairs", "pairs") as on_step:
        how = PairsConfig(count=count)
        pairs = choose_pairs(
            make_training_pairs(teachers.generator(), teacher, how, Path(folder) / "pairs", on_step), config
        )
    return distill.trained(pairs, config, "student", annotated_pairs(teachers.generator(), taught(annotations)))


@dataclass(frozen=True)
class Job:
    """One training. strokes: 0 for whole label maps."""

    kind: str  # teacher or student
    draw: int
    strokes: int = 0
    taken: str = WHOLE
    hand: str = THIN

    @property
    def figures(self) -> Figures:
        return cell(*self._cell)["figures"]

    @property
    def is_there(self) -> bool:
        is_painted = self.taken in (WHOLE, SCATTERED) or _is_there(_painting(self.draw, self.hand))
        return is_painted and _is_there(self._cell)

    @cached_property
    def _cell(self) -> Cell:
        annotations = labelled(self.draw, self.hand, self.strokes, self.taken)
        labels = hashlib.sha256(annotations.labels.tobytes()).hexdigest()
        keyed: Figures = {"draw": self.draw, "labels": labels, "reference": TOY.reference_sha256}
        if self.kind == "teacher":
            config = FewshotConfig(seed=self.draw)
            keyed |= {"train": asdict(config)}
            return "label-teacher", keyed, partial(teach, annotations, config), TOY.gan_sha256
        how, pairs = DistillConfig(seed=self.draw), PairsConfig.count
        keyed |= {"train": asdict(how), "pairs": pairs}
        return "label-student", keyed, partial(distilled, annotations, how, pairs), TOY.gan_sha256


def _is_there(where: Cell) -> bool:
    return ResultCache(CELLS).path(*where).is_file()


def teacher_jobs() -> list[Job]:
    """The most telling first."""
    most = [Job("teacher", d, max(STROKES), taken, hand) for hand, taken in LAST for d in range(DRAWS)]
    whole = [Job("teacher", draw) for draw in range(DRAWS)]
    whole += [scattered(draw, share) for share in SHARES for draw in range(DRAWS)]
    fewer = [Job("teacher", d, n, taken) for n in STROKES[1:] for taken in (ALONE, SURELY) for d in range(DRAWS)]
    return [*most, *whole, *fewer]


def student_jobs() -> list[Job]:
    """The most telling first."""
    most, *fewer = ([Job("student", d, n, SURELY) for d in range(DRAWS)] for n in STROKES)
    whole = [Job("student", draw) for draw in range(DRAWS)]
    return [*most, *whole, *(job for jobs in fewer for job in jobs)]


# How soon it answers.
def timed(size: int) -> Figures:
    """In a process of its own, which computes on one thread. load: how many processes wanted a core before."""
    load = os.getloadavg()[0]
    command = [sys.executable, "-m", "benchmarks.label_latency", str(size)]
    one = {**os.environ, "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, env=one, cwd=ROOT.parent, check=True, capture_output=True, text=True)
    return {**json.loads(answer.stdout), "load": load}


def latency_cell(size: int) -> Cell:
    return "label-latency", {"size": size}, partial(timed, size), "", label_latency.measure


def latency() -> str:
    rows = []
    for size, gan in GANS.items():
        if not _is_there(latency_cell(size)):
            continue
        f = cell(*latency_cell(size))["figures"]
        parts = [f"{f[name]['wall_ms'][how]:.0f}" for name in ("ridge", "mlp") for how in ("median", "worst")]
        busy = [f"{f[name]['cpu_ms']['median']:.0f}" for name in ("ridge", "mlp", "turn")]
        rows.append(
            f"| {size} | {gan} | {' | '.join(parts)} | {' | '.join(busy)} | {f['peak_mb']:.0f} | {f['load']:.1f} |"
        )
    return "\n".join(rows)


# The tables.
def values(jobs: list[Job], name: str) -> list[float]:
    """Of those that were computed."""
    return [job.figures[name] for job in jobs if job.is_there]


def drawn(kind: str, strokes: int, taken: str, hand: str = THIN) -> list[float]:
    """Mean IoU of each draw that was computed."""
    jobs = [Job(kind, draw, strokes, taken, hand) for draw in range(DRAWS)]
    return values(jobs, "miou" if kind == "teacher" else "faces")


def whole(kind: str) -> list[float]:
    return drawn(kind, 0, WHOLE)


def live(strokes: int, name: str = "miou", hand: str = THIN) -> list[float]:
    there = [draw for draw in range(DRAWS) if _is_there(_painting(draw, hand))]
    return [painted(draw, hand)[str(strokes)][name] for draw in there]


def shown(found: list[float], digits: int = 3) -> str:
    """Mean and spread; how many draws, where they are fewer than all."""
    if not found:
        return "-"
    spread = f" ± {stdev(found):.{digits}f}" if len(found) > 1 else ""
    return f"{mean(found):.{digits}f}{spread}" + (f" ({len(found)})" if len(found) < DRAWS else "")


def curve() -> str:
    rows = []
    for n in sorted(STROKES):
        teacher = [shown(drawn("teacher", n, taken)) for taken in (ALONE, SURELY)]
        facts = [shown(live(n, "pixels"), 0), f"{mean(live(n, 'wrong')):.1%}", shown(live(n))] if live(n) else ["-"] * 3
        rows.append(f"| {n} | {' | '.join([*facts, *teacher])} | {shown(drawn('student', n, SURELY))} |")
    pixels = f"{teachers.drawn(SHOTS, 0).labels.size}"
    return "\n".join(
        [*rows, f"| {WHOLE} | {pixels} | - | - | {shown(whole('teacher'))} | - | {shown(whole('student'))} |"]
    )


def last() -> str:
    """What else was tried with all strokes."""
    rows, names = [], {THIN: "3 px wide, inside the wrong region", WIDE: "5 px wide, anywhere in the part"}
    for hand, taken in LAST:
        n = max(STROKES)
        facts = [shown(live(n, "pixels", hand), 0), shown(live(n, hand=hand)), shown(drawn("teacher", n, taken, hand))]
        rows.append(f"| {names[hand]} | {taken} | {' | '.join(facts)} |")
    return "\n".join(rows)


def scattered(draw: int, share: int) -> Job:
    """A teacher of one in `share` of the pixels of ten label maps, drawn at random over all of them."""
    return Job("teacher", draw, share, SCATTERED)


def per_class() -> str:
    n = max(STROKES)
    lines = {
        WHOLE: [Job("teacher", draw) for draw in range(DRAWS)],
        f"{n} strokes": [Job("teacher", draw, n, ALONE) for draw in range(DRAWS)],
        f"{n} strokes, {SURELY}": [Job("teacher", draw, n, SURELY) for draw in range(DRAWS)],
    }
    rows = [f"| | {' | '.join(CLASSES.names)} |", f"|---|{'---:|' * len(CLASSES)}"]
    for name, made_by in lines.items():
        found = [job.figures["per_class_iou"] for job in made_by if job.is_there]
        if found:
            rows.append(f"| {name} | " + " | ".join(f"{mean(c[k] for c in found):.3f}" for k in CLASSES.names) + " |")
    return "\n".join(rows)


def missing() -> str:
    """What is not computed yet."""
    counts = {
        kind: sum(not job.is_there for job in jobs)
        for kind, jobs in (("teachers", teacher_jobs()), ("students", student_jobs()))
    }
    return "; ".join(f"{count} of the {kind} are not computed yet" for kind, count in counts.items() if count)


def summary() -> str:
    """The figures against the aim: at most 60 strokes, within 0.02 of ten label maps."""
    n, best = max(STROKES), drawn("teacher", max(STROKES), ALONE)
    if len(best) < DRAWS or len(whole("teacher")) < DRAWS:
        return f"Whether {n} strokes come within {AIM} of ten label maps is not computed yet."
    below = mean(whole("teacher")) - max(mean(best), mean(drawn("teacher", n, SURELY) or best))
    verdict = "met" if below <= AIM else "missed"
    return (
        f"The aim, {n} strokes within {AIM} of ten label maps, is {verdict}: the better teacher is {below:.3f} below."
    )


def scatter() -> str:
    rows = []
    for share in SHARES:
        pixels = mean((_scattered(teachers.drawn(SHOTS, d).labels, d, share) != IGNORE).sum() for d in range(DRAWS))
        rows.append(f"| {pixels:.0f} | {shown(drawn('teacher', share, SCATTERED))} |")
    return "\n".join(rows)


@as_pixels
def chart() -> "Figure":
    """Mean IoU over the number of strokes, each draw pale."""
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, 3.4))
    axes, counts = figure.subplots(), sorted(STROKES)
    lines = {
        ("live teacher", BLUE): [live(n) for n in counts],
        ("fewshot-train, strokes alone", ORANGE): [drawn("teacher", n, ALONE) for n in counts],
        ("fewshot-train, accepted where sure", GREEN): [drawn("teacher", n, SURELY) for n in counts],
        ("student on faces, accepted where sure", PURPLE): [drawn("student", n, SURELY) for n in counts],
    }
    ends = [end for (name, color), found in lines.items() if (end := _draw(axes, counts, found, name, color))]
    for name, found in (
        ("teacher of ten label maps", whole("teacher")),
        ("student of ten label maps", whole("student")),
    ):
        if found:
            axes.axhline(mean(found), color=GREY, linewidth=0.8)
            ends.append(End(mean(found), name, GREY))
    axes.set_title("mean IoU")
    axes.set_xlabel("strokes, on ten samples together")
    axes.set_xticks(counts)
    name_ends(figure, [(axes, ends)])
    return figure


def _draw(axes: "Axes", counts: list[int], found: list[list[float]], name: str, color: str) -> End | None:
    """Where the line of the means ends; None where no draw is there yet."""
    points = [(n, mean(values)) for n, values in zip(counts, found, strict=True) if values]
    for n, values in zip(counts, found, strict=True):
        axes.plot([n] * len(values), values, ".", color=color, alpha=0.4)
    if not points:
        return None
    axes.plot(*zip(*points, strict=True), color=color, marker="o")
    return End(points[-1][1], name, color)


TEXT = """# Labelling in the browser

How soon the teacher of `gseg label` answers, and what strokes are worth beside whole label maps.

Made by `python -m benchmarks.label --only PART` for each part and `python -m benchmarks.label --page`, commit {commit},
{date}, {hardware}.

{missing}

## How soon it answers

From the end of a stroke to the event that brings the prediction of the sample in view, on one thread, without a
browser; the stroke is on disk by then. Ten samples, random strokes of ten classes, each as soon as the refined
prediction of the one before has come. *CPU*: median milliseconds of CPU time, which other processes do not lengthen as
they do the wall time. *Sample*: CPU milliseconds when the page turns to a sample for the first time. *Peak*: memory of
the process. *Others*: the load of the machine before the start; above 1, the wall times hold much waiting. Config f has
random weights.

| px | GAN | ridge, ms | worst | refined, ms | worst | ridge, CPU | refined, CPU | sample, CPU | peak, MB | others |
|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
{latency}

Wanted: 150 ms at 128 px, refined within a second; 500 ms at 512 px; 2 GB with ten samples of 1024 px. From 512 px on
not all samples' features are kept in memory at once: a stroke that needs those of a sample that was let go makes them
again, which may explain the worst cases (not verified).

## What strokes are worth

At 64 px, with the GAN that comes along and the reference annotator's label maps of ten samples as the truth. The
simulated annotator first draws a stroke in the largest region of each class, ten in all, then always one in the largest
wrong region of the live teacher's refined prediction: connected pixels of one true class, in any of the ten samples. A
stroke is a straight line through the middle of the region, at most {length} px long and {width} px wide, cut where it
leaves the region. Mean IoU over all ten classes; teachers on {num_generated} generated samples of truncation_psi 1, as
in [teachers.md](teachers.md), students on 200 fresh toy faces, as in [distill.md](distill.md). {draws} draws, each with
ten samples and a seed of its own. Figures after ± are standard deviations; a number in brackets says of how many draws.

*Wrong*: share of the ten samples' pixels that the live teacher has wrong. *Strokes alone*: `gseg fewshot-train` on the
strokes. *Accepted*: with the live teacher's predictions where nothing was painted and it is nine in ten sure.

| strokes | pixels | wrong | live teacher | strokes alone | accepted where sure | student of the latter |
|---:|---:|---:|---:|---:|---:|---:|
{curve}

![mean IoU over the number of strokes](label.png)

{summary}

By class, teachers, mean over the draws:

{per_class}

### Why

All {most} strokes, otherwise:

| brush | taken | pixels | live teacher | fewshot-train |
|---|---|---:|---:|---:|
{last}

And without strokes, pixels drawn at random over all ten label maps, exact and in no clumps:

| pixels | fewshot-train |
|---:|---:|
{scatter}

Strokes get smaller as the teacher gets better: what is wrong then is thin, and the last twenty strokes hold {small:.0f}
pixels each, where a whole one has about {full}. Small parts are each worth a tenth of the mean. Whole label maps hold
{pixels} pixels, and the second table says what their number alone is worth.

GAN `{gan}`, reference annotator `{reference}`.
"""


def last_strokes() -> float:
    """Pixels of each of the strokes between the last two numbers."""
    most, fewer = STROKES[:2]
    return (mean(live(most, "pixels")) - mean(live(fewer, "pixels"))) / (most - fewer) if live(most) else 0.0


def page() -> str:
    left, hand = missing(), HANDS[THIN]
    return TEXT.format(
        missing=f"Not complete: {left}." if left else "All of it is computed.", latency=latency(),
        curve=curve(), summary=summary(),
        per_class=per_class(), last=last(), scatter=scatter(), length=hand.length, width=hand.width, draws=DRAWS,
        most=max(STROKES), num_generated=len(TEACHER_SEEDS), gan=TOY.gan_sha256, reference=TOY.reference_sha256,
        pixels=teachers.drawn(SHOTS, 0).labels.size,
        small=last_strokes(), full=hand.width * hand.length,
        **made(),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=PARTS, help="compute this part; the page is not written")
    parser.add_argument("--page", action="store_true", help="compute nothing, and write the page of what is there")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for part in [] if args.page else [args.only] if args.only else PARTS:
        PARTS[part]()
    if not args.only:
        write_png(ROOT / "label.png", chart())
        write_text(ROOT / "label.md", page())


def write_png(path: Path, pixels: Pixels) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary)


def _time_all() -> None:
    for size in GANS:
        cell(*latency_cell(size))


def _paint_all() -> None:
    for hand in HANDS:
        for draw in range(DRAWS):
            painted(draw, hand)


def _train(jobs: Callable[[], list[Job]]) -> None:
    for job in jobs():
        _ = job.figures


PARTS: dict[str, Callable[[], None]] = {
    "latency": _time_all,
    "strokes": _paint_all,
    "teachers": partial(_train, teacher_jobs),
    "students": partial(_train, student_jobs),
}

if __name__ == "__main__":
    main()
