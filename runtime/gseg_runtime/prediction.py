"""What a model says of one photo."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_runtime.enlarged import Enlarged, Interpolated, Plane
from gseg_runtime.errors import AnswerError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.guided import guided_labels
from gseg_runtime.label_map import LabelMap, Pixels
from gseg_runtime.smooth import Logits, SmoothMap


@dataclass(frozen=True)
class Prediction:
    """Kept at the network's size until somebody asks for the photo's; with smooth edges it has that already.

    label_plane: class indices; confidence_plane: the share of the likeliest class in 255ths, None when not asked for.
    mean_confidence: its mean over the photo, from 0 to 1, also where the plane was not asked for; None when neither it
    nor logits were.
    """

    label_plane: Enlarged
    confidence_plane: Enlarged | None = None
    mean_confidence: float | None = None

    @property
    def labels(self) -> LabelMap:
        """uint8 [H, W], class index per pixel of the photo."""
        return self.label_plane.full()

    @property
    def confidence(self) -> Plane | None:
        """uint8 [H, W], 255 for certain; None when it was not asked for."""
        return self.confidence_plane.full() if self.confidence_plane else None

    def areas(self, num_classes: int) -> list[int]:
        """Pixels of the photo per class."""
        return self.label_plane.areas(num_classes)


@dataclass(frozen=True)
class Inference:
    """What an engine says of a batch of squares.

    labels: uint8 [N, S, S]; confidence: the same in 255ths, or None; logits: float32 [N, C, S, S] for smooth edges, or
    None.
    """

    labels: Plane
    confidence: Plane | None = None
    logits: npt.NDArray[np.float32] | None = None

    def prediction(self, index: int, letterbox: Letterbox, guide: Pixels | None = None) -> Prediction:
        """Of the photo that went into square `index` by `letterbox`. guide: the photo, uint8 [H, W, 3], for guided
        edges; ValueError without logits, for then it would guide nothing. AnswerError for logits that are not finite.
        """
        confidence = None if self.confidence is None else self.confidence[index][letterbox.window]
        size = letterbox.height, letterbox.width
        if guide is not None and self.logits is None:
            raise ValueError("guided edges need logits")
        if self.logits is None:
            labels = self.labels[index][letterbox.window]
            if confidence is None:
                return Prediction(Enlarged(labels, *size))
            return Prediction(Enlarged(labels, *size), Enlarged(confidence, *size), mean_of(confidence))
        logits = finite(self.logits[index][:, *letterbox.window])
        mean_confidence = mean_of(confidence_of(logits, axis=0) if confidence is None else confidence)
        if guide is not None:
            labels = guided_labels(logits, letterbox.apply(guide)[letterbox.window], guide)
            return detailed_prediction(labels, confidence, letterbox, mean_confidence)
        smooth = SmoothMap(logits.shape[1], *size)
        smooth.add(logits)
        return detailed_prediction(smooth.labels, confidence, letterbox, mean_confidence)


def detailed_prediction(
    labels: LabelMap, confidence: Plane | None, letterbox: Letterbox, mean_confidence: float
) -> Prediction:
    """labels: of the photo; confidence: uint8 [h, w], of the network's grid; it is enlarged linearly."""
    height, width = labels.shape
    plane = Interpolated(labels, height, width, grain=max(labels.shape) / max(letterbox.scaled))
    if confidence is None:
        return Prediction(plane, mean_confidence=mean_confidence)
    enlarged = Image.fromarray(np.ascontiguousarray(confidence)).resize((width, height), Image.Resampling.BILINEAR)
    return Prediction(plane, Enlarged(np.asarray(enlarged), height, width), mean_confidence)


def finite(logits: Logits) -> Logits:
    """The same; AnswerError when one is none: the mask would be of that, or of whatever came first."""
    if not np.isfinite(logits).all():
        hint = "export it again without --fp16; if that does not help, train the student again"
        raise AnswerError("the model's logits are not finite, as where half precision overflows", hint)
    return logits


@np.errstate(invalid="ignore")  # of logits that are not finite nobody gets to see it
def confidence_of(logits: Logits, axis: int) -> Plane:
    """The share of the likeliest class in 255ths, uint8 without the axis of the classes."""
    return (255 / np.exp(logits - logits.max(axis=axis, keepdims=True)).sum(axis=axis)).round().astype(np.uint8)


def mean_of(confidence: Plane) -> float:
    """Its mean, as a share."""
    return float(confidence.mean()) / 255
