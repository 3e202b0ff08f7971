"""The flow on real photographs: a GAN of faces, few label maps, and portraits labelled by hand to measure on.

    python -m benchmarks.photos PHOTOS --gan CHECKPOINT --label-maps DIR --out DIR [--draws 3]

PHOTOS holds fasseg_dev/images and fasseg_dev/masks; DIR of the label maps holds PNGs drawn on samples, named by seed.
Auto-shot from one and from all of the label maps, and the same network on one and as many labelled portraits. In each
draw other portraits are held out. Every training is a cell; writes photos.md. Whatever shows a face, contact sheets
too, goes to DIR of --out alone.
"""

import argparse
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.align import SIZE, align_folder, read_labelled
from benchmarks.cells import ROOT, cell, made
from gseg_cli.checkpoint import read_meta
from gseg_cli.device import pick_device
from gseg_cli.distill.config import DistillConfig, PairsConfig, StudentConfig, find_geometry
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.student import load_student
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.gan.framing import frame_labels
from gseg_cli.progress import progress
from gseg_cli.recipe import Outcome, Recipe, run_recipe
from gseg_cli.reproduce.scoring import score_unet
from gseg_cli.reproduce.subject import Photo, ScoredPhotos, Task
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.files import claim_folder, finish_folder, sha256_file, write_json, write_text
from gseg_runtime.label_map import colorize, contact_sheet, overlay, read_label_png

COLORS = {
    "background": (0, 0, 0),
    "skin": (230, 190, 160),
    "hair": (110, 70, 40),
    "eyes": (40, 90, 220),
    "nose": (60, 200, 200),
    "mouth": (210, 50, 60),
}
CLASSES = ClassMap(tuple(COLORS), tuple(COLORS.values()))
TASK = Task("6 classes", CLASSES)
GEOMETRY = {"aligned": "aligned", "raw": "paper"}  # of the student, by how the portraits are framed
NOTES = ROOT / "photos_notes.md"
PAGE = ROOT / "photos.md"


def prepare(photos: Path, out: Path) -> dict[str, Any]:
    """Write out/aligned and out/raw, each with images and masks; facts about the alignment."""
    images, masks = photos / "fasseg_dev" / "images", photos / "fasseg_dev" / "masks"
    for framing in GEOMETRY:
        claim_folder(out / framing, "portraits", overwrite=True)
    errors = align_folder(images, masks, out / "aligned", CLASSES)
    for path in (*images.iterdir(), *masks.iterdir()):
        copy = out / "raw" / path.parent.name / path.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
    for framing in GEOMETRY:
        _finish(out / framing, {"framing": framing})
    aligned = [read_label_png(path) for path in (out / "aligned" / "masks").iterdir()]
    outside = float(np.mean([labels == IGNORE for labels in aligned]))
    return {
        "num_portraits": len(aligned),
        "error": float(np.mean(errors)),
        "max_error": max(errors),
        "outside": outside,
    }


@dataclass(frozen=True)
class Setting:
    """label_maps: on samples of truncation_psi. steps, pairs: of every student."""

    gan: Path
    label_maps: tuple[Path, ...]
    out: Path
    draws: int
    truncation_psi: float
    steps: int
    pairs: int

    @property
    def counts(self) -> list[int]:
        """Of labels to learn from."""
        return sorted({1, len(self.label_maps)})

    @cached_property
    def stems(self) -> list[str]:
        return sorted(path.stem for path in (self.out / "raw" / "masks").iterdir())

    def split(self, draw: int) -> tuple[list[str], list[str]]:
        """Portraits to learn from, as many as there are label maps, and those held out."""
        order = np.random.RandomState(draw).permutation(self.stems).tolist()
        return order[: len(self.label_maps)], order[len(self.label_maps) :]

    def train(self, framing: str, draw: int) -> DistillConfig:
        return DistillConfig(steps=self.steps, augment=find_geometry(GEOMETRY[framing]), seed=draw)


def portraits(folder: Path, stems: Iterable[str]) -> ScoredPhotos:
    """Those of folder/images and folder/masks with these names."""
    chosen = sorted(stems)

    def read(task: Task) -> Iterator[Photo]:
        for path, photo, labels in read_labelled(folder / "images", folder / "masks", task.classes):
            if path.stem in chosen:
                yield Photo.of(photo, labels, SIZE)

    masks = [folder / "masks" / f"{stem}.png" for stem in chosen]
    return ScoredPhotos("portraits", {"portraits": digest(masks)}, len(chosen), read)


def autoshot(s: Setting, framing: str, count: int, draw: int) -> dict[str, Any]:
    """The cell of a student that learned from so many label maps, scored on the portraits held out.

    Its project and contact sheet stay in out/COUNT-FRAMING-DRAW. A single label map is another one in each draw.
    """
    maps = s.label_maps if count > 1 else (s.label_maps[draw % len(s.label_maps)],)
    held_out, folder = portraits(s.out / framing, s.split(draw)[1]), s.out / f"{count}-{framing}-{draw}"
    recipe = Recipe(
        gan=str(s.gan), label_maps=maps, classes=CLASSES, photos=s.out / framing / "images",
        truncation_psi=s.truncation_psi, fewshot=FewshotConfig(seed=draw),
        student=StudentConfig(pairs=PairsConfig(count=s.pairs), train=s.train(framing, draw)),
    )  # fmt: skip
    config = {
        "framing": framing, "label_maps": digest(maps), **held_out.key, "truncation_psi": s.truncation_psi,
        "fewshot": asdict(recipe.fewshot), "student": asdict(recipe.student),
    }  # fmt: skip

    def compute() -> dict[str, Any]:
        outcome = draw_masks(recipe, s.out / framing, folder, config)
        score = score_unet(load_student(outcome.student.checkpoint)[0], held_out, TASK)
        return {**score, "held_out_miou": outcome.student.held_out_miou}

    return cell("photos", config, compute, gan=sha256_file(s.gan))


def draw_masks(recipe: Recipe, data: Path, folder: Path, config: Mapping[str, Any]) -> Outcome:
    """Run the flow in folder/project, and draw a sheet of all portraits with their masks."""
    claim_folder(folder, "a project", overwrite=True)
    outcome = run_recipe(recipe, folder / "project", pick_device(), progress)
    write_sheet(data, outcome.masks, folder / "contact-sheet.png")
    _finish(folder, dict(config))
    return outcome


def supervised(s: Setting, framing: str, count: int, draw: int) -> dict[str, Any]:
    """The cell of the same network, trained as a student on so many labelled portraits."""
    labelled, held_out = s.split(draw)
    own, others = (portraits(s.out / framing, stems) for stems in (labelled[:count], held_out))
    train = s.train(framing, draw)
    config = {"framing": framing, "labelled": own.key, **others.key, "train": asdict(train)}

    def compute() -> dict[str, Any]:
        photos = list(own.read(TASK))
        labels = np.stack([frame_labels(photo.truth, photo.framing) for photo in photos])
        pairs = PairSet.exact(np.stack([photo.square for photo in photos]), labels)
        with progress(f"{count} portraits, {framing}, draw {draw}", "steps") as on_step:
            net = fit_student(pairs, CLASSES, train, pick_device(), on_step=on_step)
        return score_unet(net, others, TASK)

    return cell("photos-supervised", config, compute)


def digest(paths: Iterable[Path]) -> str:
    """A short hash of files' names and contents."""
    lines = sorted(f"{path.name} {sha256_file(path)}" for path in paths)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def write_sheet(data: Path, masks: Path, path: Path) -> None:
    """Portrait, truth, mask and overlay of each, two to a row."""
    cells = []
    for source, photo, truth in read_labelled(data / "images", data / "masks", CLASSES):
        labels = read_label_png(masks / f"{source.stem}.png")
        cells += [photo, colorize(truth, CLASSES), colorize(labels, CLASSES), overlay(photo, labels, CLASSES)]
    rows = [cells[i : i + 8] for i in range(0, len(cells), 8)]
    Image.fromarray(contact_sheet(rows, 192, ["portrait", "truth", "mask", "overlay"] * 2)).save(path)


def _finish(folder: Path, config: dict[str, Any]) -> None:
    """config.json says what the folder is, and lets another run replace it."""
    write_json(folder / "config.json", {"format": 1, "kind": "photos", **config})
    finish_folder(folder)


TEXT = """# The flow on real photographs

A GAN trained on {num_photos} face photographs, label maps drawn on its samples by looking at them, and portraits
labelled by hand, which neither GAN nor student was trained on. Auto-shot: the student of one and of {most} label maps
of samples. Supervised: the same network, with the same steps, augmentation and optimiser, on one and {most} of the
portraits. In each of {draws} draws {num_held_out} of the {num_portraits} portraits are held out, others each time, and
both are measured on them: intersection over union from one confusion matrix, background included, mean and standard
deviation over the draws. A draw is also the seed; a single label map is another one in each.

- aligned: portraits warped by a similarity transform so that eyes and mouth come to the GAN's places, at {size} px;
  these landmarks end up {error:.2f} px off on average, {max_error:.2f} px at most. {outside:.0%} of the frames lies
  beside the portraits: grey for the student, and not counted. Trained with `--geometry aligned`.
- raw: portraits as they are, compared at their own size. Trained with `--geometry paper`.

Made by `python -m benchmarks.photos PHOTOS --gan CHECKPOINT --label-maps DIR --out DIR --draws {draws} --steps {steps}
--pairs {pairs}`, commit {commit}, {date}, {hardware}.

GAN {gan}: {kind}, {resolution} px, {kimg:.0f} kimg shown; [gan_photos.md](gan_photos.md) has the command.
Label maps: on samples of truncation_psi {truncation_psi:g}.

| labels | portraits | auto-shot | supervised | difference |
|---:|---|---:|---:|---:|
{table}

By class, mean over the draws:

{per_class}

## What looked wrong

{notes}

## Where such photographs come from

- The GAN's: CelebA (Liu, Luo, Wang and Tang, Deep Learning Face Attributes in the Wild, ICCV 2015), the aligned
  version; its first 10,000 photographs at half size, in one zip. Non-commercial research only.
- The portraits: the training part of FASSEG V2 (Khan, Mauro and Leonardi, Multi-class Semantic Segmentation of Faces,
  ICIP 2015), masks as indexed PNGs of 0 background, 1 skin, 2 hair and brows, 3 eyes, 4 nose, 5 mouth. For research
  that cites the authors.

Neither the photographs, nor pictures made from them, nor the GAN are redistributed here.
"""


def page(s: Setting, alignment: dict[str, Any]) -> str:
    """photos.md. alignment: what `prepare` returned."""
    meta = read_meta(s.gan)
    trained = meta["trained"]
    return TEXT.format(
        **alignment, **made(),
        gan=sha256_file(s.gan)[:12], kind=meta["kind"], kimg=meta["num_images"] / 1000, size=SIZE,
        num_photos=trained["num_photos"], resolution=trained["resolution"],
        truncation_psi=s.truncation_psi, steps=s.steps, pairs=s.pairs, draws=s.draws, most=s.counts[-1],
        num_held_out=len(s.split(0)[1]), table=table(s), per_class=per_class(s), notes=NOTES.read_text().strip(),
    )  # fmt: skip


def spread(values: list[float], sign: str = "") -> str:
    return f"{mean(values):{sign}.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def measured(s: Setting, framing: str, count: int) -> dict[str, list[dict[str, Any]]]:
    """The figures of every draw, by method."""
    methods = {"auto-shot": autoshot, "supervised": supervised}
    return {
        name: [method(s, framing, count, draw)["figures"] for draw in range(s.draws)]
        for name, method in methods.items()
    }


def table(s: Setting) -> str:
    lines = []
    for framing, count in product(GEOMETRY, s.counts):
        ours, theirs = ([f["miou"] for f in draws] for draws in measured(s, framing, count).values())
        gain = [a - b for a, b in zip(ours, theirs, strict=True)]
        lines.append(f"| {count} | {framing} | {spread(ours)} | {spread(theirs)} | {spread(gain, '+')} |")
    return "\n".join(lines)


def per_class(s: Setting) -> str:
    lines = [f"| labels | portraits | | {' | '.join(CLASSES.names)} |", f"|---:|---|---|{'---:|' * len(CLASSES)}"]
    for framing, count in product(GEOMETRY, s.counts):
        for name, draws in measured(s, framing, count).items():
            values = [mean(f["per_class_iou"][c] for f in draws) for c in CLASSES.names]
            lines.append(f"| {count} | {framing} | {name} | {' | '.join(f'{v:.3f}' for v in values)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--gan", type=Path, required=True, metavar="CHECKPOINT")
    parser.add_argument("--label-maps", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--truncation-psi", type=float, default=0.7, help="of the samples the label maps were drawn on")
    parser.add_argument("--steps", type=int, default=DistillConfig().steps, help="of each network")
    parser.add_argument("--pairs", type=int, default=PairsConfig().count, help="for each student")
    args = parser.parse_args()
    maps = tuple(sorted(args.label_maps.glob("*.png"), key=lambda path: int(path.stem)))
    if not maps:
        parser.error(f"{args.label_maps}: no label map (PNG)")
    alignment = prepare(args.photos, args.out)
    setting = Setting(args.gan, maps, args.out, args.draws, args.truncation_psi, args.steps, args.pairs)
    text = page(setting, alignment)
    write_text(PAGE, text)
    print(text)


if __name__ == "__main__":
    main()
