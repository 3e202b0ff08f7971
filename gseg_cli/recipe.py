"""The whole flow in one place: a GAN and a few label maps in, masks of a folder of photos out.

    GAN -> samples -> annotations -> teacher -> student -> model.onnx -> masks

Each stage is a verb that takes what the one before made; every command of gseg runs one of them.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gseg_cli.annotate.formats.png import import_files
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.distill import StudentConfig
from gseg_cli.distill.start import start_distill
from gseg_cli.fewshot.start import start_fewshot
from gseg_cli.fewshot.train import FewshotConfig
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import write_samples
from gseg_cli.project import Project
from gseg_cli.steps import OnStep, Step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.folder import FolderReport
from gseg_runtime.segmenter import Segmenter

# Opens a stage by name and by the unit it counts; yields where its progress goes.
Stage = Callable[[str, str], AbstractContextManager[OnStep]]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What goes in. label_maps: PNGs drawn on samples, named by seed, holding class indices."""

    gan: str  # checkpoint, or builtin:toy-faces
    label_maps: Sequence[Path]
    classes: ClassMap
    photos: Path
    truncation_psi: float = 0.7  # of the samples to annotate
    fewshot: FewshotConfig = field(default_factory=FewshotConfig)
    student: StudentConfig = field(default_factory=StudentConfig)


@dataclass(frozen=True)
class Outcome:
    """What came out."""

    project: Project
    teacher: Path
    student: Path
    model: Path
    masks: Path
    report: FolderReport
    quality: dict[str, Any]


def run_recipe(recipe: Recipe, folder: Path, device: torch.device, stage: Stage) -> Outcome:
    """Run every stage in a new project `folder`."""
    project = Project.create(folder, classes=recipe.classes, gan=recipe.gan, overwrite=True)
    gan, runs = project.gan_path, project.runs_dir
    model, masks = project.exports_dir / "model.onnx", folder / "masks"

    with stage("sample", "images") as on_step:
        seeds = sorted(int(path.stem) for path in recipe.label_maps)
        generator = load_generator(gan, device)
        samples = write_samples(generator, gan, seeds, recipe.truncation_psi, project.samples_dir, on_step=on_step)

    with stage("annotate-import", "maps") as on_step:
        annotations = import_files(recipe.label_maps, samples, recipe.classes).all()
        annotations.save(project.annotations_dir, source="recipe")
        on_step(Step(len(annotations.seeds), len(annotations.seeds)))

    with stage("fewshot-train", "steps") as on_step:
        teacher = start_fewshot(gan, project.annotations_dir, recipe.fewshot, runs, device, on_step=on_step)

    with stage("distill", "steps") as on_step:
        student = start_distill(
            gan, teacher["checkpoint"], recipe.student, runs, device, on_pairs=on_step, on_step=on_step
        )

    with stage("export", "models") as on_step:
        exported = export_student(student["checkpoint"], model)
        on_step(Step(1, 1))

    with stage("segment", "images") as on_step, Segmenter.load(model) as segmenter:
        report = segmenter.segment_folder(recipe.photos, masks, on_image=lambda p: on_step(Step(p.done, p.total)))

    quality = {"held_out_miou": student["held_out_miou"], "label_agreement": exported["label_agreement"]}
    return Outcome(project, teacher["checkpoint"], student["checkpoint"], model, masks, report, quality)
