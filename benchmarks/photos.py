"""The flow on real photographs: a GAN of faces, one and all of a few label maps, and portraits labelled by hand.

    python -m benchmarks.photos PHOTOS --gan CHECKPOINT --label-maps DIR --out DIR

PHOTOS holds fasseg_dev/images and fasseg_dev/masks; DIR of the label maps holds PNGs drawn on samples, named by seed.
Writes photos.md. Everything that shows a face, contact sheets too, goes to DIR of --out alone.
"""

import argparse
import hashlib
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.align import SIZE, align_folder, read_labelled
from benchmarks.cells import ROOT, cell
from gseg_cli.checkpoint import read_meta
from gseg_cli.device import pick_device
from gseg_cli.distill.augment import find_geometry
from gseg_cli.distill.distill import PairsConfig, StudentConfig
from gseg_cli.distill.train import DistillConfig
from gseg_cli.evaluate.compare import compare_folders
from gseg_cli.gan.train import GanTrainConfig
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe, run_recipe
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.files import claim_folder, finish_folder, sha256_file, write_json
from gseg_runtime.label_map import colorize, contact_sheet, overlay, read_label_png

CODE = (
    "gseg_cli.recipe", "gseg_cli.gan.stylegan2", "gseg_cli.gan.ops", "gseg_cli.gan.sample", "gseg_cli.fewshot",
    "gseg_cli.distill", "gseg_runtime.geometry", "gseg_runtime.metrics",
)  # fmt: skip
COLORS = {
    "background": (0, 0, 0),
    "skin": (230, 190, 160),
    "hair": (110, 70, 40),
    "eyes": (40, 90, 220),
    "nose": (60, 200, 200),
    "mouth": (210, 50, 60),
}
CLASSES = ClassMap(tuple(COLORS), tuple(COLORS.values()))
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


def measure(framing: str, recipe: Recipe, out: Path) -> dict[str, Any]:
    """The cell of one student, on the portraits in out/FRAMING; its project stays in out/NUMBER-FRAMING."""
    data, folder = out / framing, out / f"{len(recipe.label_maps)}-{framing}"
    config = {
        "framing": framing,
        "annotations": len(recipe.label_maps),
        "label_maps": digest(recipe.label_maps),
        "portraits": digest([*(data / "images").iterdir(), *(data / "masks").iterdir()]),
        "truncation_psi": recipe.truncation_psi,
        "fewshot": asdict(recipe.fewshot),
        "student": asdict(recipe.student),
    }

    def compute() -> dict[str, Any]:
        claim_folder(folder, "a project", overwrite=True)
        outcome = run_recipe(recipe, folder / "project", pick_device(), progress)
        compared = compare_folders(outcome.masks, data / "masks", CLASSES).to_json()
        write_sheet(data, outcome.masks, folder / "contact-sheet.png")
        _finish(folder, {**config, "figures": compared})
        return {**compared, "held_out_miou": outcome.quality["held_out_miou"]}

    return cell("photos", config, CODE, compute, gan=sha256_file(Path(recipe.gan)))


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

A GAN trained on {num_photos} face photographs, label maps drawn on its samples by looking at them, and the student's
masks of {num_portraits} portraits labelled by hand, which no training saw. Intersection over union from one confusion
matrix over all portraits, background included.

- aligned: portraits warped by a similarity transform so that eyes and mouth come to the GAN's places, at {size} px;
  these landmarks end up {error:.2f} px off on average, {max_error:.2f} px at most. {outside:.0%} of the frames lies
  beside the portraits: grey for the student, and not counted. Student trained with `--geometry aligned`.
- raw: portraits as they are, through `gseg segment` and compared at their own size; student trained with
  `--geometry paper`.

Made by `python -m benchmarks.photos PHOTOS --gan CHECKPOINT --label-maps DIR --out DIR`.

GAN {gan}: {kind}, {resolution} px, {kimg:.0f} kimg shown, made by
`gseg gan-train PHOTOS/celeba_10k.zip --crop 12,28,76,92{flags}`.
Label maps: on samples of truncation_psi {truncation_psi:g}. Teachers: {model}, {teacher_steps} steps. Students:
{steps} steps on {pairs} pairs.

{table}

Seconds are those of the whole flow, from samples to figures. "Against teacher" is the student's mean IoU against its
own teacher, on samples that neither was trained on.

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


def page(cells: Sequence[dict[str, Any]], gan: Path, alignment: dict[str, Any]) -> str:
    """photos.md. alignment: what `prepare` returned."""
    meta, config = read_meta(gan), cells[0]["config"]
    trained, fewshot, student = meta["trained"], config["fewshot"], config["student"]
    return TEXT.format(
        **alignment,
        gan=cells[0]["gan_sha256"][:12], kind=meta["kind"], kimg=meta["num_images"] / 1000, size=SIZE,
        num_photos=trained["num_photos"], resolution=trained["resolution"], flags=gan_flags(trained),
        truncation_psi=config["truncation_psi"], model=fewshot["model"], teacher_steps=fewshot["steps"],
        steps=student["train"]["steps"], pairs=student["pairs"]["count"], table=table(cells),
        notes=NOTES.read_text().strip(),
    )  # fmt: skip


def gan_flags(trained: Mapping[str, Any]) -> str:
    """The options of `gseg gan-train` that were not left at their defaults."""
    defaults = asdict(GanTrainConfig())
    names = ("arch", "resolution", "kimg", "batch", "lr", "r1_gamma", "precision", "seed")
    changed = [(name, trained[name]) for name in names if trained[name] != defaults[name]]
    return "".join(
        f" --{name.replace('_', '-')} {value if isinstance(value, str) else f'{value:g}'}" for name, value in changed
    )


def table(cells: Sequence[dict[str, Any]]) -> str:
    """One row per student."""
    names = ["mean", *CLASSES.names, "seconds", "against teacher"]
    lines = [
        f"| annotations | portraits | {' | '.join(names)} | commit | date | hardware |",
        f"|---:|---|{'---:|' * len(names)}---|---|---|",
    ]
    for row in cells:
        figures, config = row["figures"], row["config"]
        iou = [figures["mean_iou"], *figures["per_class_iou"].values()]
        shown = [*("-" if value is None else f"{value:.3f}" for value in iou), f"{row['seconds']:.0f}"]
        about = [f"{figures['held_out_miou']:.3f}", row["commit"], row["date"], row["hardware"]]
        lines.append(f"| {' | '.join([str(config['annotations']), config['framing'], *shown, *about])} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS")
    parser.add_argument("--gan", type=Path, required=True, metavar="CHECKPOINT")
    parser.add_argument("--label-maps", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--truncation-psi", type=float, default=0.7, help="of the samples the label maps were drawn on")
    parser.add_argument("--steps", type=int, default=DistillConfig().steps, help="of each student")
    parser.add_argument("--pairs", type=int, default=PairsConfig().count, help="for each student")
    args = parser.parse_args()
    maps = sorted(args.label_maps.glob("*.png"), key=lambda path: int(path.stem))
    if not maps:
        parser.error(f"{args.label_maps}: no label map (PNG)")
    alignment = prepare(args.photos, args.out)
    cells = []
    for count in sorted({1, len(maps)}):
        for framing, geometry in GEOMETRY.items():
            train = DistillConfig(steps=args.steps, augment=find_geometry(geometry))
            student = StudentConfig(pairs=PairsConfig(count=args.pairs), train=train)
            recipe = Recipe(
                gan=str(args.gan), label_maps=maps[:count], classes=CLASSES, photos=args.out / framing / "images",
                truncation_psi=args.truncation_psi, student=student,
            )  # fmt: skip
            cells.append(measure(framing, recipe, args.out))
    PAGE.write_text(page(cells, args.gan, alignment))
    print(table(cells))


if __name__ == "__main__":
    main()
