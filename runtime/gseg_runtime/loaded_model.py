"""A model with the engine that runs it: what a segmenter, a folder of photos and a batch of them share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gseg_runtime.backends.base import CONFIDENCE, LABELS, LOGITS, Backend
from gseg_runtime.detail import Detail, Edges
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.label_map import Pixels
from gseg_runtime.model_card import ModelCard
from gseg_runtime.prediction import Inference, confidence_of


@dataclass(frozen=True)
class LoadedModel:
    """May be used from several threads. sha256: of the model's file; batch: photos in the engine at once.

    UsageError when the engine was built for another batch.
    """

    backend: Backend
    sha256: str
    batch: int

    def __post_init__(self) -> None:
        if self.backend.is_batch_fixed and self.batch != self.backend.batch:
            message = f"batch {self.batch}: this engine was built for batches of {self.backend.batch}"
            raise UsageError(message, "leave out --batch, or build another with gseg export --trt --batch N")

    @property
    def card(self) -> ModelCard:
        return self.backend.card

    @property
    def device(self) -> str:
        """Engine and device obtained, in words."""
        return self.backend.name

    def infer(self, squares: Pixels, *, confidence: bool = False, logits: bool = False) -> Inference:
        """What the engine says of letterboxed images, uint8 [N, S, S, 3]; N is `batch` where that is fixed.

        With logits the confidence comes of them, so that the model need not have it.
        """
        self.require(confidence=confidence, logits=logits)
        if logits:
            labels, scores = self.backend.infer(squares, (LABELS, LOGITS))
            inference = Inference(labels, confidence_of(scores, axis=1) if confidence else None, scores)
        else:
            inference = Inference(*self.backend.infer(squares, (LABELS, CONFIDENCE) if confidence else (LABELS,)))
        self._check_classes(inference)
        return inference

    def _check_classes(self, inference: Inference) -> None:
        """GsegError when the network knows more classes than its card: nobody could tell what its masks mean."""
        largest, count = int(inference.labels.max(initial=0)), len(self.card.classes)
        if largest >= count:
            message = f"the model labels pixels as class {largest}, but its card names only {count}, counted from 0"
            raise GsegError(message, "export it again with gseg export")

    def detail(self, edges: Edges | None = None, tile: int | None = None) -> Detail:
        """As of `Detail`. edges: None are smooth ones where the model has logits. tile: None are those that the model
        learned from, if it did."""
        usual: Edges = "smooth" if LOGITS in self.backend.outputs else "nearest"
        return Detail(edges or usual, self.card.tile if tile is None else tile)

    def require(self, *, confidence: bool, logits: bool) -> None:
        """GsegError when `infer` cannot be asked for these."""
        if logits and LOGITS not in self.backend.outputs:
            message = "this model was exported without logits, which smooth edges and tiles need"
            raise GsegError(message, "export it again, without --no-logits")
        if confidence and not logits and CONFIDENCE not in self.backend.outputs:
            hint = "export it again with gseg export --confidence"
            if LOGITS in self.backend.outputs:
                hint = f"leave out --edges nearest, for it comes of the logits elsewhere; or {hint}"
            raise GsegError("this model was exported without confidence", hint)

    def batch_of(self, squares: Sequence[Pixels]) -> Pixels:
        """uint8 [N, S, S, 3] of at most `batch` squares, filled up to as many only where the engine takes no fewer."""
        stacked = np.stack(squares)
        if not self.backend.is_batch_fixed:
            return stacked
        return np.pad(stacked, ((0, self.batch - len(stacked)), (0, 0), (0, 0), (0, 0)))
