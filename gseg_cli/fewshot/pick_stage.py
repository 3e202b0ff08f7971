"""The stage `gseg sample --pick`: from a GAN, the annotations there are and the teacher to the seeds to label next."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gseg_cli.annotate import annotation_set
from gseg_cli.annotate.annotation_set import FIRST_PHOTO, AnnotationSet
from gseg_cli.fewshot.model import Teacher, load_teacher_of
from gseg_cli.fewshot.pick import pick_seeds
from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.gan.generator import Generator
from gseg_cli.gan.sample import check_truncation, device_of
from gseg_cli.steps import OnStep, ignore_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import sha256_file


@dataclass(frozen=True)
class Picked:
    """picked: the most useful first, in the way `pick`, out of so many candidates; labelled: left out of them."""

    picked: list[int]
    pick: str
    candidates: int
    labelled: list[int]
    teacher: Path | None


def run_pick(
    generator: Generator,
    gan: Path,
    candidates: Sequence[int],
    config: PickConfig,
    *,
    annotations: Path,
    teacher: Path | None = None,
    on_step: OnStep = ignore_step,
) -> Picked:
    """Pick out of the candidates those that are worth labelling.

    annotations: a folder that may be missing; what was labelled for another GAN or class counts for nothing, and so do
    photos, whose numbers are no seeds. CheckpointError when the teacher is of another GAN or class.
    """
    check_truncation(config.truncation_psi)
    labelled = set(labelled_seeds(annotations, gan, _class_of(generator)))
    network = None
    if teacher:
        network, _, seeds = load_teacher_for(teacher, generator, gan)
        labelled |= set(seeds)
    labelled = {seed for seed in labelled if seed < FIRST_PHOTO}
    picked = pick_seeds(generator, candidates, config, labelled=sorted(labelled), teacher=network, on_step=on_step)
    return Picked(picked, config.way, len(set(candidates) - labelled), sorted(labelled), teacher)


def _class_of(generator: Generator) -> int | None:
    return getattr(generator, "class_index", None)


def labelled_seeds(folder: Path, gan: Path, class_index: int | None) -> tuple[int, ...]:
    """Seeds of the samples of this GAN and class that have a label map already."""
    if not (folder / annotation_set.FILE).is_file():
        return ()
    there = AnnotationSet.load(folder)
    same = there.gan_sha256 == sha256_file(gan) and there.class_index == class_index
    return there.seeds if same else ()


def load_teacher_for(path: Path, generator: Generator, gan: Path) -> tuple[Teacher, ClassMap, list[int]]:
    """The teacher, its classes, and the seeds it was trained on. CheckpointError when it is of another GAN or class."""
    teacher, classes, meta = load_teacher_of(gan, path, device_of(generator))
    _check_class(path, meta, _class_of(generator))
    return teacher, classes, meta["trained"]["seeds"]


def _check_class(teacher: Path, meta: dict[str, Any], class_index: int | None) -> None:
    if meta.get("gan_class") != class_index:
        message = f"{teacher}: was trained on samples of class {meta.get('gan_class')}, not {class_index}"
        raise CheckpointError(message, "take samples of the class it was trained on, or another --teacher")
