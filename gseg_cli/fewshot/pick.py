"""Which samples to label: few out of many candidates, at random, spread out, or where a teacher is in doubt."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gseg_cli.fewshot.candidates import doubts, pooled_features
from gseg_cli.fewshot.medoids import greedy_medoids
from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.pick_config import PickConfig
from gseg_cli.gan.generator import Generator
from gseg_cli.steps import OnStep, ignore_step
from gseg_runtime.errors import UsageError

MAX_CANDIDATES = 5000  # all distances between them are 100 MB


def pick_seeds(
    generator: Generator,
    candidates: Sequence[int],
    config: PickConfig,
    *,
    labelled: Sequence[int] = (),
    teacher: Teacher | None = None,
    on_step: OnStep = ignore_step,
) -> list[int]:
    """Seeds to label, the most useful first; none of those that are labelled already. uncertain needs a teacher.

    diverse: the samples that best stand for all candidates beside the labelled ones (k-medoids over features).
    uncertain: the same, each candidate counting as much as the teacher doubts it, so that neither ten times the same
    nor an odd one that nothing resembles is picked.
    UsageError when there are fewer candidates than to be picked, or too many to compare.
    """
    left = sorted(set(candidates) - set(labelled))
    check_count(len(left), config.count)
    if config.way == "random":
        return np.random.default_rng(config.seed).choice(left, config.count, replace=False).tolist()
    seeds = [*left, *sorted(set(labelled))]
    taken = torch.arange(len(seeds)) >= len(left)
    weights = torch.ones(len(seeds))
    if config.way == "uncertain":
        assert teacher is not None
        weights = doubts(generator, teacher, seeds, config.truncation_psi, on_step)
    features = pooled_features(generator, seeds, config.truncation_psi, on_step)
    rows = greedy_medoids(distances(features), config.count, weights=weights, taken=taken)
    return [seeds[row] for row in rows]


def check_count(left: int, count: int) -> None:
    hint = "name candidates with --seeds, for example --seeds 0-499"
    if left < count:
        raise UsageError(f"--count: expected at most {left}, the number of unlabelled candidates, got {count}", hint)
    if left > MAX_CANDIDATES:
        raise UsageError(f"--seeds: expected at most {MAX_CANDIDATES} candidates to pick from, got {left}", hint)


def distances(features: Tensor) -> Tensor:
    """[N, N] between rows [N, C], every channel in units of its own deviation."""
    deviation = features.std(dim=0, correction=0).clamp_min(1e-6)
    scaled = (features - features.mean(dim=0)) / deviation
    return torch.cdist(scaled, scaled)
