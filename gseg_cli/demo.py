"""The demo: the recipe on toy faces, which come with exact labels, so that every stage can be measured."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from gseg_cli.builtin import DEFAULT, PREFIX, SMALL, Builtin, assets
from gseg_cli.datasets.splits import TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, write_dataset
from gseg_cli.distill.config import DistillConfig, PairsConfig, StudentConfig
from gseg_cli.evaluate.compare import compare_folders
from gseg_cli.evaluate.reference import compare_teacher
from gseg_cli.evaluate.samples import TEACHER_SEEDS
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import load_teacher
from gseg_cli.gan.load import load_generator
from gseg_cli.project import gan_resolution
from gseg_cli.recipe import Outcome, Recipe, run_recipe
from gseg_cli.steps import OnStep, Stage
from gseg_runtime.files import atomic_path, claim_folder, finish_folder, read_json, sha256_file, write_json
from gseg_runtime.label_map import colorize, contact_sheet, overlay, read_label_png
from gseg_runtime.metrics import mean_iou

SHEET_COLUMNS = 8
# Half of what `gseg distill` does: at 128 px that shows how good it gets, in minutes on two cores.
STUDENT = StudentConfig(pairs=PairsConfig(count=2000), train=DistillConfig(steps=600))
CONTENTS = ("photos", "project", "contact-sheet.png", "demo.json")


@dataclass(frozen=True, kw_only=True)
class DemoSize:
    """How much is done; the quick one shows that everything runs, not how good it gets."""

    gan: str = DEFAULT  # the name of one that comes with gseg
    shots: int = 10  # of its annotations
    num_photos: int = len(TEST_SEEDS)
    num_teacher_samples: int = len(TEACHER_SEEDS)
    fewshot: FewshotConfig = field(default_factory=FewshotConfig)
    student: StudentConfig = STUDENT


QUICK = DemoSize(
    gan=SMALL,
    num_photos=24,
    num_teacher_samples=24,
    fewshot=FewshotConfig(steps=60),
    student=StudentConfig(pairs=PairsConfig(count=300), train=DistillConfig(steps=120)),
)


@dataclass(frozen=True)
class DemoFigures:
    """What the demo measured. per_class_iou: None of a class that is on no photo. seconds: per stage and in all."""

    miou_teacher: float
    miou_student: float
    per_class_iou: dict[str, float | None]
    held_out_miou: float
    images_per_second: float
    contact_sheet: str
    model: str
    gan_sha256: str
    seconds: dict[str, float] = field(default_factory=dict)


def shipped_figures() -> dict[str, Any]:
    """What benchmarks/autoshot.py measured with the shipped GAN: its hash, supervised and autoshot tables."""
    return read_json(assets() / "figures.json")


def supervised_figures(measured: DemoFigures) -> dict[str, Any] | None:
    """Of the same UNet on exact labels; None for the quick demo, whose faces are of another size than those were."""
    shipped = shipped_figures()
    return shipped["supervised"] if measured.gan_sha256 == shipped["gan_sha256"] else None


def run_demo(
    out: Path, size: DemoSize, device: torch.device, stage: Stage, *, seed: int = 0, overwrite: bool = False
) -> DemoFigures:
    """Run the flow on the embedded default into `out` and measure it; the figures, also in out/demo.json.

    seed decides the teacher, the student, and with fewer shots than annotations which of these are used.
    """
    claim_folder(out, "the demo's files", overwrite=overwrite, owned=partial(_is_ours, out))
    seconds: dict[str, float] = {}

    @contextmanager
    def timed(name: str, unit: str) -> Iterator[OnStep]:
        start_s = time.perf_counter()
        with stage(name, unit) as on_step:
            yield on_step
        seconds[name] = round(time.perf_counter() - start_s, 1)

    shipped = Builtin(size.gan)
    with timed("toy-faces", "faces") as on_step:
        side = gan_resolution(shipped.gan)
        write_dataset(out / "photos", count=size.num_photos, seed=TEST_SEEDS[0], size=side, on_step=on_step)
    recipe = Recipe(
        gan=PREFIX + size.gan, label_maps=_choose(shipped.annotations, size.shots, seed), classes=CLASSES,
        photos=out / "photos" / "images",
        fewshot=replace(size.fewshot, seed=seed), student=_seeded(size.student, seed),
    )  # fmt: skip
    outcome = run_recipe(recipe, out / "project", device, timed)
    with timed("evaluate", "figures"):
        figures = _measure(outcome, out, size, device)
    figures = replace(figures, seconds={**seconds, "total": round(sum(seconds.values()), 1)})
    write_json(out / "demo.json", {"format": 1, "kind": "demo", **asdict(figures)})
    finish_folder(out)
    return figures


def _is_ours(out: Path, file: Path) -> bool:
    return file.relative_to(out).parts[0] in CONTENTS


def _choose(maps: list[Path], shots: int, seed: int) -> list[Path]:
    """So many label maps, the first ones unless the seed says otherwise."""
    return [maps[(seed * shots + i) % len(maps)] for i in range(min(shots, len(maps)))]


def _seeded(config: StudentConfig, seed: int) -> StudentConfig:
    return replace(config, train=replace(config.train, seed=seed))


def _measure(outcome: Outcome, out: Path, size: DemoSize, device: torch.device) -> DemoFigures:
    gan = outcome.project.gan_path
    teacher, _, _ = load_teacher(outcome.teacher.checkpoint, device)
    seeds = TEACHER_SEEDS[: size.num_teacher_samples]
    psi = size.student.pairs.truncation_psi
    student = compare_folders(outcome.masks, out / "photos" / "masks", CLASSES)
    return DemoFigures(
        miou_teacher=mean_iou(compare_teacher(load_generator(gan, device), teacher, seeds, psi)),
        miou_student=mean_iou(student.matrix),
        per_class_iou=student.per_class_iou,
        held_out_miou=outcome.student.held_out_miou,
        images_per_second=outcome.report.images_per_second,
        contact_sheet=str(_contact_sheet(outcome.masks, out)),
        model=str(outcome.model),
        gan_sha256=sha256_file(gan),
    )


def _contact_sheet(masks: Path, out: Path) -> Path:
    """Photo, mask and overlay of some faces, in columns: out/contact-sheet.png."""
    photos = sorted((out / "photos" / "images").glob("*.png"))[: SHEET_COLUMNS * 3]
    rows: list[list[Any]] = []
    for start in range(0, len(photos), SHEET_COLUMNS):
        images = [np.asarray(Image.open(path).convert("RGB")) for path in photos[start : start + SHEET_COLUMNS]]
        labels = [read_label_png(masks / path.name) for path in photos[start : start + SHEET_COLUMNS]]
        both = list(zip(images, labels, strict=True))
        rows += [images, [colorize(la, CLASSES) for la in labels], [overlay(im, la, CLASSES) for im, la in both]]
    path = out / "contact-sheet.png"
    with atomic_path(path) as temporary:
        Image.fromarray(contact_sheet(rows, 128)).save(temporary)
    return path
