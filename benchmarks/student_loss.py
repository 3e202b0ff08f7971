"""Should a student that knows ImageNet weigh pixels of rare classes more?

    python -m benchmarks.student_loss DATA --faces GAN --sprites GAN [--draws 2]

DATA as for pretrained.py; GANs of discriminators.py, 64 px; toy faces come with gseg. Every training is a cell; writes
student_loss.md.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import distill, teachers
from benchmarks.balance import told
from benchmarks.cells import ROOT, cell, hardware, made
from benchmarks.gan_start import NUM_LABELS
from benchmarks.pretrained import NUM_PAIRS, SIDE, autoshot, faces, game_characters, learned, samples_of
from benchmarks.toy_data import TOY
from gseg_cli.choices import Loss
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.device import pick_device
from gseg_cli.distill.config import PRETRAINED_LOSS, configure
from gseg_cli.distill.loss import BALANCE
from gseg_cli.distill.net_config import PRETRAINED
from gseg_cli.distill.pairs import annotated_pairs
from gseg_cli.distill.second_opinion import agreed, second_opinion
from gseg_cli.distill.stage import choose_pairs
from gseg_cli.fewshot.train import taught
from gseg_cli.memory import keep_freed_memory
from gseg_runtime.files import sha256_file, write_text

LOSSES: tuple[Loss, ...] = ("ce", PRETRAINED_LOSS)
NUM_PHOTOS = {"faces": 5, "sprites": 10}  # of students without a GAN
Figures = dict[str, Any]


def of_toys(draw: int, loss: Loss) -> Figures:
    """The cell of a student of ten annotated samples, on fresh toy faces."""
    config = replace(configure({"student": PRETRAINED}).train, input_size=SIDE, loss=loss, seed=draw)
    about = {"train": asdict(config), "draw": draw, "pairs": NUM_PAIRS, "toys": TOY.reference_sha256, "on": hardware()}

    def compute() -> Figures:
        annotated = annotated_pairs(teachers.generator(), taught(teachers.drawn(NUM_LABELS, draw)))
        pairs = distill.pairs(NUM_LABELS, 1, draw, NUM_PAIRS)
        pairs = agreed(pairs, second_opinion(annotated, CLASSES, config, pick_device()))
        found = distill.trained(choose_pairs(pairs, config), config, f"toy faces, {loss}, draw {draw}", annotated)
        return {"miou": found["faces"], "per_class_iou": found["faces_per_class"]}

    return cell("student-loss-toys", about, compute, gan=TOY.gan_sha256)["figures"]


TEXT = """# What the loss of a pretrained student should count

`lite0` takes few steps, and small parts have few pixels. `ce` counts every pixel alike; `balanced` counts those of a
class in proportion to the {power:g}th power of its rarity, and is what `gseg distill` takes for `lite0` by itself.

Mean IoU and that of small classes, on the same photos: nine portraits of FASSEG V2, others in each draw, 500 game
characters, 200 toy faces with exact labels. Draws: {draws}.

- samples: `gseg distill` with {labels} labelled samples and {pairs} pairs, a second opinion included. Samples of
  portraits and characters are labelled as in [discriminators.md](discriminators.md), whose GANs these are{gans}.
- photos: `gseg student-train` with as many labelled photos, of other people and characters.

Made by `python -m benchmarks.student_loss DATA --faces GAN --sprites GAN --draws {draws}`,
commit {commit}, {date}, {hardware}.

| photos | labelled | loss | mean IoU | small classes |
|---|---|---|---:|---|
{rows}
"""


def rows(title: str, labelled: str, compute: Callable[[int, Loss], Figures], draws: int) -> list[str]:
    by_loss = {loss: [compute(draw, loss) for draw in range(draws)] for loss in LOSSES}
    return [f"| {title} | {labelled} | `{loss}` | {told(figures)} |" for loss, figures in by_loss.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--faces", type=Path, metavar="GAN", required=True)
    parser.add_argument("--sprites", type=Path, metavar="GAN", required=True)
    parser.add_argument("--draws", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    table = []
    for domain, gan in ((faces(args.data), args.faces), (game_characters(args.data), args.sprites)):
        samples, count = samples_of(domain, gan, args.data), NUM_PHOTOS[domain.name]
        table += rows(
            domain.title,
            f"{NUM_LABELS} samples",
            partial(autoshot, domain, samples, PRETRAINED, NUM_LABELS, 0),
            args.draws,
        )
        table += rows(domain.title, f"{count} photos", partial(learned, domain, PRETRAINED, count), args.draws)
    table += rows("toy faces", f"{NUM_LABELS} samples", of_toys, args.draws)
    gans = f" (`{sha256_file(args.faces)[:12]}` and `{sha256_file(args.sprites)[:12]}`)"
    about = {"power": BALANCE, "labels": NUM_LABELS, "pairs": NUM_PAIRS, "draws": args.draws, "gans": gans}
    text = TEXT.format(**made(), **about, rows="\n".join(table))
    write_text(ROOT / "student_loss.md", text)
    print(text)


if __name__ == "__main__":
    main()
