"""What a GAN on a CPU should begin with: nothing, or the toy faces that come with gseg.

    python -m benchmarks.gan_start DATA [--draws 1] [--work build/gan_start]

DATA as for pretrained.py: photographs of faces and game characters, and labelled ones to measure on. Each GAN is a run
of `gseg gan-train` of 64 px below the work folder, resumed when it is there; both beginnings have networks of the same
size, so that equally many images take equally long. What a GAN is worth is the mean IoU of a student of ten of its
samples on labelled photos. The labels are an annotator's: of faces a network that learned from five portraits which
are not measured on, of characters one that learned from all exact maps. What is seen is written down by whoever looked,
in gan_start_notes.md. Writes gan_start.md, and WORK/samples.jpg: samples of photographs of people that are for research
only stay out of the repository.
"""

import argparse
import shutil
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from PIL import Image

from benchmarks.cells import ROOT, cell, made
from benchmarks.pretrained import (
    NUM_PAIRS,
    SIDE,
    Domain,
    distilled,
    faces,
    game_characters,
    judged,
    pretrained_config,
    samples_of,
    spread,
)
from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.distill.config import PRETRAINED_STEPS, PairsConfig
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.training.plot import read_curves
from gseg_cli.gan.training.stage import run_or_resume_gan_train
from gseg_cli.gan.training.train import STATE
from gseg_cli.memory import keep_freed_memory
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe
from gseg_runtime.files import sha256_file, write_text
from gseg_runtime.label_map import Pixels, contact_sheet

NOTES = ROOT / "gan_start_notes.md"
KIMG = (30, 60, 120)  # shown when a GAN is looked at
NUM_LABELS = 10
STARTS = {"anew": None, "toy faces": Builtin(SMALL).start}
PHOTOS = {"faces": "faces/celeba_10k.zip", "sprites": "sprites/train.zip"}
CPU = torch.device("cpu")
SHOWN = range(4)  # seeds in the picture


@dataclass(frozen=True)
class Training:
    """Of a GAN. way: by name; photos: their zip; runs: where it is, or will be."""

    domain: Domain
    way: str
    photos: Path
    runs: Path


class Gan(Training):
    """A way of `STARTS`, looked at after so many images."""

    def kept(self, kimg: int) -> Path:
        return self.runs / f"{kimg:04d}.safetensors"

    def checkpoint(self, kimg: int) -> Path:
        """As it is after so many images, trained until there if it was not yet."""
        kept = self.kept(kimg)
        if not kept.is_file():
            is_begun = (self.runs / "0001-gan" / STATE).is_file()
            new = {"resolution": 64, "seed": 1, "channel_base": 1024, "discriminator": "stylegan2"}
            given = {"kimg": float(kimg), **({} if is_begun else new)}
            start = None if is_begun else STARTS[self.way]
            if start:
                del given["channel_base"]  # that of the file
            with progress(f"{self.domain.title}, {self.way}", "images") as on_step:
                trained = run_or_resume_gan_train(
                    self.photos, given, self.runs, CPU, resume=is_begun, init_from=start, on_step=on_step
                )
            shutil.copyfile(trained.checkpoint, kept)
        return kept

    def distance(self, kimg: int) -> float:
        """Sliced Wasserstein distance to held-out photos, times 1000."""
        self.checkpoint(kimg)
        shown, values = read_curves(self.runs / "0001-gan" / "metrics.jsonl")["swd"]
        return float(values[abs(shown - kimg).argmin()])


def judge(gan: Gan, kimg: int, draw: int, data: Path) -> dict[str, Any]:
    """The cell of a student: its figures on labelled photos, the GAN's distance and its hash."""
    domain, config = gan.domain, pretrained_config(gan.domain, draw, student="lite0")
    about = {
        "domain": domain.key, "way": gan.way, "kimg": kimg, "draw": draw, "labels": NUM_LABELS, "pairs": NUM_PAIRS,
        "train": asdict(config), "start": sha256_file(start) if (start := STARTS[gan.way]) else None,
    }  # fmt: skip

    def compute() -> dict[str, Any]:
        figures = figures_of_student(gan, gan.checkpoint(kimg), draw, data)
        return {**figures, "distance": gan.distance(kimg)}

    return cell("gan_start", about, compute)["figures"]


def figures_of_student(gan: Training, checkpoint: Path, draw: int, data: Path) -> dict[str, Any]:
    """Of a student of a checkpoint's samples, on labelled photos; and the checkpoint's hash."""
    domain, config = gan.domain, pretrained_config(gan.domain, draw, student="lite0")
    samples = samples_of(domain, checkpoint, data)
    net = distilled(samples, PairsConfig(count=NUM_PAIRS), config, NUM_LABELS, draw, None)
    return {**judged(net, domain.split(draw, 5)[1], SIDE, domain.classes), "gan_sha256": samples.gan_sha256}


TEXT = """# What a GAN begins with on a CPU

GANs of 64 px that began with networks that know nothing, and with the toy faces that come with gseg, as
`gseg gan-train` on a CPU does by itself; all with StyleGAN2's discriminator alone. Networks are of the same size,
1024 / r channels, so a thousand images (kimg) take equally long.

Students are `lite0` of {labels} labelled samples and {pairs} pairs, {steps} steps, without a second opinion
(`--labels soft --annotated 0.25`); an annotator labels the samples (see the command). Mean IoU on nine portraits of
FASSEG V2 and on 500 game characters, which neither GAN nor student saw; in brackets the GAN's sliced Wasserstein
distance to held-out photos, times 1000. One GAN each; draws of annotated samples: {draws}.

Made by `python -m benchmarks.gan_start DATA --draws {draws}`,
commit {commit}, {date}, {hardware}.

| photos | begins with | {heads} |
|---|---|{line}
{table}

{notes}
"""


def row(gan: Gan, draws: int, data: Path) -> str:
    fields = []
    for kimg in KIMG:
        cells = [judge(gan, kimg, draw, data) for draw in range(draws)]
        distance = mean(one["distance"] for one in cells)
        fields.append(f"{spread([one['miou'] for one in cells])} ({distance:.1f})")
    return f"| {gan.domain.title} | {gan.way} | {' | '.join(fields)} |"


def picture(gans: list[Gan], path: Path) -> None:
    """A column of samples, of the same seeds, for each beginning and number of images, if all GANs are there."""
    columns = list(product(STARTS, KIMG))
    kept = {(gan.way, kimg, gan.domain.name): gan.kept(kimg) for gan, kimg in product(gans, KIMG)}
    if not all(path.is_file() for path in kept.values()):
        return
    shown = [[pixels for name in PHOTOS for pixels in shown_samples(kept[way, kimg, name])] for way, kimg in columns]
    titles = [f"{way}, {kimg}" for way, kimg in columns]
    sheet = contact_sheet(list(zip(*shown, strict=True)), 96, titles)
    Image.fromarray(sheet).save(path, quality=90)


def shown_samples(checkpoint: Path) -> list[Pixels]:
    generator = load_generator(checkpoint)
    return list(to_uint8(generator.synthesis(ws_for_seeds(generator, SHOWN, Recipe.truncation_psi))).numpy())


def page(gans: list[Gan], draws: int, data: Path) -> str:
    table = "\n".join(row(gan, draws, data) for gan in gans)
    return TEXT.format(
        **made(), table=table, notes=NOTES.read_text(encoding="utf-8").strip(),
        labels=NUM_LABELS, pairs=NUM_PAIRS, steps=PRETRAINED_STEPS, draws=draws,
        heads=" | ".join(f"{kimg} kimg" for kimg in KIMG), line="---:|" * len(KIMG),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--draws", type=int, default=1)
    parser.add_argument("--work", type=Path, default=Path("build/gan_start"))
    args = parser.parse_args()
    keep_freed_memory()
    domains = (faces(args.data), game_characters(args.data))
    gans = [
        Gan(domain, way, args.data / PHOTOS[domain.name], args.work / f"{domain.name}-{way.replace(' ', '-')}")
        for domain, way in product(domains, STARTS)
    ]
    text = page(gans, args.draws, args.data)
    picture(gans, args.work / "samples.jpg")
    write_text(ROOT / "gan_start.md", text)
    print(text)


if __name__ == "__main__":
    main()
