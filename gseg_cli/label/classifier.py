"""A classifier of pixels, and its prediction of a whole picture."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gseg_cli.label.features import Layers
from gseg_cli.label.prediction import Picture
from gseg_cli.label.projection import Projection


@dataclass(frozen=True, eq=False)
class Classifier:
    """A linear layer on hypercolumns, weight [O, sum C] and bias [O], and what makes logits [n, S, K] of its output
    [n, S, O]. classes [K]: which class each stands for."""

    stage: str
    weight: Tensor
    bias: Tensor
    rest: Callable[[Tensor], Tensor]
    classes: Tensor

    def predict(self, layers: Layers) -> Generator[None, None, Picture]:
        """Pauses after each strip of rows; returns the picture."""
        labels: list[np.ndarray] = []
        confidence: list[np.ndarray] = []
        for strip in Projection(layers, self.weight, self.bias).strips():
            for parts, part in zip((labels, confidence), self._read(strip), strict=True):
                parts.append(part)
            yield
        return Picture(np.concatenate(labels), np.concatenate(confidence))

    @torch.no_grad()
    def _read(self, strip: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """uint8 [n, S] both: class indices, and 255 times their probability."""
        logits = self.rest(strip)
        best, where = logits.max(dim=-1)
        confidence = 255 / (logits - best[..., None]).exp_().sum(dim=-1)
        labels = self.classes[where]
        return labels.to(torch.uint8).cpu().numpy(), confidence.to(torch.uint8).cpu().numpy()
