"""Training one network and scoring it: what the cells of the tables are computed by."""

import shutil
import time
from pathlib import Path
from typing import Any

from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.pairs import annotated_pairs
from gseg_cli.distill.stage import choose_pairs, make_training_pairs
from gseg_cli.distill.train import fit_student
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.train import fit_teacher, taught
from gseg_cli.reproduce.inversions import inverted_photos
from gseg_cli.reproduce.scoring import score_inverted, score_samples, score_unet
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.subject import ScoredPhotos, Task
from gseg_cli.steps import OnStep, ignore_step

Figures = dict[str, Any]


def teach(setup: Setup, task: Task, config: FewshotConfig, shots: int, draw: int, on_step: OnStep) -> Teacher:
    subject = setup.subject
    return fit_teacher(subject.generator, subject.annotations(task, shots, draw), config, on_step=on_step)


def teacher_figures(
    setup: Setup, task: Task, config: FewshotConfig, shots: int, draw: int, folder: Path, on_step: OnStep
) -> Figures:
    """Of a teacher on the test photos, inverted in `folder`, and on generated samples where these have labels."""
    start_s = time.perf_counter()
    teacher = teach(setup, task, config, shots, draw, on_step)
    figures: Figures = {"train_s": round(time.perf_counter() - start_s, 1)}
    figures["test"] = inverted_figures(setup, teacher, setup.test, task, folder)
    samples = setup.subject.samples(setup.size.num_samples)
    figures["samples"] = samples and score_samples(setup.subject.generator, teacher, task.merged(samples))
    return figures


def viewed_figures(
    setup: Setup, task: Task, config: FewshotConfig, shots: int, draw: int, folders: dict[str, Path], on_step: OnStep
) -> Figures:
    """Of a teacher on every view, inverted in the folder of its name."""
    teacher = teach(setup, task, config, shots, draw, on_step)
    views = setup.views.items()
    return {"views": {name: inverted_figures(setup, teacher, photos, task, folders[name]) for name, photos in views}}


def inverted_figures(setup: Setup, teacher: Teacher, photos: ScoredPhotos, task: Task, folder: Path) -> Figures:
    inverted = inverted_photos(setup.inverter, photos, task, folder)
    return score_inverted(setup.inverter, teacher, photos, inverted, task)


def student_figures(
    setup: Setup,
    task: Task,
    fewshot: FewshotConfig,
    config: DistillConfig,
    shots: int,
    draw: int,
    folder: Path,
    on_step: OnStep,
) -> Figures:
    """Auto-shot: of a student that learned from what a teacher said of generated images, on test photos and views.

    folder: for the generated pairs, which are deleted when the student has learned from them.
    """
    subject = setup.subject
    teacher = teach(setup, task, fewshot, shots, draw, ignore_step)
    pairs = make_training_pairs(subject.generator, teacher, setup.size.pairs, folder, on_step)
    annotated = annotated_pairs(subject.generator, taught(subject.annotations(task, shots, draw)))
    kept = choose_pairs(pairs, config)
    net = fit_student(kept, task.classes, config, subject.device, annotated=annotated, on_step=on_step)
    shutil.rmtree(folder)
    views = {name: score_unet(net, photos, task) for name, photos in setup.views.items()}
    return {"test": score_unet(net, setup.test, task), "views": views}


def supervised_figures(
    setup: Setup, task: Task, config: DistillConfig, count: int, draw: int, on_step: OnStep
) -> Figures:
    """Of the same network, with the same steps, augmentation and optimiser, on photos with their true labels."""
    subject = setup.subject
    labelled = subject.labelled(count, draw)
    net = fit_student(labelled, task.classes, config, subject.device, on_step=on_step)
    return {"test": score_unet(net, setup.test, task)}
