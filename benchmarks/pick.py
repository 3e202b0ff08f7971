"""Does it matter which samples are labelled: ten picked against ten random, and five against five.

    python -m benchmarks.pick [--repetitions 10]

The reference annotator labels the samples, the default teacher learns from them, and is measured on other samples.
Writes pick.md.
"""

import argparse
from collections.abc import Sequence
from functools import cache
from statistics import mean, stdev
from typing import Any, get_args

import torch

from benchmarks.cells import ROOT, cell
from benchmarks.toy_data import TOY
from gseg_cli.choices import Pick
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.distill.config import PairsConfig
from gseg_cli.evaluate.reference import annotate_samples, compare_teacher
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.pick import pick_seeds
from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.load import GanModule, load_generator
from gseg_runtime.files import write_text
from gseg_runtime.metrics import iou_per_class, mean_iou

POOL, COUNT, FIRST = 500, 10, 4
FROM = 200_000  # the first candidate
WAYS_OF = {COUNT: get_args(Pick), 5: ("random", "diverse")}  # of five, one would be left to uncertain
TESTS = range(300_000, 300_200)  # like the candidates, never looked at while the ways of picking were worked out
PSI = PickConfig.truncation_psi  # of the candidates
TEST_PSI = PairsConfig.truncation_psi  # of the samples a teacher labels for its student


def pool(repetition: int) -> range:
    """Candidates that no other repetition has, and that are not measured on."""
    return range(FROM + POOL * repetition, FROM + POOL * (repetition + 1))


@cache
def generator() -> GanModule:

    return load_generator(TOY.gan)


def teach(seeds: Sequence[int]) -> Teacher:
    return fit_teacher(generator(), annotate_samples(generator(), seeds, PSI, TOY.gan_sha256), FewshotConfig())


def choose(way: str, repetition: int, count: int) -> list[int]:
    """`count` seeds. uncertain: the first four are diverse, and their teacher's doubt weighs in picking the others."""
    candidates = pool(repetition)
    if way != "uncertain":
        config = PickConfig(way=way, count=count, truncation_psi=PSI, seed=repetition)
        return pick_seeds(generator(), candidates, config)
    first = pick_seeds(generator(), candidates, PickConfig(count=FIRST, truncation_psi=PSI))
    more = PickConfig(way=way, count=count - FIRST, truncation_psi=PSI)
    return first + pick_seeds(generator(), candidates, more, labelled=first, teacher=teach(first))


def measure(way: str, repetition: int, count: int) -> dict[str, Any]:
    """The cell of one training."""
    config = {
        "way": way,
        "candidates": [pool(repetition)[0], pool(repetition)[-1]],
        "count": count,
        "first": FIRST if way == "uncertain" else None,
        "truncation_psi": [PSI, TEST_PSI],
        "test": [TESTS[0], TESTS[-1]],
        "reference": TOY.reference_sha256,
    }

    def compute() -> dict[str, Any]:
        seeds = choose(way, repetition, count)
        matrix = compare_teacher(generator(), teach(seeds), TESTS, TEST_PSI)
        return {"seeds": seeds, "miou": mean_iou(matrix), "iou": iou_per_class(matrix).tolist()}

    return cell("pick", config, compute, gan=TOY.gan_sha256)


TEXT = """# Which samples to label

Some of {pool} candidates (truncation_psi {psi:g}, as `gseg sample` has it) are picked, the reference annotator labels
them, and the default teacher learns from them. Mean IoU over all ten classes against the reference annotator on
{tests} other samples, the same for all, of truncation_psi {test_psi:g}, as a teacher labels for its student.
{repetitions} repetitions with disjoint candidates; all ways pick from the same ones. Neither candidates nor test
samples were looked at while the ways of picking were worked out. Figures are means with standard deviations over the
repetitions; *gain* is of the difference to random in each.

- random: any of the candidates.
- diverse: greedy k-medoids over the means of the GAN's features (`gseg_cli/fewshot/pick.py`).
- uncertain: {first} diverse ones first, a teacher from these, then {more} more by k-medoids in which a candidate counts
  as much as that teacher doubts it: the default teacher is a single network, so by its entropy, not by the
  disagreement of an ensemble. {count} label maps in all, as the others have; the price is a second round.

Made by `python -m benchmarks.pick`.

GAN `{gan}`, reference annotator `{reference}`.
"""

Cells = dict[str, list[dict[str, Any]]]  # of every way, a repetition each


def page(cells: dict[int, Cells]) -> str:
    """cells: by the number of samples picked."""
    about = cells[COUNT]["random"][0]
    text = TEXT.format(
        pool=POOL, psi=PSI, test_psi=TEST_PSI, tests=len(TESTS), repetitions=len(cells[COUNT]["random"]), first=FIRST,
        more=COUNT - FIRST, count=COUNT, gan=TOY.gan_sha256, reference=TOY.reference_sha256,
    )  # fmt: skip
    lines = [text]
    for count, rows in cells.items():
        lines += [f"## {count} samples", "", *gains_table(rows), "", "IoU by class, mean over the repetitions:", ""]
        lines += [*class_table(rows), ""]
    return "\n".join([*lines, f"Commit {about['commit']}, {about['date']}, {about['hardware']}.", ""])


def gains_table(cells: Cells) -> list[str]:
    lines = ["| pick | mean IoU | gain over random | better in | worst repetition |", "|---|---:|---:|---:|---:|"]
    baseline = [c["figures"]["miou"] for c in cells["random"]]
    for way, rows in cells.items():
        values = [c["figures"]["miou"] for c in rows]
        gains = [value - other for value, other in zip(values, baseline, strict=True)]
        better = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        gain, better = ("", "") if way == "random" else (with_sd(gains, "+"), better)
        lines.append(f"| {way} | {with_sd(values)} | {gain} | {better} | {min(values):.3f} |")
    return lines


def class_table(cells: Cells) -> list[str]:
    lines = [f"| pick | {' | '.join(CLASSES.names)} |", "|---|" + "---:|" * len(CLASSES)]
    for way, rows in cells.items():
        by_class = torch.tensor([c["figures"]["iou"] for c in rows]).mean(dim=0)
        lines.append(f"| {way} | {' | '.join(f'{value:.3f}' for value in by_class.tolist())} |")
    return lines


def with_sd(values: Sequence[float], sign: str = "") -> str:
    return f"{mean(values):{sign}.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=10)
    repetitions = parser.parse_args().repetitions
    cells: dict[int, Cells] = {count: {way: [] for way in ways} for count, ways in WAYS_OF.items()}
    for count, ways in WAYS_OF.items():
        for repetition in range(repetitions):
            for way in ways:
                cells[count][way].append(measure(way, repetition, count))
    write_text(ROOT / "pick.md", page(cells))
    print(page(cells))


if __name__ == "__main__":
    main()
