"""What there is to know of the samples one could label: how their features look, and how much a teacher doubts them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.gan.generator import Generator, images_at_once
from gseg_cli.gan.sample import MAX_PIXELS, ws_for_seeds
from gseg_cli.steps import OnStep, Step, ignore_step


@torch.no_grad()
def pooled_features(
    generator: Generator, seeds: Sequence[int], truncation_psi: float, on_step: OnStep = ignore_step
) -> Tensor:
    """[N, sum C] on the CPU: the mean of every channel over the image. No layer outlives its pooling."""
    rows = []
    for ws in _latents(generator, seeds, truncation_psi, on_step):
        means: list[Tensor] = []
        generator.synthesis(ws, lambda x, means=means: means.append(x.float().mean(dim=[2, 3])))  # type: ignore[misc]
        rows.append(torch.cat(means, dim=1).cpu())
    return torch.cat(rows)


def doubts(
    generator: Generator,
    teacher: Teacher,
    seeds: Sequence[int],
    truncation_psi: float,
    on_step: OnStep = ignore_step,
) -> Tensor:
    """[N] on the CPU: the teacher's doubt of each sample, as `Prediction.score` counts it."""
    batches = _latents(generator, seeds, truncation_psi, on_step)
    return torch.cat([predict(generator, teacher, ws).score().cpu() for ws in batches])


def _latents(generator: Generator, seeds: Sequence[int], truncation_psi: float, on_step: OnStep) -> Iterator[Tensor]:
    """In batches as large as `gseg sample` makes them."""
    batch = images_at_once(generator, MAX_PIXELS, 16)
    for start in range(0, len(seeds), batch):
        chunk = seeds[start : start + batch]
        yield ws_for_seeds(generator, chunk, truncation_psi)
        on_step(Step(start + len(chunk), len(seeds)))
