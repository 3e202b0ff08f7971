"""The reference annotator: a UNet that learned from thousands of exactly labelled toy faces (benchmarks/reference.py).

It stands in for a person who labels any number of generated samples, so that teachers can be measured on them.
"""

from collections.abc import Sequence
from pathlib import Path

import torch

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.builtin import BY_SIZE, Builtin
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import load_student
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import GanModule
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.errors import ConfigError
from gseg_runtime.metrics import Matrix, confusion_matrix

BATCH = 32


def reference_path(size: int) -> Path:
    """The annotator of pictures of `size` px; ConfigError where none comes with gseg."""
    if size not in BY_SIZE:
        raise ConfigError(f"reference annotator: expected pictures of {', '.join(map(str, BY_SIZE))} px, got {size}")
    return Builtin(BY_SIZE[size]).reference


@torch.no_grad()
def annotate_samples(
    generator: GanModule, seeds: Sequence[int], truncation_psi: float, gan_sha256: str
) -> AnnotationSet:
    """The samples of these seeds as the reference annotator labels them."""
    device = next(generator.parameters()).device
    reference, classes, _ = load_student(reference_path(generator.img_resolution), device)
    ws = ws_for_seeds(generator, seeds, truncation_psi)
    images = torch.cat([to_uint8(generator.synthesis(part)) for part in ws.split(BATCH)])
    labels = predict_labels(reference, images)
    return AnnotationSet(labels, ws.cpu().numpy(), tuple(seeds), classes, gan_sha256, truncation_psi)


@torch.no_grad()
def compare_teacher(generator: GanModule, teacher: Teacher, seeds: Sequence[int], truncation_psi: float) -> Matrix:
    """Confusion matrix of the teacher's labels against the reference annotator's, on the samples of these seeds."""
    reference, classes, _ = load_student(reference_path(generator.img_resolution), next(teacher.parameters()).device)
    total = None
    for start in range(0, len(seeds), BATCH):
        ws = ws_for_seeds(generator, seeds[start : start + BATCH], truncation_psi)
        prediction = predict(generator, teacher, ws)
        truth = predict_labels(reference, prediction.images)
        matrix = confusion_matrix(prediction.labels.cpu().numpy(), truth, len(classes))
        total = matrix if total is None else total + matrix
    assert total is not None
    return total
