"""Label maps with gaps, filled where a short training on the rest is sure.

Strokes lie inside the parts, and a teacher of strokes alone does not know where the parts end. So `fewshot-train`
teaches itself first: predictions on the annotated samples, drawn to the edges of the pictures, become labels where they
are sure, twice over. benchmarks/label.md has what that is worth.
"""

from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.edges import drawn_to_edges
from gseg_cli.fewshot.features import resize_map
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.generator import Generator
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import IGNORE
from gseg_runtime.label_map import LabelMap

ROUNDS = 2
SURE = 0.9
FIRST = FewshotConfig(steps=200, pixels=1024, balance=0.0)


def completed(
    generator: Generator, annotations: AnnotationSet, seed: int = 0, on_step: OnStep = ignore_step
) -> AnnotationSet:
    """The same with fewer pixels of 255; what is labelled stays as it is.

    Complete annotations come back untouched. So do labelled photos: there 255 is what lies beside the photo.
    """
    has_gaps = [
        name not in annotations.photos and (labels == IGNORE).any()
        for name, labels in zip(annotations.seeds, annotations.labels, strict=True)
    ]
    filled, how = annotations, replace(FIRST, seed=seed)
    for done in range(ROUNDS if any(has_gaps) else 0):
        teacher = fit_teacher(generator, filled, how, on_step=partial(_tell, on_step, done))
        labels = annotations.labels.copy()
        for i in np.flatnonzero(has_gaps):
            labels[i] = _filled(labels[i], generator, teacher, torch.as_tensor(annotations.ws[i : i + 1]))
        filled = replace(annotations, labels=labels)
    return filled


def _tell(on_step: OnStep, rounds: int, step: Step) -> None:
    """Steps of one round among those of all."""
    on_step(replace(step, done=rounds * step.total + step.done, total=ROUNDS * step.total))


def _filled(labels: LabelMap, generator: Generator, teacher: Teacher, ws: Tensor) -> LabelMap:
    """Of one sample."""
    device = next(teacher.parameters()).device
    prediction = predict(generator, teacher, ws.to(device))
    probs, known = prediction.probs[0], torch.as_tensor(labels, device=device)
    one_hot = torch.nn.functional.one_hot(known.long() % IGNORE, len(probs)).permute(2, 0, 1)
    image = resize_map(prediction.images.permute(0, 3, 1, 2).float() / 255, len(labels))[0]
    probs = drawn_to_edges(torch.where(known != IGNORE, one_hot.to(probs), probs), image)
    sure, best = probs.max(dim=0)
    found = torch.where((known == IGNORE) & (sure >= SURE), best.to(torch.uint8), known)
    return np.asarray(found.cpu())
