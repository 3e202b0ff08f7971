"""The stage `gseg predict`: what a teacher says of samples, as label maps of the project's classes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from gseg_cli.annotate.prefill import Guess
from gseg_cli.fewshot.pick_stage import load_teacher_for
from gseg_cli.fewshot.predict import predict
from gseg_cli.gan.generator import Generator
from gseg_cli.gan.sample import device_of
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import ProjectError
from gseg_runtime.label_map import LabelMap, resize_labels


def run_predict(
    generator: Generator,
    gan: Path,
    teacher: Path,
    samples: SampleSet,
    seeds: Sequence[int],
    classes: ClassMap,
    on_step: OnStep = ignore_step,
) -> list[Guess]:
    """A label map for each of the samples, in the order of the seeds.

    CheckpointError when the teacher is of another GAN; ProjectError when it has classes that the project lacks.
    """
    network, known, _ = load_teacher_for(teacher, generator, gan)
    index = _indices(known, classes, teacher)
    guesses: list[Guess] = []
    for seed in seeds:
        ws = torch.from_numpy(samples.ws_of([seed])).to(device_of(generator))
        prediction = predict(generator, network, ws)
        labels: LabelMap = index[prediction.labels[0].cpu().numpy()]
        size = (samples.resolution, samples.resolution)
        guesses.append(Guess(seed, resize_labels(labels, size), float(prediction.score()[0])))
        on_step(Step(len(guesses), len(seeds)))
    return guesses


def _indices(known: ClassMap, classes: ClassMap, teacher: Path) -> LabelMap:
    """[C]: the project's index of each of the teacher's classes."""
    missing = [name for name in known.names if name not in classes.names]
    if missing:
        message = f"{teacher}: has the class {missing[0]}, which gseg.toml lacks"
        raise ProjectError(message, "train the teacher again, or name another one with --teacher")
    return np.array([classes.names.index(name) for name in known.names], np.uint8)
