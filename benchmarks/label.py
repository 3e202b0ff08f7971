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
from benchmarks.outlines import CORNERS
from benchmarks.simulated_annotator import LENGTH, POLYGON, WIDTHS, Labels, Watcher, accepted, annotate
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
from gseg_cli.fewshot.complete import completed
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

BATCH = 32  # of students, as in distill.md
STROKES, DRAWS, SHOTS = (60, 100, 40, 20, 10), 3, 10  # the most telling first
TAKEN = {"strokes alone": None, "accepted where sure": SURE}  # from which confidence on, of 255
ALONE, SURELY = TAKEN
WHOLE = "ten label maps"
AIM, AIM_STROKES = 0.02, 60
GANS = {128: "toy faces", 512: "config f", 1024: "config f"}
Figures = dict[str, Any]
Cell = tuple[Any, ...]  # what `cell` is given


# Where the strokes go. Kept apart from what they are worth: a change of the page's teacher that leaves them as they are
# leaves those figures too.
def paint(draw: int) -> Figures:
    """By number of strokes: the labels, with what is accepted as well, and the live teacher's figures."""
    truth, found = teachers.drawn(SHOTS, draw), {}
    watcher = Watcher(teachers.generator(), truth)
    try:
        for count, (pictures, tools) in enumerate(annotate(watcher, truth, max(STROKES)), start=len(CLASSES)):
            if count in STROKES:
                matrix = watcher.judge(TEACHER_SEEDS)
                predicted = np.stack([picture.labels for picture in pictures])
                found[str(count)] = {
                    "miou": mean_iou(matrix),
                    "per_class_iou": dict(zip(CLASSES.names, iou_per_class(matrix).tolist(), strict=True)),
                    "wrong": float((predicted != truth.labels).mean()),
                    "pixels": int((watcher.labels != IGNORE).sum()),
                    **tools,
                    "labels": {
                        name: _packed(accepted(watcher.labels, pictures, least)) for name, least in TAKEN.items()
                    },
                }
    finally:
        watcher.close()
    return found


def painted(draw: int) -> Figures:
    return cell(*_painting(draw))["figures"]


def _painting(draw: int) -> Cell:
    keyed = {"draw": draw, "strokes": sorted(STROKES), "reference": TOY.reference_sha256}
    return "label-strokes", keyed, partial(paint, draw), TOY.gan_sha256


def _packed(labels: Labels) -> str:
    return base64.b64encode(zlib.compress(labels.tobytes(), 9)).decode()


def labelled(draw: int, strokes: int, taken: str) -> AnnotationSet:
    """The draw's samples with the labels that so many strokes gave."""
    truth = teachers.drawn(SHOTS, draw)
    if taken == WHOLE:
        return truth
    data = zlib.decompress(base64.b64decode(painted(draw)[str(strokes)]["labels"][taken]))
    return replace(truth, labels=np.frombuffer(data, np.uint8).reshape(truth.labels.shape))


# What they are worth.
def teach(annotations: AnnotationSet, config: FewshotConfig, is_filled: bool) -> Figures:
    """As in teachers.py. is_filled: as `gseg fewshot-train` has it, else gaps are left out."""
    if is_filled:
        annotations = completed(teachers.generator(), annotations, config.seed)
    teacher = fit_teacher(teachers.generator(), annotations, config)
    matrix = compare_teacher(teachers.generator(), teacher, TEACHER_SEEDS, 1.0)
    names = zip(CLASSES.names, iou_per_class(matrix).tolist(), strict=True)
    return {"miou": mean_iou(matrix), "per_class_iou": dict(names)}


def distilled(annotations: AnnotationSet, config: DistillConfig, count: int) -> Figures:
    """As in distill.py."""
    annotations = completed(teachers.generator(), annotations, config.seed)
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
    is_filled: bool = True

    @property
    def figures(self) -> Figures:
        return cell(*self._cell)["figures"]

    @property
    def is_there(self) -> bool:
        is_painted = self.taken == WHOLE or _is_there(_painting(self.draw))
        return is_painted and _is_there(self._cell)

    @cached_property
    def _cell(self) -> Cell:
        annotations = labelled(self.draw, self.strokes, self.taken)
        labels = hashlib.sha256(annotations.labels.tobytes()).hexdigest()
        keyed: Figures = {"draw": self.draw, "labels": labels, "reference": TOY.reference_sha256}
        if self.kind == "teacher":
            config = FewshotConfig(seed=self.draw)
            keyed |= {"train": asdict(config), "filled": self.is_filled}
            return "label-teacher", keyed, partial(teach, annotations, config, self.is_filled), TOY.gan_sha256
        how, pairs = DistillConfig(seed=self.draw, batch=BATCH), PairsConfig.count
        keyed |= {"train": asdict(how), "pairs": pairs}
        return "label-student", keyed, partial(distilled, annotations, how, pairs), TOY.gan_sha256


def _is_there(where: Cell) -> bool:
    return ResultCache(CELLS).path(*where).is_file()


def teacher_jobs() -> list[Job]:
    """The most telling first."""
    n, draws = AIM_STROKES, range(DRAWS)
    most = [Job("teacher", draw, n, ALONE) for draw in draws] + [Job("teacher", draw) for draw in draws]
    most += [Job("teacher", draw, n, SURELY) for draw in draws]
    most += [Job("teacher", draw, n, taken, is_filled=False) for taken in TAKEN for draw in draws]
    return most + [Job("teacher", d, n, taken) for n in STROKES[1:] for taken in TAKEN for d in draws]


def student_jobs() -> list[Job]:
    """The most telling first."""
    most, *fewer = ([Job("student", d, n, ALONE) for d in range(DRAWS)] for n in STROKES)
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


def drawn(kind: str, strokes: int, taken: str, is_filled: bool = True) -> list[float]:
    """Mean IoU of each draw that was computed."""
    jobs = [Job(kind, draw, strokes, taken, is_filled) for draw in range(DRAWS)]
    return values(jobs, "miou" if kind == "teacher" else "faces")


def whole(kind: str) -> list[float]:
    return drawn(kind, 0, WHOLE)


def live(strokes: int, name: str = "miou") -> list[float]:
    there = [draw for draw in range(DRAWS) if _is_there(_painting(draw))]
    return [painted(draw)[str(strokes)][name] for draw in there]


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
        rows.append(f"| {n} | {' | '.join([*facts, *teacher])} | {shown(drawn('student', n, ALONE))} |")
    pixels = f"{teachers.drawn(SHOTS, 0).labels.size}"
    return "\n".join(
        [*rows, f"| {WHOLE} | {pixels} | - | - | {shown(whole('teacher'))} | - | {shown(whole('student'))} |"]
    )


def gaps() -> str:
    """What filling them is worth."""
    n = AIM_STROKES
    rows = [[taken, *(shown(drawn("teacher", n, taken, fill)) for fill in (False, True))] for taken in TAKEN]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def per_class() -> str:
    n = AIM_STROKES
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
    below = {n: found for n in sorted(STROKES) if (found := _below(n))}
    if AIM_STROKES not in below:
        return f"Whether {AIM_STROKES} strokes come within {AIM} of ten label maps is not computed yet."
    verdict = "met" if mean(below[AIM_STROKES]) <= AIM else "missed"
    lags = [f"{mean(found):.3f} of {n}" + f" ({len(found)})" * (len(found) < DRAWS) for n, found in below.items()]
    return (
        f"The aim, {AIM_STROKES} strokes within {AIM} of ten label maps, is {verdict}. So far below these are teachers "
        f"of strokes alone: {', '.join(lags)}."
    )


def _below(strokes: int) -> list[float]:
    """By how much a teacher of strokes alone is below one of ten label maps, of each draw that is there."""
    pairs = [(Job("teacher", draw), Job("teacher", draw, strokes, ALONE)) for draw in range(DRAWS)]
    return [maps.figures["miou"] - one.figures["miou"] for maps, one in pairs if maps.is_there and one.is_there]


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
        ("student on faces, strokes alone", PURPLE): [drawn("student", n, ALONE) for n in counts],
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
simulated annotator first shows each class once, ten strokes in all. Then it looks at what the page shows, labels and
the live teacher's refined predictions of all ten samples, and draws what corrects most. A stroke is either a polygon of
at most {corners} corners around a whole part, careful not to cross its outline, over what is labelled or only where
nothing is; or a straight line of a brush {widths} px wide inside a part, at most {length} px long. A pixel counts by
the root of how rare its class is. Of {most} strokes {polygons:.0f} were polygons. Mean IoU over all ten classes;
teachers on {num_generated} generated samples of truncation_psi 1, as in [teachers.md](teachers.md), students on 200
fresh toy faces, as in [distill.md](distill.md). {draws} draws, each with ten samples and a seed of its own. Figures
after ± are standard deviations; a number in brackets says of how many draws.

*Wrong*: share of the ten samples' pixels that the live teacher has wrong. *Strokes alone*: `gseg fewshot-train` on the
strokes. *Accepted*: with the live teacher's predictions where nothing was painted and it is nine in ten sure.

| strokes | pixels | wrong | live teacher | strokes alone | accepted where sure | student, strokes alone |
|---:|---:|---:|---:|---:|---:|---:|
{curve}

![mean IoU over the number of strokes](label.png)

{summary}

By class, teachers, mean over the draws:

{per_class}

What lags are the small parts, which 60 strokes cannot outline on every sample (that this is why was not verified): ten
samples have about 150 parts.

### Gaps

What `gseg fewshot-train` makes of all {most} strokes, and what it would without filling gaps first: a short training on
what is labelled, its predictions on the same samples drawn to the edges of the pictures, and those that are sure taken
as labels, twice over.

| taken | gaps left out | gaps filled |
|---|---:|---:|
{gaps}

GAN `{gan}`, reference annotator `{reference}`.
"""


def page() -> str:
    left, most = missing(), AIM_STROKES
    return TEXT.format(
        missing=f"Not complete: {left}." if left else "All of it is computed.", latency=latency(),
        curve=curve(), summary=summary(), per_class=per_class(), gaps=gaps(), draws=DRAWS, most=most,
        corners=CORNERS, widths=", ".join(map(str, WIDTHS)), length=LENGTH,
        polygons=mean(live(most, POLYGON) or [0]), num_generated=len(TEACHER_SEEDS),
        gan=TOY.gan_sha256, reference=TOY.reference_sha256, **made(),
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
    for draw in range(DRAWS):
        painted(draw)


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
