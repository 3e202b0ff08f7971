"""What the teacher says of a sample. Needs no PyTorch."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gseg_runtime.class_map import IGNORE
from gseg_runtime.label_map import LabelMap

DOUBTFUL = 0.1  # the share of the pixels that doubt looks at


@dataclass(frozen=True, eq=False)
class Picture:
    """labels uint8 [S, S], class indices, or 255 beside the picture; confidence uint8 [S, S], 255 times the
    probability of the label."""

    labels: LabelMap
    confidence: npt.NDArray[np.uint8]

    @property
    def size(self) -> int:
        return len(self.labels)

    def within(self, window: tuple[slice, slice]) -> "Picture":
        """With no label, and no doubt, beside these rows and columns."""
        inside = np.zeros(self.labels.shape, bool)
        inside[window] = True
        return Picture(*(np.where(inside, part, np.uint8(IGNORE)) for part in (self.labels, self.confidence)))

    def packed(self) -> bytes:
        """Labels, then confidence."""
        return self.labels.tobytes() + self.confidence.tobytes()

    @property
    def doubt(self) -> float:
        """0..1: the mean over the worst tenth of the picture's pixels."""
        known = self.confidence[self.labels != IGNORE]
        worst = np.sort(known)[: max(1, round(DOUBTFUL * known.size))]
        return float(1 - worst.mean() / 255)


@dataclass(frozen=True, eq=False)
class Prediction:
    """Of one sample. whole: None where only the thumbnail was made. learnt: the sample's labels that it comes from."""

    seed: int
    id: str
    stage: str
    small: Picture
    whole: Picture | None = None
    learnt: LabelMap | None = None
