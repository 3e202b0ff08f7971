"""What a model says of one photo."""

from dataclasses import dataclass

from gseg_runtime.enlarged import Enlarged, Plane
from gseg_runtime.geometry import Letterbox
from gseg_runtime.label_map import LabelMap


@dataclass(frozen=True)
class Prediction:
    """Kept at the network's size until somebody asks for the photo's.

    label_plane: class indices; confidence_plane: the share of the likeliest class in 255ths, None when not asked for.
    """

    label_plane: Enlarged
    confidence_plane: Enlarged | None = None

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
    """What an engine says of a batch of squares. labels: uint8 [N, S, S]; confidence: the same in 255ths, or None."""

    labels: Plane
    confidence: Plane | None = None

    def prediction(self, index: int, letterbox: Letterbox) -> Prediction:
        """Of the photo that went into square `index` by `letterbox`."""
        confidence = None if self.confidence is None else _undo(letterbox, self.confidence[index])
        return Prediction(_undo(letterbox, self.labels[index]), confidence)


def _undo(letterbox: Letterbox, square: Plane) -> Enlarged:
    """`Letterbox.undo_labels`, but not yet enlarged."""
    return Enlarged(square[letterbox.window], letterbox.height, letterbox.width)
