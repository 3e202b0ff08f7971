"""What a GAN should learn from: StyleGAN2's discriminator, or Projected GAN's on pretrained features.

    python -m benchmarks.discriminators DATA [--minutes 30 60 120] [--sprite-minutes 30] [--draws 2]
        [--work build/discriminators]

DATA as for pretrained.py. GANs of face photographs and of game characters, all begun with the toy faces that come with
gseg, one thread each, are looked at after equally many minutes: by the mean IoU of students of ten of their samples on
labelled photos, as in gan_start.py, and by eye. Run it alone: minutes are those of a clock. Rows of other processors
stay, from their cells. What is seen is written down in discriminators_notes.md. Writes discriminators.md, and
WORK/samples.jpg: samples of photographs of people that are for research only stay out of the repository.
"""

import argparse
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise, product, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.cells import CELLS, ROOT, cell, hardware, made
from benchmarks.gan_start import CPU, NUM_LABELS, NUM_PAIRS, PHOTOS, STARTS, Training, figures_of_student, shown_samples
from benchmarks.pretrained import Domain, Setting, faces, game_characters, spread
from gseg_cli.checkpoint import read_meta
from gseg_cli.distill.config import PRETRAINED_STEPS
from gseg_cli.gan.training.stage import run_or_resume_gan_train
from gseg_cli.memory import keep_freed_memory
from gseg_cli.progress import progress
from gseg_runtime.files import read_json, write_text
from gseg_runtime.label_map import contact_sheet

NOTES = ROOT / "discriminators_notes.md"
WHITE = np.full((64, 64, 3), 255, np.uint8)
WAYS = {"StyleGAN2's": "stylegan2", "Projected GAN's": "projected"}
# With no R1, StyleGAN2's never takes over.
ALONE: dict[str, dict[str, Any]] = {"stylegan2": {}, "projected": {"r1_gamma": 0.0, "augment": "none"}}


@dataclass(frozen=True)
class TimedGan(Training):
    """A way of `WAYS`, looked at after these minutes of a clock, ascending."""

    minutes: tuple[float, ...]

    def kept(self, minutes: float) -> Path:
        return self.runs / f"{minutes:g}.safetensors"

    def checkpoint(self, minutes: float) -> Path:
        """As it is then. All are made at once: of an interrupted training nobody knows how long it took."""
        if not self.kept(minutes).is_file():
            for before, until in pairwise((0.0, *self.minutes)):
                shutil.copyfile(self._train(until - before, resume=before > 0), self.kept(until))
        return self.kept(minutes)

    def _train(self, minutes: float, *, resume: bool) -> Path:
        """resume: go on with the newest run; otherwise begin another."""
        kind = WAYS[self.way]
        new = {} if resume else {"resolution": 64, "seed": 1, "discriminator": kind, **ALONE[kind]}
        with progress(f"{self.domain.title}, {self.way}", "images") as on_step:
            done = run_or_resume_gan_train(
                self.photos, {"kimg": 1000.0, "snapshot_minutes": 1000.0, **new}, self.runs, CPU, resume=resume,
                init_from=None if resume else STARTS["toy faces"], minutes=minutes, on_step=on_step,
            )  # fmt: skip
        return done.checkpoint


def judge(setting: Setting, gan: TimedGan, minutes: float, draw: int, data: Path) -> dict[str, Any]:
    """The cell of a student: its figures on labelled photos, the GAN's distance, kimg and hash."""
    about = {
        "domain": gan.domain.key, "way": gan.way, "minutes": minutes, "draw": draw, "labels": NUM_LABELS,
        "pairs": NUM_PAIRS, "train": asdict(setting.config(gan.domain, draw, student="lite0")), "on": hardware(),
    }  # fmt: skip

    def compute() -> dict[str, Any]:
        checkpoint = gan.checkpoint(minutes)
        meta = read_meta(checkpoint)
        seen = {"kimg": meta["num_images"] / 1000, "distance": meta["figures"]["swd"]}
        return {**figures_of_student(setting, gan, checkpoint, draw, data), **seen}

    return cell("discriminators", about, compute)


TEXT = """# Which discriminator

GANs of 64 px and 1024 / r channels, all begun with toy faces, with StyleGAN2's discriminator and with that of Projected
GAN (Sauer et al. 2021) on features of EfficientNet-Lite0: `gseg gan-train --discriminator stylegan2` and `projected`.
Each had one core for the minutes above its column; how many images that is depends on processor and discriminator.

Mean IoU of `lite0` students of {labels} labelled samples and {pairs} pairs on nine portraits of FASSEG V2 and on 500
game characters, as in [gan_start.md](gan_start.md); draws of annotated samples: {draws}. In brackets thousands of
images shown, and the sliced Wasserstein distance to held-out photos, times 1000.

Made by `python -m benchmarks.discriminators DATA --minutes {given} --sprite-minutes{sprites} --draws {draws}`,
commit {commit}, {date}, {hardware}.

| photos | discriminator | processor | {heads} |
|---|---|---|{line}
{rows}

{notes}
"""


Row = tuple[str, str, str]  # key of the domain, way, processor


def cells_of(setting: Setting, gans: list[TimedGan], draws: int, data: Path) -> dict[Row, dict[float, list[Any]]]:
    """The cells of each row by minutes: those of these GANs, and of others that were trained on other processors."""
    code = ""
    found: dict[Row, dict[float, list[Any]]] = {}
    for gan in gans:
        for minutes, draw in product(gan.minutes, range(draws)):
            one = judge(setting, gan, minutes, draw, data)
            code = one["code"]
            found.setdefault(row_of(one), {}).setdefault(minutes, []).append(one)
    for path in sorted(CELLS.glob("discriminators-*.json")):
        one = read_json(path)
        if one["code"] == code and one["config"]["on"] != hardware():
            found.setdefault(row_of(one), {}).setdefault(one["config"]["minutes"], []).append(one)
    return found


def row_of(one: dict[str, Any]) -> Row:
    return one["config"]["domain"], one["config"]["way"], one["config"]["on"]


def rows(domains: Sequence[Domain], found: dict[Row, dict[float, list[Any]]], columns: list[float]) -> Iterator[str]:
    places = {(domain.key, way): (domain.title, way) for domain in domains for way in WAYS}
    for row in sorted(found, key=lambda row: (list(places).index(row[:2]), row[2])):
        fields = [field(found[row][minutes]) if minutes in found[row] else "" for minutes in columns]
        title, way = places[row[:2]]
        yield f"| {title} | {way} | {row[2].split(', ')[1]} | {' | '.join(fields)} |"


def field(cells: list[Any]) -> str:
    figures = [one["figures"] for one in cells]
    about = f"({figures[0]['kimg']:.0f}, {figures[0]['distance']:.1f})"
    return f"{spread([one['miou'] for one in figures])} {about}"


def picture(gans: list[TimedGan], path: Path) -> None:
    """A column of samples for each way and time, of all photos that were looked at then."""
    columns = {
        f"{way}, {minutes:g}": [
            pixels for gan in gans if gan.way == way and minutes in gan.minutes
            for pixels in shown_samples(gan.checkpoint(minutes))
        ]
        for way in WAYS
        for minutes in all_minutes(gans)
    }  # fmt: skip
    sheet = contact_sheet(list(zip_longest(*columns.values(), fillvalue=WHITE)), 96, list(columns))
    Image.fromarray(sheet).save(path, quality=90)


def all_minutes(gans: list[TimedGan]) -> list[float]:
    return sorted({minutes for gan in gans for minutes in gan.minutes})


def listed(minutes: list[float]) -> str:
    return " ".join(f"{one:g}" for one in minutes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--minutes", type=float, nargs="*", default=[30.0, 60.0, 120.0], help="for portraits")
    parser.add_argument("--sprite-minutes", type=float, nargs="*", default=[30.0])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("build/discriminators"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    domains = (faces(args.data), game_characters(args.data))
    setting = Setting(domains, {}, 0, PRETRAINED_STEPS, NUM_PAIRS)
    gans = [
        TimedGan(domain, way, args.data / PHOTOS[domain.name], args.work / f"{domain.name}-{WAYS[way]}", tuple(minutes))
        for domain, minutes in zip(domains, (args.minutes, args.sprite_minutes), strict=True)
        for way in WAYS
    ]
    found = cells_of(setting, gans, args.draws, args.data)
    columns = sorted({minutes for cells in found.values() for minutes in cells})
    table = list(rows(domains, found, columns))
    picture(gans, args.work / "samples.jpg")
    text = TEXT.format(
        **made(), labels=NUM_LABELS, pairs=NUM_PAIRS, draws=args.draws, rows="\n".join(table),
        given=listed(args.minutes), sprites="".join(f" {one:g}" for one in args.sprite_minutes),
        heads=" | ".join(f"{minutes:g} min" for minutes in columns), line="---:|" * len(columns),
        notes=NOTES.read_text(encoding="utf-8").strip(),
    )  # fmt: skip
    write_text(ROOT / "discriminators.md", text)
    print(text)


if __name__ == "__main__":
    main()
