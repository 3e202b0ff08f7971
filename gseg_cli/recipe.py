"""The whole flow in one place: a GAN and a few label maps in, masks of a folder of photos out.

    GAN -> samples -> annotations -> teacher -> student -> model.onnx -> masks

`run_recipe` runs the stages one after the other, and each takes what the ones before it made. A stage is called like
the command of gseg that does the same alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gseg_cli.annotate.formats.png import import_files
from gseg_cli.distill.config import StudentConfig
from gseg_cli.distill.deploy import export_student
from gseg_cli.distill.stage import TrainedStudent, run_distill
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.stage import TrainedTeacher, run_fewshot_train
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import write_samples
from gseg_cli.project import Project
from gseg_cli.steps import Stage, Step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.folder import FolderReport
from gseg_runtime.segmenter import Segmenter


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
    """What came out. model: the ONNX file; masks: the folder of them, which the report is about."""

    project: Project
    teacher: TrainedTeacher
    student: TrainedStudent
    model: Path
    masks: Path
    report: FolderReport


def run_recipe(recipe: Recipe, folder: Path, device: torch.device, stage: Stage) -> Outcome:
    """Run every stage in a new project `folder`."""
    project = Project.create(folder, classes=recipe.classes, gan=recipe.gan, overwrite=True)
    gan, runs = project.gan_path, project.runs_dir
    model, masks = project.exports_dir / "model.onnx", folder / "masks"

    with stage("sample", "images") as on_step:  # the GAN draws those pictures that the label maps were drawn on
        seeds = sorted(int(path.stem) for path in recipe.label_maps)
        generator = load_generator(gan, device)
        samples = write_samples(generator, gan, seeds, recipe.truncation_psi, project.samples_dir, on_step=on_step)

    with stage("annotate-import", "maps") as on_step:  # label maps and latents of the same seeds belong together
        annotations = import_files(recipe.label_maps, samples, recipe.classes).all()
        annotations.save(project.annotations_dir, source="recipe")
        on_step(Step(len(annotations.seeds), len(annotations.seeds)))

    with stage("fewshot-train", "steps") as on_step:  # a network that labels by the GAN's activations
        teacher = run_fewshot_train(gan, project.annotations_dir, recipe.fewshot, runs, device, on_step=on_step)

    with stage("distill", "steps") as on_step:  # a UNet that learns from thousands of samples labelled by the teacher
        student = run_distill(gan, teacher.checkpoint, recipe.student, runs, device, on_pairs=on_step, on_step=on_step)

    with stage("export", "models") as on_step:  # the UNet as a file that runs without PyTorch
        export_student(student.checkpoint, model)
        on_step(Step(1, 1))

    with stage("segment", "images") as on_step, Segmenter.load(model) as segmenter:
        report = segmenter.segment_folder(recipe.photos, masks, on_image=lambda p: on_step(Step(p.done, p.total)))

    return Outcome(project, teacher, student, model, masks, report)
