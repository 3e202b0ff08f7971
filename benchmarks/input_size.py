"""Should a student segment larger pictures than it learned from?

    python -m benchmarks.input_size DATA [--draws 2]

DATA as for pretrained.py. Students of labelled photos alone learn from pictures of 128 and of 192 px, and segment the
same photos as pictures of several sizes. Every training is a cell; writes input_size.md.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import ROOT, cell, made
from benchmarks.pretrained import SIDE, Domain, faces, game_characters, judged, pretrained_config, spread, squares
from gseg_cli.device import pick_device
from gseg_cli.distill.config import (
    PHOTOS_GEOMETRY,
    PRETRAINED_LOSS,
    PRETRAINED_STEPS,
    SUPERVISED_PRETRAINED_SIZE,
    find_geometry,
)
from gseg_cli.distill.larger_input import segmented_size
from gseg_cli.distill.net_config import PRETRAINED, NetConfig
from gseg_cli.distill.train import fit_student
from gseg_cli.memory import keep_freed_memory
from gseg_cli.progress import progress
from gseg_runtime.files import write_text

SIDES = (128, 160, 192, 224, 256)
HOW = (("aligned", SIDE), ("paper", SIDE), ("paper", SUPERVISED_PRETRAINED_SIZE))  # and the side it learns from
NUM_PHOTOS = {"faces": (1, 5), "sprites": (10,)}


def trained(domain: Domain, count: int, geometry: str, draw: int, learned: int = SIDE) -> dict[str, Any]:
    """The cell of a student of so many photos: its mean IoU by the side of what it segments. learned: the side of what
    it learns from."""
    config = pretrained_config(domain, draw, student=PRETRAINED, input_size=learned, loss=PRETRAINED_LOSS)
    config = replace(config, augment=find_geometry(geometry))
    about = {"domain": domain.key, "count": count, "draw": draw, "train": asdict(config), "sides": list(SIDES)}

    def compute() -> dict[str, Any]:
        train, test = domain.split(draw, count)
        with progress(f"{count} {domain.title}, {geometry}, draw {draw}", "steps") as on_step:
            pairs = squares(train[:count], learned)
            net = fit_student(pairs, domain.classes, config, pick_device(), on_step=on_step)
        figures = {}
        for side in SIDES:
            net.config = replace(net.config, input_size=side)
            figures[str(side)] = judged(net, test, side, domain.classes)["miou"]
        return figures

    return cell("input-size", about, compute)["figures"]


TEXT = """# Larger pictures than a student learned from

`lite0` learns from labelled photos as pictures of {side} px, {steps} steps. The finished network takes pictures of any
side: here the same photos are segmented as larger ones. Networks that see objects smaller in use than in training lose
(Touvron et al. 2019, FixRes); `--geometry paper` enlarges what a student learns from up to twofold, `aligned` by a
quarter.

Mean IoU on portraits and game characters as in [pretrained.md](pretrained.md), which no student saw. Draws: {draws}.

Made by `python -m benchmarks.input_size DATA --draws {draws}`,
commit {commit}, {date}, {hardware}.

| photos | labelled | `--geometry` | learned from | {heads} |
|---|---:|---|---:|{line}
{rows}

With labelled photos, in `gseg student-train` and in `gseg distill --labelled`, `lite0` takes `paper` by itself, and the
model segments pictures of {seen} px after learning from {side}: the side times the cube root of the largest
enlargement, in whole steps of 32. More brings more on five portraits, and costs more on one. The training takes as long
as before, and a photo 1.6 times the arithmetic.

To learn from 192 px, and segment 224, brings 0.005 to 0.03 on these photos, less than draws differ, for twice the
training and twice the arithmetic of each photo. Photos of cars, clothes and a field gain more
([public_photos.md](public_photos.md)), so `gseg student-train` takes 192 px unless `--input-size` says otherwise.

To keep photos at twice the side while they are moved and recoloured, so that enlarged ones are sharp, brought nothing:
five portraits of the first draw, `paper`, had 0.833 at 128 px, 0.851 at 192 and 0.840 at 256. A student of generated
pictures alone gains nothing either, which are blurred at twice the GAN's side, and keeps its size: from ten samples of
the portraits' GAN, `paper`, 0.763 and 0.766 at 128 px (draws 0 and 1), 0.763 and 0.775 at 160, 0.750 and 0.768 at 192;
from one 0.752 at 128 px and 0.746 at 160. With portraits beside ten samples it gains: with one 0.800 and 0.793 at 128
px, 0.803 and 0.805 at 160, 0.808 and 0.806 at 192; with five 0.835 and 0.810, 0.848 and 0.817, 0.854 and 0.824. From
samples of game characters alone `paper` is worse: from ten of the first draw 0.461 at 160 px and 0.463 at 192, where
`aligned` had 0.472. All that by scripts that are not kept. UNets were not tried.
"""


def row(domain: Domain, count: int, geometry: str, learned: int, draws: int) -> str:
    cells = [trained(domain, count, geometry, draw, learned) for draw in range(draws)]
    fields = [spread([figures[str(side)] for figures in cells]) for side in SIDES]
    return f"| {domain.title} | {count} | `{geometry}` | {learned} px | {' | '.join(fields)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--draws", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    rows = [
        row(domain, count, geometry, learned, args.draws)
        for domain in (faces(args.data), game_characters(args.data))
        for count in NUM_PHOTOS[domain.name]
        for geometry, learned in HOW
    ]
    net = NetConfig(size=PRETRAINED, num_classes=2, input_size=SIDE)
    seen = segmented_size(net, find_geometry(PHOTOS_GEOMETRY))
    text = TEXT.format(
        **made(), side=SIDE, seen=seen, steps=PRETRAINED_STEPS, draws=args.draws,
        rows="\n".join(rows),
        heads=" | ".join(f"{side} px" for side in SIDES), line="---:|" * len(SIDES),
    )  # fmt: skip
    write_text(ROOT / "input_size.md", text)
    print(text)


if __name__ == "__main__":
    main()
