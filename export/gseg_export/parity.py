"""An export is done when it labels pictures as what it was made from does."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from gseg_export.source import Images, Label, LabelMaps
from gseg_export.verification_images import Pictures
from gseg_runtime.errors import GsegError
from gseg_runtime.model_card import ModelCard

# Two float32 engines add in different orders, so a pixel between two classes may fall to either.
MIN_AGREEMENT: Mapping[str, float] = {"fp32": 0.9999, "fp16": 0.995, "int8": 0.98}
MIN_CLASS_IOU, MIN_CLASS_SHARE = 0.5, 0.001  # of a class that has so large a share of the pixels
QUALITY_KEY = "label_agreement"
BATCH = 8
_HINTS = {
    "fp32": "a network unsure of its classes flips with rounding: train it longer, or verify on photos",
    "fp16": "verify on photos like those it was trained for (--verify DIR), or export without --fp16",
    "int8": "calibrate on a hundred photos like those it will see; else keep full precision, or --fp16 on a GPU",
}


@dataclass(frozen=True)
class Check:
    """What exports of one source have to agree with. expected: the source's labels; judge: who says so."""

    expected: Label
    judge: str
    pictures: Pictures

    def passed(self, got: Label, card: ModelCard, out: Path) -> ModelCard:
        """The card with the agreement in its quality; GsegError when that is below what its precision allows.

        out: the file that is not written then.
        """
        precision = precision_of(card)
        labels = _in_batches(got, self.pictures.images)
        share = float((labels == self._labels).mean())
        if share < MIN_AGREEMENT[precision]:
            message = (
                f"{out}: not written: it labels {share:.6f} of the pixels of {self.pictures.counted} "
                f"as {self.judge} does, expected {MIN_AGREEMENT[precision]} or more ({precision})"
            )
            raise GsegError(message, _HINTS[precision])
        if lost := [card.classes.names[index] for index in self._lost(labels)]:
            message = f"{out}: not written: it labels other pixels as {', '.join(lost)} than {self.judge} does"
            raise GsegError(f"{message}, IoU below {MIN_CLASS_IOU} ({precision})", _HINTS[precision])
        return replace(card, quality={**card.quality, QUALITY_KEY: share})

    def _lost(self, labels: LabelMaps) -> list[int]:
        """Classes that the share of all pixels does not tell of, because they are small."""
        counts = np.bincount(self._labels.ravel())
        often = np.flatnonzero(counts >= MIN_CLASS_SHARE * self._labels.size)
        masks = ((index, self._labels == index, labels == index) for index in often.tolist())
        return [index for index, ours, theirs in masks if (ours & theirs).sum() < MIN_CLASS_IOU * (ours | theirs).sum()]

    @cached_property
    def _labels(self) -> LabelMaps:
        return _in_batches(self.expected, self.pictures.images)


def _in_batches(label: Label, images: Images) -> LabelMaps:
    return np.concatenate([label(images[start : start + BATCH]) for start in range(0, len(images), BATCH)])


def precision_of(card: ModelCard) -> str:
    """fp32, fp16 or int8; the card also tells the two kinds of 8 bits apart, "int8" and "int8-trt"."""
    return card.precision.partition("-")[0]
