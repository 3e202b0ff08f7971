"""Does it matter which samples are labelled: ten picked against ten random.

    python -m benchmarks.pick [--repetitions 5]

The reference annotator labels the samples, the default teacher learns from them, and is measured on other samples.
Writes pick.md.
"""

import argparse
from collections.abc import Sequence
from functools import cache
from statistics import mean, stdev
from typing import Any

import torch

from benchmarks.autoshot import gan_sha256, reference_sha256
from benchmarks.cells import ROOT, TOY_FACES, cell
from gseg_cli.datasets.toy_faces import CLASSES
from gseg_cli.demo import TEACHER_SEEDS
from gseg_cli.distill.distill import PairsConfig
from gseg_cli.evaluate.reference import annotate_samples, compare_teacher
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.pick import pick_seeds
from gseg_cli.fewshot.pick_config import WAYS, PickConfig
from gseg_cli.fewshot.train import FewshotConfig, fit_teacher
from gseg_cli.gan.networks import GanModule, load_generator
from gseg_cli.project import DEFAULT_GAN, locate_gan
from gseg_runtime.files import write_text
from gseg_runtime.metrics import iou_per_class, mean_iou

CODE = (
    "gseg_cli.gan.stylegan2",
    "gseg_cli.gan.ops",
    "gseg_cli.gan.sample",
    "gseg_cli.fewshot",
    "gseg_cli.distill.unet",
    "gseg_cli.evaluate.reference",
    *TOY_FACES,
)
POOL, COUNT, FIRST = 500, 10, 4
PSI = PickConfig.truncation_psi  # of the candidates
TEST_PSI = PairsConfig.truncation_psi  # of the samples a teacher labels for its student


def pool(repetition: int) -> range:
    """Candidates that no other repetition has, and that are not measured on."""
    return range(100_000 + POOL * repetition, 100_000 + POOL * (repetition + 1))


@cache
def generator() -> GanModule:
    from pathlib import Path

    return load_generator(locate_gan(DEFAULT_GAN, Path(), source="benchmark"))


def teach(seeds: Sequence[int]) -> Teacher:
    return fit_teacher(generator(), annotate_samples(generator(), seeds, PSI, gan_sha256()), FewshotConfig())


def choose(way: str, repetition: int) -> list[int]:
    """Ten seeds. uncertain: the first four are diverse, and their teacher doubts the other six most."""
    candidates = pool(repetition)
    if way != "uncertain":
        config = PickConfig(way=way, count=COUNT, truncation_psi=PSI, seed=repetition)
        return pick_seeds(generator(), candidates, config)
    first = pick_seeds(generator(), candidates, PickConfig(count=FIRST, truncation_psi=PSI))
    more = PickConfig(way=way, count=COUNT - FIRST, truncation_psi=PSI)
    return first + pick_seeds(generator(), candidates, more, labelled=first, teacher=teach(first))


def measure(way: str, repetition: int) -> dict[str, Any]:
    """The cell of one training."""
    config = {
        "way": way,
        "candidates": [pool(repetition)[0], pool(repetition)[-1]],
        "count": COUNT,
        "first": FIRST if way == "uncertain" else None,
        "truncation_psi": [PSI, TEST_PSI],
        "test": [TEACHER_SEEDS[0], TEACHER_SEEDS[-1]],
        "reference": reference_sha256(),
    }

    def compute() -> dict[str, Any]:
        seeds = choose(way, repetition)
        matrix = compare_teacher(generator(), teach(seeds), TEACHER_SEEDS, TEST_PSI)
        return {"seeds": seeds, "miou": mean_iou(matrix), "iou": iou_per_class(matrix).tolist()}

    return cell("pick", config, CODE, compute, gan=gan_sha256())


TEXT = """# Which samples to label

Ten of {pool} candidates (truncation_psi {psi:g}, as `gseg sample` has it) are picked, the reference annotator labels
them, and the default teacher learns from them. Mean IoU over all ten classes against the reference annotator on
{tests} other samples, the same for all, of truncation_psi {test_psi:g}, as a teacher labels for its student.
{repetitions} repetitions with disjoint candidates; all ways pick from the same ones. Figures are means with standard
deviations over the repetitions; *gain* is of the difference to random in each.

- random: {count} of the candidates by lot.
- diverse: greedy k-medoids over the means of the GAN's features (`gseg_cli/fewshot/pick.py`).
- uncertain: {first} diverse ones first, a teacher from these, then {more} more by k-medoids in which a candidate counts
  as much as that teacher doubts it. {count} label maps in all, as the others have; the price is a second round.

Made by `python -m benchmarks.pick`.

GAN `{gan}`, reference annotator `{reference}`.

| pick | mean IoU | gain over random | better in | worst repetition |
|---|---:|---:|---:|---:|
"""


def page(cells: dict[str, list[dict[str, Any]]]) -> str:
    baseline = [c["figures"]["miou"] for c in cells["random"]]
    repetitions = len(baseline)
    lines = TEXT.format(
        pool=POOL, psi=PSI, test_psi=TEST_PSI, tests=len(TEACHER_SEEDS), repetitions=repetitions, first=FIRST,
        more=COUNT - FIRST, count=COUNT, gan=gan_sha256(), reference=reference_sha256(),
    ).splitlines()  # fmt: skip
    for way, rows in cells.items():
        values = [c["figures"]["miou"] for c in rows]
        gains = [value - other for value, other in zip(values, baseline, strict=True)]
        better = f"{sum(gain > 0 for gain in gains)} of {repetitions}"
        gain, better = ("", "") if way == "random" else (with_sd(gains, "+"), better)
        lines.append(f"| {way} | {with_sd(values)} | {gain} | {better} | {min(values):.3f} |")
    lines += ["", "IoU by class, mean over the repetitions:", "", f"| pick | {' | '.join(CLASSES.names)} |"]
    lines.append("|---|" + "---:|" * len(CLASSES))
    for way, rows in cells.items():
        by_class = torch.tensor([c["figures"]["iou"] for c in rows]).mean(dim=0)
        lines.append(f"| {way} | {' | '.join(f'{value:.3f}' for value in by_class.tolist())} |")
    about = cells["random"][0]
    return "\n".join([*lines, "", f"Commit {about['commit']}, {about['date']}, {about['hardware']}.", ""])


def with_sd(values: Sequence[float], sign: str = "") -> str:
    return f"{mean(values):{sign}.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    cells = {way: [measure(way, repetition) for repetition in range(repetitions)] for way in WAYS}
    write_text(ROOT / "pick.md", page(cells))
    print(page(cells))


if __name__ == "__main__":
    main()
