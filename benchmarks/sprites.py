"""The flow on a second domain: game characters of 64 px with exact part maps.

    python -m benchmarks.sprites SPRITES --gan CHECKPOINT [--draws 3]

SPRITES holds train.zip and test.zip, each with images/ and masks/. A network that learned from all exact maps of
train.zip stands in for the person who labels samples of the GAN, as the reference annotator does for toy faces.
Auto-shot from 1, 5 and 10 labelled samples, and the same network on as many labelled sprites. Every training is a cell;
writes sprites.md. Pictures of the sprites go to DIR of --sheet alone.
"""

import argparse
import zipfile
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.cells import ROOT, cell, made
from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.checkpoint import read_meta
from gseg_cli.device import pick_device
from gseg_cli.distill.config import DistillConfig, PairsConfig
from gseg_cli.distill.pairs import PairSet, annotated_pairs
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.stage import choose_pairs, make_training_pairs
from gseg_cli.distill.train import fit_student
from gseg_cli.distill.unet import UNet
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.train import fit_teacher, taught
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import GanModule, load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe
from gseg_runtime.class_map import ClassMap
from gseg_runtime.files import sha256_file, write_text
from gseg_runtime.label_map import colorize, contact_sheet, overlay
from gseg_runtime.metrics import confusion_matrix, iou_per_class, mean_iou

CLASSES = ClassMap.of_names(["background", "skin", "eyes", "hair", "beard", "torso", "legs", "feet", "hat"])
SHOTS, MOST = (1, 5, 10), 10
REFERENCE_STEPS = 2000
BATCH = 64
Figures = dict[str, Any]


def read_sprites(path: Path) -> PairSet:
    """A zip's images and exact maps, in the order of their names."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("images/") and name.endswith(".png"))
        images = [np.asarray(Image.open(BytesIO(archive.read(name))).convert("RGB")) for name in names]
        masks = [np.asarray(Image.open(BytesIO(archive.read(name.replace("images", "masks"))))) for name in names]
    return PairSet.exact(np.stack(images), np.stack(masks))


@dataclass(frozen=True)
class Setting:
    sprites: Path
    gan: Path
    draws: int
    steps: int
    pairs: int

    @cached_property
    def train(self) -> PairSet:
        return read_sprites(self.sprites / "train.zip")

    @cached_property
    def test(self) -> PairSet:
        return read_sprites(self.sprites / "test.zip")

    @cached_property
    def key(self) -> dict[str, str]:
        return {name: sha256_file(self.sprites / f"{name}.zip")[:12] for name in ("train", "test")}

    @cached_property
    def generator(self) -> GanModule:
        return load_generator(self.gan, pick_device())

    @cached_property
    def reference(self) -> UNet:
        """The annotator of samples; it sees every exact map but those that are measured on."""
        return fit(self.train, DistillConfig(steps=REFERENCE_STEPS), "reference annotator")

    def config(self, draw: int) -> DistillConfig:
        return DistillConfig(steps=self.steps, seed=draw)

    @cache  # noqa: B019 (one setting lives as long as the process)
    def annotations(self, draw: int) -> AnnotationSet:
        """Samples as the reference annotator labels them, others in each draw."""
        seeds, psi = tuple(range(MOST * draw, MOST * (draw + 1))), Recipe.truncation_psi
        ws = ws_for_seeds(self.generator, seeds, psi)
        labels = predict_labels(self.reference, to_uint8(self.generator.synthesis(ws)).cpu())
        return AnnotationSet(labels, ws.cpu().numpy(), seeds, CLASSES, sha256_file(self.gan), psi)


def fit(pairs: PairSet, config: DistillConfig, title: str, annotated: PairSet | None = None) -> UNet:
    with progress(title, "steps") as on_step:
        return fit_student(pairs, len(CLASSES), config, pick_device(), annotated=annotated, on_step=on_step)


def judged(net: UNet, on: PairSet) -> Figures:
    matrix = confusion_matrix(predict_labels(net, on.images), on.first.numpy(), len(CLASSES))
    return {
        "miou": mean_iou(matrix),
        "per_class": dict(zip(CLASSES.names, iou_per_class(matrix).tolist(), strict=True)),
    }


def annotator(s: Setting) -> Figures:
    config = {**s.key, "steps": REFERENCE_STEPS}
    return cell("sprites-reference", config, lambda: judged(s.reference, s.test))["figures"]


def autoshot(s: Setting, count: int, draw: int) -> Figures:
    config = {
        **s.key, "count": count, "draw": draw, "pairs": s.pairs, "train": asdict(s.config(draw)),
        "reference_steps": REFERENCE_STEPS,
    }  # fmt: skip
    compute = lambda: judged(student(s, count, draw), s.test)  # noqa: E731
    return cell("sprites", config, compute, gan=sha256_file(s.gan))["figures"]


def student(s: Setting, count: int, draw: int) -> UNet:
    """Taught and distilled as the commands do it, of the first `count` samples of the draw."""
    labelled = s.annotations(draw).rows(range(count))
    teacher = fit_teacher(s.generator, labelled, FewshotConfig(seed=draw))
    with TemporaryDirectory() as folder, progress(f"pairs of {count}", "pairs") as on_step:
        pairs = make_training_pairs(s.generator, teacher, PairsConfig(count=s.pairs), Path(folder) / "pairs", on_step)
    config = s.config(draw)
    annotated = annotated_pairs(s.generator, taught(labelled))
    return fit(choose_pairs(pairs, config), config, f"student of {count}, draw {draw}", annotated)


def supervised(s: Setting, count: int, draw: int) -> Figures:
    """The same network on as many labelled sprites, others in each draw."""
    rows = torch.from_numpy(np.random.RandomState(draw).permutation(len(s.train))[:count])
    config = {**s.key, "count": count, "draw": draw, "train": asdict(s.config(draw))}

    def compute() -> Figures:
        return judged(fit(s.train[rows], s.config(draw), f"{count} sprites, draw {draw}"), s.test)

    return cell("sprites-supervised", config, compute)["figures"]


def spread(values: list[float], sign: str = "") -> str:
    return f"{mean(values):{sign}.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def table(s: Setting) -> str:
    lines = []
    for count in SHOTS:
        ours, theirs = ([of(s, count, draw)["miou"] for draw in range(s.draws)] for of in (autoshot, supervised))
        gain = [a - b for a, b in zip(ours, theirs, strict=True)]
        lines.append(f"| {count} | {spread(ours)} | {spread(theirs)} | {spread(gain, '+')} |")
    return "\n".join(lines)


def per_class(s: Setting) -> str:
    lines = [f"| labels | | {' | '.join(CLASSES.names)} |", f"|---:|---|{'---:|' * len(CLASSES)}"]
    for count in SHOTS:
        for name, of in (("auto-shot", autoshot), ("supervised", supervised)):
            draws = [of(s, count, draw)["per_class"] for draw in range(s.draws)]
            lines.append(
                f"| {count} | {name} | " + " | ".join(f"{mean(d[c] for d in draws):.3f}" for c in CLASSES.names) + " |"
            )
    return "\n".join(lines)


def write_sheet(s: Setting, folder: Path) -> None:
    """Samples with the annotator's labels, and test sprites with the masks of a student of ten."""
    folder.mkdir(parents=True, exist_ok=True)
    labelled = s.annotations(0)
    ws = torch.from_numpy(labelled.ws).to(pick_device())
    samples = to_uint8(s.generator.synthesis(ws)).cpu().numpy()
    sprites = s.test[slice(0, 10)]
    masks = predict_labels(student(s, MOST, 0), sprites.images)
    rows = [
        list(samples), [colorize(m, CLASSES) for m in labelled.labels],
        list(sprites.images.numpy()), [colorize(m, CLASSES) for m in masks],
        [overlay(i, m, CLASSES) for i, m in zip(sprites.images.numpy(), masks, strict=True)],
    ]  # fmt: skip
    Image.fromarray(contact_sheet(rows, 128)).save(folder / "sprites.png")


TEXT = """# The flow on game characters

A GAN trained on {num_photos} game characters of 64 px ({kimg:.0f} kimg shown), and {num_test} others to measure on, all
composed from the layers of the Universal LPC spritesheet (CC-BY-SA 3.0 or GPL 3.0), with exact maps of nine classes.
Auto-shot: the student of so many labelled samples of the GAN. Supervised: the same network, steps, augmentation and
optimiser on as many labelled characters. Samples are labelled by a network that learned from all exact maps of the
training set, mean IoU {reference:.3f}, in the place of a person. Mean IoU over all classes, background included, from
one confusion matrix; mean and standard deviation over {draws} draws, of other samples, characters and seeds each.

Made by `python -m benchmarks.sprites SPRITES --gan CHECKPOINT --draws {draws}`, commit {commit}, {date}, {hardware}.
GAN {gan}, {config}.

| labels | auto-shot | supervised | difference |
|---:|---:|---:|---:|
{table}

By class, mean over the draws:

{per_class}
"""


def page(s: Setting) -> str:
    meta = read_meta(s.gan)
    trained = meta["trained"]
    names = ("channel_base", "batch", "r1_gamma", "precision", "augment")
    return TEXT.format(
        **made(), num_photos=trained["num_photos"], kimg=meta["num_images"] / 1000, num_test=len(s.test),
        reference=annotator(s)["miou"], draws=s.draws, gan=sha256_file(s.gan)[:12], table=table(s),
        per_class=per_class(s), config=", ".join(f"{name} {trained[name]}" for name in names),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sprites", type=Path, metavar="SPRITES")
    parser.add_argument("--gan", type=Path, required=True, metavar="CHECKPOINT")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--steps", type=int, default=DistillConfig.steps, help="of each network")
    parser.add_argument("--pairs", type=int, default=PairsConfig.count, help="for each student")
    parser.add_argument("--sheet", type=Path, metavar="DIR", help="draw samples and masks there")
    args = parser.parse_args()
    setting = Setting(args.sprites, args.gan, args.draws, args.steps, args.pairs)
    if args.sheet:
        write_sheet(setting, args.sheet)
    text = page(setting)
    write_text(ROOT / "sprites.md", text)
    print(text)


if __name__ == "__main__":
    main()
