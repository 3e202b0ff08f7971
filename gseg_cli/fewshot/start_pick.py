"""From a GAN, the annotations there are and the teacher's checkpoint to the seeds to label next."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gseg_cli.annotate import annotation_set
from gseg_cli.annotate.annotation_set import FIRST_PHOTO, AnnotationSet
from gseg_cli.distill.distill import check_same_gan
from gseg_cli.fewshot.model import load_teacher
from gseg_cli.fewshot.pick import pick_seeds
from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.gan.generator import Generator
from gseg_cli.gan.sample import check_truncation, device_of
from gseg_cli.steps import OnStep, ignore_step
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import sha256_file


def start_pick(
    generator: Generator,
    gan: Path,
    candidates: Sequence[int],
    config: PickConfig,
    *,
    annotations: Path,
    teacher: Path | None = None,
    on_step: OnStep = ignore_step,
) -> dict[str, Any]:
    """Pick out of the candidates; returns picked (the most useful first), labelled, and what it was picked from.

    annotations: a folder that may be missing; what was labelled for another GAN or class counts for nothing, and so do
    photos, whose numbers are no seeds.
    """
    check_truncation(config.truncation_psi)
    labelled = set(_labelled(annotations, gan, getattr(generator, "class_index", None)))
    network = None
    if teacher:
        network, _, meta = load_teacher(teacher, device_of(generator))
        check_same_gan(gan, teacher, meta)
        _check_class(teacher, meta, getattr(generator, "class_index", None))
        labelled |= set(meta["trained"]["seeds"])
    labelled = {seed for seed in labelled if seed < FIRST_PHOTO}
    picked = pick_seeds(generator, candidates, config, labelled=sorted(labelled), teacher=network, on_step=on_step)
    return {
        "picked": picked,
        "pick": config.way,
        "candidates": len(set(candidates) - labelled),
        "labelled": sorted(labelled),
        "teacher": teacher,
    }


def _labelled(folder: Path, gan: Path, class_index: int | None) -> tuple[int, ...]:
    """Seeds of the samples of this GAN and class that have a label map already."""
    if not (folder / annotation_set.FILE).is_file():
        return ()
    there = AnnotationSet.load(folder)
    same = there.gan_sha256 == sha256_file(gan) and there.class_index == class_index
    return there.seeds if same else ()


def _check_class(teacher: Path, meta: dict[str, Any], class_index: int | None) -> None:
    if meta.get("gan_class") != class_index:
        message = f"{teacher}: was trained on samples of class {meta.get('gan_class')}, not {class_index}"
        raise CheckpointError(message, "give --class the class it was trained on, or another --teacher")
