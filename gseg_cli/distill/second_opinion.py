"""A second opinion on the pairs: of a network that looks at pictures, and learned from drawn labels alone.

The teacher looks at the GAN's activations. As in co-training (Blum and Mitchell 1998), two that look at different
things err differently, so that they are seldom wrong where they agree. Pixels on which they do not are ignored.
"""

import math
from dataclasses import replace

import torch

from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import Student, load_student, save_student
from gseg_cli.distill.train import fit_student
from gseg_cli.runs import Run
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_cli.world import ALONE, World
from gseg_runtime.class_map import IGNORE, ClassMap

FOLDER = "second-opinion"  # in the run
AT_ONCE = 200  # pairs that it looks at
LEAST_LEFT = 0.1  # of a class's pixels; below it the network cannot be said to know the class
SHARE = 0.5  # of the student's training; more made it no better


def second_opinion(
    annotated: PairSet,
    classes: ClassMap,
    config: DistillConfig,
    device: torch.device,
    *,
    labelled: PairSet | None = None,
    run: Run | None = None,
    resume: bool = False,
    world: World = ALONE,
    on_step: OnStep = ignore_step,
) -> Student:
    """A network like the student, trained half as long, on annotated samples and labelled photos.

    Of a run it lies in a folder of its own, with its state, so that a resumed run need not train it again.
    """
    own = Run(run.dir / FOLDER) if run else None
    if own and resume and world.agree(own.checkpoint.is_file()):
        return load_student(own.checkpoint, device)[0]
    if own:
        own.dir.mkdir(exist_ok=True)
    shorter = replace(config, steps=math.ceil(config.steps * SHARE), minutes=config.minutes and config.minutes * SHARE)
    net = fit_student(
        annotated, classes, shorter, device, labelled=labelled, run=own, resume=resume, world=world,
        on_step=on_step,
    )  # fmt: skip
    if own and world.is_first:
        save_student(own.checkpoint, net, classes)
    return net


def agreed(pairs: PairSet, net: Student, on_step: OnStep = ignore_step) -> PairSet:
    """The pairs without the pixels that the network labels otherwise; the score is their share of the labelled ones."""
    parts = []
    for i in range(0, len(pairs), AT_ONCE):
        some = pairs[i : i + AT_ONCE]
        is_labelled = some.first != IGNORE
        differs = is_labelled & (torch.from_numpy(predict_labels(net, some.images)) != some.first)
        score = differs.sum(dim=(1, 2)) / is_labelled.sum(dim=(1, 2)).clamp(min=1)
        parts.append(replace(some, first=some.first.masked_fill(differs, IGNORE), score=score))
        on_step(Step(i + len(some), len(pairs)))
    return PairSet.join(parts)


def unknown_classes(pairs: PairSet, kept: PairSet, num_classes: int) -> dict[int, float]:
    """Classes of which next to nothing is left in the pairs that were `agreed`, with the share of pixels that is."""
    before, after = (torch.bincount(some.first.flatten(), minlength=IGNORE + 1) for some in (pairs, kept))
    shares = {label: float(after[label] / before[label]) for label in range(num_classes) if before[label]}
    return {label: share for label, share in shares.items() if share < LEAST_LEFT}
