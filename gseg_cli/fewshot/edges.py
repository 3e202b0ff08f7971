"""Predictions drawn to the edges of their picture: neighbours of one colour are of one part."""

import torch
from torch import Tensor

CONTRAST = 20.0  # what parts neighbours: exp(-CONTRAST * squared distance of their colours), which are 0..1
AGREEMENT = 1.0  # the weight of the eight neighbours against the pixel's own logits
ITERATIONS = 10
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))  # to half of the neighbours: right, down, and both diagonals


def drawn_to_edges(probs: Tensor, image: Tensor) -> Tensor:
    """Probabilities [C, S, S] after mean field on the grid of pixels; image: [3, S, S], 0..1.

    Weights follow the contrast, as those of Boykov and Jolly (ICCV 2001) do.
    """
    logits = probs.clamp_min(1e-6).log()
    weights = [torch.exp(-CONTRAST * _difference(image, step)) / torch.tensor(step).float().norm() for step in _STEPS]
    for _ in range(ITERATIONS):
        votes = torch.zeros_like(probs)
        for step, weight in zip(_STEPS, weights, strict=True):
            here, there = _pair(step)
            votes[here] += weight * probs[there]
            votes[there] += weight * probs[here]
        probs = (logits + AGREEMENT * votes).softmax(dim=0)
    return probs


def _difference(image: Tensor, step: tuple[int, int]) -> Tensor:
    """Squared, of all pixels that have a neighbour there."""
    here, there = _pair(step)
    return (image[here] - image[there]).square().sum(dim=0)


def _pair(step: tuple[int, int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Indices [C, S, S] of pixels, and of their neighbours a step away."""
    rows, columns = (_slices(by) for by in step)
    return (slice(None), rows[0], columns[0]), (slice(None), rows[1], columns[1])


def _slices(by: int) -> tuple[slice, slice]:
    here, there = slice(None, -1), slice(1, None)
    return {0: (slice(None), slice(None)), 1: (here, there), -1: (there, here)}[by]
