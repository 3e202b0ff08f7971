"""The stage `gseg fewshot-train`: from a GAN and a folder of annotations to a trained teacher in a run folder."""

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.checkpoint import parent_of
from gseg_cli.fewshot.complete import completed
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.model import KIND, load_teacher
from gseg_cli.fewshot.sheet import draw_teacher
from gseg_cli.fewshot.train import check_labels, train_fewshot
from gseg_cli.gan.bars import outside
from gseg_cli.gan.generator import Generator
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample_set import sample_name
from gseg_cli.runs import open_run
from gseg_cli.steps import OnStep, Say, Step, ignore_say, ignore_step
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import GsegError, ProjectError
from gseg_runtime.files import sha256_file


@dataclass(frozen=True)
class TrainedTeacher:
    """annotations: how many it was trained on. warnings: what a person should know of it, in words."""

    run: Path
    checkpoint: Path
    annotations: int
    warnings: list[str]


def run_fewshot_train(
    gan: Path,
    annotations: Path,
    config: FewshotConfig,
    runs_dir: Path,
    device: torch.device,
    *,
    say: Say = ignore_say,
    on_step: OnStep = ignore_step,
) -> TrainedTeacher:
    """Train a teacher on the label maps in the folder `annotations`, their gaps filled where that is sure.

    The run also gets a picture of what the teacher says, of these samples and of some that it never saw.

    Nothing is written before all that can be wrong was looked at: GsegError for label maps to learn nothing from,
    ProjectError when the annotated samples come from another GAN.
    """
    labelled = AnnotationSet.load(annotations)
    if labelled.gan_sha256 != sha256_file(gan):
        message = f"{annotations}: its samples come from GAN {labelled.gan_sha256[:12]}, not from {gan}"
        raise ProjectError(message, "use --gan with the GAN that made the samples, or annotate samples of this one")
    check_labels(labelled)
    generator = load_generator(gan, device, labelled.class_index)
    _check_size(labelled.labels.shape[-1], generator.img_resolution, annotations)
    config = config.resolved(len(labelled.seeds), generator.img_resolution)
    run = open_run(runs_dir, KIND, asdict(config), [parent_of(gan, "gan")], device)
    drawn = _with_bars_as(0, generator, labelled)
    taught = completed(generator, drawn, config.seed, partial(_tell_gaps, on_step))
    taught = _labelled_rows(_with_bars_as(IGNORE, generator, taught))
    checkpoint = train_fewshot(generator, taught, config, run, parents=[parent_of(gan, "gan")], on_step=on_step)
    picture = run.picture("teacher", draw_teacher(generator, load_teacher(checkpoint, device)[0], drawn))
    say(f"look at {picture}: what the teacher says of annotated samples, and of some that it never saw")
    return TrainedTeacher(run.dir, checkpoint, len(taught.seeds), _warnings(labelled, taught))


def _tell_gaps(on_step: OnStep, step: Step) -> None:
    """Else it would look as if the training ran twice."""
    on_step(replace(step, unit="steps to fill gaps"))


def _check_size(got: int, expected: int, annotations: Path) -> None:
    if got != expected:
        message = f"{annotations}: expected label maps of {expected} pixels like the samples, got {got}"
        raise GsegError(message, "import them with gseg annotate-import, which fits them to the samples")


def _with_bars_as(label: int, generator: Generator, labelled: AnnotationSet) -> AnnotationSet:
    """Beside a rectangular picture: background, which is no gap to fill, or nothing to learn from."""
    bars = outside(generator, labelled.labels.shape[-1])
    if bars is None:
        return labelled
    return replace(labelled, labels=np.where(bars.numpy(), np.uint8(label), labelled.labels))


def _labelled_rows(taught: AnnotationSet) -> AnnotationSet:
    """Without those that have no label: a CNN, which learns from whole pictures, would have no loss there."""
    return taught.rows(np.flatnonzero((taught.labels != IGNORE).any(axis=(1, 2))).tolist())


def _warnings(labelled: AnnotationSet, taught: AnnotationSet) -> list[str]:
    absent = [name for i, name in enumerate(labelled.classes.names) if not (labelled.labels == i).any()]
    empty = [labelled.photos.get(seed) or sample_name(seed) for seed in labelled.seeds if seed not in taught.seeds]
    return [
        *(f"class {name} is labelled on no sample; the teacher never predicts it" for name in absent),
        *(f"{name}: left out, as none of its pixels is labelled (all are 255)" for name in empty),
    ]
