"""How a GAN on a CPU should be trained: by which discriminator, begun with what, and how wide.

    python -m benchmarks.discriminators DATA [--minutes 30 60 120] [--sprite-minutes 40 60 120] [--draws 2]
        [--work build/discriminators]

DATA as for pretrained.py. GANs of face photographs and of game characters, one thread each, are looked at after equally
many minutes of CPU time: by the mean IoU of students of ten of their samples on labelled photos, as in gan_start.py,
and by eye. No minutes, no GANs: rows that are not asked for, and those of other processors, stay, from their cells.
What is seen is written down in discriminators_notes.md. Writes discriminators.md, and WORK/samples.jpg: samples of
photographs of people that are for research only stay out of the repository.
"""

import argparse
import filecmp
import math
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from benchmarks.cells import CELLS, ROOT, cell, hardware, made
from benchmarks.gan_start import CPU, NUM_LABELS, PHOTOS, STARTS, Training, figures_of_student, shown_samples
from benchmarks.pretrained import NUM_PAIRS, Domain, faces, game_characters, pretrained_config, spread
from gseg_cli.checkpoint import read_meta
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.stage import newest_run, run_or_resume_gan_train
from gseg_cli.interruption import Interrupted
from gseg_cli.memory import keep_freed_memory
from gseg_cli.progress import progress
from gseg_cli.steps import Step
from gseg_runtime.files import read_json, write_text
from gseg_runtime.label_map import contact_sheet

NOTES = ROOT / "discriminators_notes.md"
WIDE = 2048
TOY_FACES = STARTS["toy faces"]


@dataclass(frozen=True)
class Way:
    """title: as the page calls it. given: options of gan-train; start: what it goes on from. most: minutes, after which
    nobody looks at it again.
    """

    title: str
    given: dict[str, Any]
    start: Path | None = TOY_FACES
    most: float = math.inf


def anew(channel_base: int, most: float = math.inf) -> Way:
    given = {"discriminator": "stylegan2", "channel_base": channel_base}
    return Way(f"StyleGAN2's, begun anew, {channel_base} / r channels", given, None, most)


# With no R1, StyleGAN2's never takes over.
WAYS = {
    "stylegan2": Way("StyleGAN2's", {"discriminator": "stylegan2"}),
    "projected": Way("Projected GAN's", {"discriminator": "projected", "r1_gamma": 0.0, "augment": "none"}),
    "usual": Way("Projected GAN's, then StyleGAN2's", {"discriminator": "projected"}),
    "anew": anew(GanTrainConfig.channel_base),
    "wide": anew(WIDE, most=40.0),
}
# Of faces nothing takes over, so that "usual" is "projected".
COMPARED = {
    "faces": ("stylegan2", "projected", "anew", "wide"),
    "sprites": ("stylegan2", "usual", "anew", "wide"),
}  # fmt: skip


@dataclass(frozen=True)
class TimedGan(Training):
    """A way of `WAYS`, looked at after these minutes of one core, ascending."""

    minutes: tuple[float, ...]

    def kept(self, minutes: float) -> Path:
        return self.runs / f"{minutes:g}.safetensors"

    def checkpoint(self, minutes: float) -> Path:
        """As it is then. Trained on from the last look, or anew when it was interrupted since: nobody knows how long
        that took.
        """
        if not self.kept(minutes).is_file():
            looked = max((one for one in self.minutes if self._is_newest(one)), default=0.0)
            for before, until in pairwise((looked, *(one for one in self.minutes if one > looked))):
                self._train(until - before, resume=before > 0)
                shutil.copyfile(newest_run(self.runs).checkpoint, self.kept(until))
        return self.kept(minutes)

    def _is_newest(self, minutes: float) -> bool:
        kept = self.kept(minutes)
        return kept.is_file() and filecmp.cmp(kept, newest_run(self.runs).checkpoint, shallow=False)

    def _train(self, minutes: float, *, resume: bool) -> None:
        """resume: go on with the newest run; otherwise begin another. Other programs do not take from the minutes."""
        way = WAYS[self.way]
        new = {} if resume else {"resolution": 64, "seed": 1, **way.given}
        until_s = time.process_time() + minutes * 60

        def stop_in_time(step: Step) -> None:
            on_step(step)
            if time.process_time() > until_s:
                signal.raise_signal(signal.SIGTERM)  # SIGINT is ignored under nohup

        with progress(f"{self.domain.title}, {way.title}", "images") as on_step, suppress(Interrupted):
            run_or_resume_gan_train(
                self.photos, {"kimg": 1000.0, "snapshot_minutes": 1000.0, **new}, self.runs, CPU, resume=resume,
                init_from=None if resume else way.start, on_step=stop_in_time,
            )  # fmt: skip


def judge(gan: TimedGan, minutes: float, draw: int, data: Path) -> dict[str, Any]:
    """The cell of a student: its figures on labelled photos, the GAN's distance, kimg and hash."""
    about = {
        "domain": gan.domain.key, "way": WAYS[gan.way].title, "minutes": minutes, "draw": draw, "labels": NUM_LABELS,
        "pairs": NUM_PAIRS, "train": asdict(pretrained_config(gan.domain, draw, student="lite0")), "on": hardware(),
    }  # fmt: skip

    def compute() -> dict[str, Any]:
        checkpoint = gan.checkpoint(minutes)
        meta = read_meta(checkpoint)
        seen = {"kimg": meta["num_images"] / 1000, "distance": meta["figures"]["swd"]}
        return {**figures_of_student(gan, checkpoint, draw, data), **seen}

    return cell("discriminators", about, compute)


TEXT = """# How to train a GAN on a CPU

GANs of 64 px that learn from StyleGAN2's discriminator, or from that of Projected GAN (Sauer et al. 2021) on features
of EfficientNet-Lite0. They go on from the toy faces that come with gseg, of 1024 / r channels, where no other beginning
stands. `gseg gan-train` does by itself what is called "Projected GAN's" of portraits, and of game characters "Projected
GAN's, then StyleGAN2's". Each GAN had one core for the minutes above its column; how many images that is depends on
processor and way.

Mean IoU of `lite0` students of {labels} labelled samples and {pairs} pairs on nine portraits of FASSEG V2 and on 500
game characters, as in [gan_start.md](gan_start.md); draws of annotated samples: {draws}, if no more are said. In
brackets thousands of images shown, and the sliced Wasserstein distance to held-out photos, times 1000.

Made by `python -m benchmarks.discriminators DATA`,
commit {commit}, {date}, {hardware}.

| photos | discriminator | processor | {heads} |
|---|---|---|{line}
{rows}

{notes}
"""


Row = tuple[str, str, str]  # key of the domain, title of the way, processor


def cells_of(gans: list[TimedGan], draws: int, data: Path) -> dict[Row, dict[float, list[Any]]]:
    """The cells of each row by minutes: those of these GANs, and all that were computed before by the same code."""
    codes = {
        judge(gan, minutes, draw, data)["code"]
        for gan in gans for minutes in gan.minutes for draw in range(draws)
    }  # fmt: skip
    found: dict[Row, dict[float, list[Any]]] = {}
    for path in sorted(CELLS.glob("discriminators-*.json")):
        one = read_json(path)
        if one["code"] in codes:
            about = one["config"]
            row = about["domain"], about["way"], about["on"]
            found.setdefault(row, {}).setdefault(about["minutes"], []).append(one)
    return found


def rows(domains: Sequence[Domain], found: dict[Row, dict[float, list[Any]]], columns: list[float]) -> Iterator[str]:
    titles = {domain.key: domain.title for domain in domains}
    places = list(product(titles, (way.title for way in WAYS.values())))
    for row in sorted(found, key=lambda row: (places.index(row[:2]), row[2])):
        fields = [field(found[row][minutes]) if minutes in found[row] else "" for minutes in columns]
        yield f"| {titles[row[0]]} | {row[1]} | {row[2].split(', ')[1]} | {' | '.join(fields)} |"


def field(cells: list[Any]) -> str:
    figures = [one["figures"] for one in cells]
    draws = f", {len(cells)} draws" if len(cells) > 2 else ""
    about = f"({figures[0]['kimg']:.0f}, {figures[0]['distance']:.1f}{draws})"
    return f"{spread([one['miou'] for one in figures])} {about}"


def picture(gans: list[TimedGan], path: Path) -> None:
    """A column of samples for each GAN and time."""
    looks = [(gan, minutes) for gan in gans for minutes in gan.minutes]
    columns = [shown_samples(gan.checkpoint(minutes)) for gan, minutes in looks]
    sheet = contact_sheet(list(zip(*columns, strict=True)), 96, [f"{gan.way}, {minutes:g}" for gan, minutes in looks])
    Image.fromarray(sheet).save(path, quality=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--minutes", type=float, nargs="*", default=[30.0, 60.0, 120.0], help="for portraits")
    parser.add_argument("--sprite-minutes", type=float, nargs="*", default=[40.0, 60.0, 120.0])
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--work", type=Path, default=Path("build/discriminators"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    domains = (faces(args.data), game_characters(args.data))
    gans = []
    for domain, minutes in zip(domains, (args.minutes, args.sprite_minutes), strict=True):
        for way in COMPARED[domain.name]:
            runs, looks = args.work / f"{domain.name}-{way}", tuple(m for m in minutes if m <= WAYS[way].most)
            gans.append(TimedGan(domain, way, args.data / PHOTOS[domain.name], runs, looks))
    found = cells_of(gans, args.draws, args.data)
    columns = sorted({minutes for cells in found.values() for minutes in cells})
    table = list(rows(domains, found, columns))
    picture(gans, args.work / "samples.jpg")
    text = TEXT.format(
        **made(), labels=NUM_LABELS, pairs=NUM_PAIRS, draws=args.draws, rows="\n".join(table),
        heads=" | ".join(f"{minutes:g} min" for minutes in columns), line="---:|" * len(columns),
        notes=NOTES.read_text(encoding="utf-8").strip(),
    )  # fmt: skip
    write_text(ROOT / "discriminators.md", text)
    print(text)


if __name__ == "__main__":
    main()
