"""Do small parts gain when the teacher sees their pixels more often than they occur?

    python -m benchmarks.balance DATA --faces GAN --sprites GAN [--draws 2]

DATA as for pretrained.py; GANs of discriminators.py, 64 px. Writes balance.md.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from benchmarks import teachers
from benchmarks.cells import ROOT, cell, hardware, made
from benchmarks.gan_start import NUM_LABELS
from benchmarks.pretrained import (
    NUM_PAIRS,
    SIDE,
    Domain,
    faces,
    game_characters,
    judged,
    pretrained_config,
    samples_of,
    spread,
)
from gseg_cli.device import pick_device
from gseg_cli.distill.config import PairsConfig
from gseg_cli.distill.pairs import annotated_pairs
from gseg_cli.distill.stage import choose_pairs, make_training_pairs
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.train import fit_teacher, taught
from gseg_cli.memory import keep_freed_memory
from gseg_cli.progress import progress
from gseg_runtime.files import sha256_file, write_text

BALANCES = (0.0, FewshotConfig.balance)
SMALL = ("eyes", "mouth", "nose", "beard", "hat")


def student(domain: Domain, gan: Path, draw: int, balance: float, data: Path) -> dict[str, Any]:
    """The cell of a `lite0` student: its figures on labelled photos."""
    config, fewshot = pretrained_config(domain, draw, student="lite0"), FewshotConfig(seed=draw, balance=balance)
    about = {
        "domain": domain.key, "draw": draw, "labels": NUM_LABELS, "pairs": NUM_PAIRS, "fewshot": asdict(fewshot),
        "train": asdict(config), "on": hardware(),
    }  # fmt: skip

    def compute() -> dict[str, Any]:
        samples = samples_of(domain, gan, data)
        annotations, generator = samples.labelled(draw, NUM_LABELS), samples.generator
        teacher = fit_teacher(generator, annotations, fewshot)
        with TemporaryDirectory() as folder, progress(f"{domain.name}, {balance:g}, draw {draw}", "pairs") as on_step:
            pairs = make_training_pairs(generator, teacher, PairsConfig(count=NUM_PAIRS), Path(folder) / "p", on_step)
            net = fit_student(
                choose_pairs(pairs, config), domain.classes, config, pick_device(),
                annotated=annotated_pairs(generator, taught(annotations)),
            )  # fmt: skip
        return judged(net, domain.split(draw, 5)[1], SIDE, domain.classes)

    return cell("balance", about, compute, sha256_file(gan))


TEXT = """# Small parts and the teacher

A teacher draws the pixels it learns from at random: those of a class of n pixels in proportion to n ** (1 - balance).
With 0 as often as they occur, so that eyes of seven pixels teach next to nothing; {usual:g} is the default.

Mean IoU and that of small classes, of `lite0` students of {labels} labelled samples and {pairs} pairs, on nine
portraits of FASSEG V2 and on 500 game characters, as in [discriminators.md](discriminators.md), whose GANs these are.
Draws of labelled samples: {draws}.

Made by `python -m benchmarks.balance DATA --faces GAN --sprites GAN --draws {draws}`,
commit {commit}, {date}, {hardware}.

| photos | GAN | balance | mean IoU | small classes |
|---|---|---:|---:|---|
{rows}

On toy faces, whose smallest classes are larger, nothing is gained or lost: mean IoU of teachers on generated samples,
as in [teachers.md](teachers.md), over as many draws.

| balance | 1 annotation | 10 annotations |
|---:|---:|---:|
{toys}
"""


def row(domain: Domain, gan: Path, balance: float, cells: list[dict[str, Any]]) -> str:
    figures = [one["figures"] for one in cells]
    return f"| {domain.title} | `{sha256_file(gan)[:12]}` | {balance:g} | {told(figures)} |"


def told(figures: list[dict[str, Any]]) -> str:
    """Two fields of a table, over the draws: mean IoU, and the small classes."""
    names = [name for name in SMALL if name in figures[0]["per_class_iou"]]
    small = {name: [one["per_class_iou"][name] or 0.0 for one in figures] for name in names}
    words = ", ".join(f"{name} {spread(values)}" for name, values in small.items())
    return f"{spread([one['miou'] for one in figures])} | {words}"


def toy_row(balance: float, draws: int) -> str:
    config = FewshotConfig(balance=balance)
    fields = [spread([teachers.teach(config, shots, draw)["miou"] for draw in range(draws)]) for shots in (1, 10)]
    return f"| {balance:g} | {' | '.join(fields)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--faces", type=Path, metavar="GAN")
    parser.add_argument("--sprites", type=Path, metavar="GAN")
    parser.add_argument("--draws", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    domains = {"faces": faces, "sprites": game_characters}
    rows = []
    for name, gan in (("faces", args.faces), ("sprites", args.sprites)):
        if gan:
            domain = domains[name](args.data)
            for balance in BALANCES:
                cells = [student(domain, gan, draw, balance, args.data) for draw in range(args.draws)]
                rows.append(row(domain, gan, balance, cells))
    about = {"usual": FewshotConfig.balance, "labels": NUM_LABELS, "pairs": NUM_PAIRS, "draws": args.draws}
    toys = [toy_row(balance, args.draws) for balance in BALANCES]
    text = TEXT.format(**made(), **about, rows="\n".join(rows), toys="\n".join(toys))
    write_text(ROOT / "balance.md", text)
    print(text)


if __name__ == "__main__":
    main()
