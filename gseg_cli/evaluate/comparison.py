"""What came out of comparing label maps with the truth: the counts, and every figure that is made of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_cli.evaluate.boundary import TOLERANCE, Counts, boundary_f
from gseg_runtime.class_map import ClassMap
from gseg_runtime.metrics import Matrix, iou_per_class, mean_iou, pixel_accuracy, weighted_iou


@dataclass(frozen=True)
class Comparison:
    """matrix: int64 [C, C + 1], see gseg_runtime.metrics; boundary: int64 [4, C], see gseg_cli.evaluate.boundary.

    num_images: how many were compared; tolerance: of the boundary, as share of the image diagonal; num_resized: how
    many predictions had another size than the truth.
    """

    matrix: Matrix
    boundary: Counts
    classes: ClassMap
    num_images: int
    tolerance: float = TOLERANCE
    num_resized: int = 0

    @property
    def per_class_iou(self) -> dict[str, float | None]:
        """None for a class that the truth does not hold."""
        return self._by_name(iou_per_class(self.matrix))

    @property
    def per_class_boundary_f(self) -> dict[str, float | None]:
        """None for a class without a boundary in the truth."""
        return self._by_name(boundary_f(self.boundary))

    @property
    def absent(self) -> list[str]:
        """The classes that neither folder holds where the truth counts."""
        return self._named((self._true == 0) & (self._predicted == 0))

    @property
    def only_predicted(self) -> list[str]:
        """The classes that were predicted, but are not in the truth: mistakes of other classes, no IoU of their own."""
        return self._named((self._true == 0) & (self._predicted > 0))

    @property
    def exchanged(self) -> list[tuple[str, str]]:
        """(truth, prediction) of classes most of whose pixels are another's, and most of that one's are theirs.

        None where there is but one: a class that is mistaken for another is no exchange.
        """
        same = self.matrix[:, :-1]
        of_true = 2 * same > self._true[:, None]
        of_predicted = 2 * same > self._predicted
        rows, columns = (of_true & of_predicted & ~np.eye(len(same), dtype=bool)).nonzero()
        names = self.classes.names
        found = [(names[row], names[column]) for row, column in zip(rows, columns, strict=True)]
        return found if len(found) > 1 else []

    @property
    def shares(self) -> dict[str, float]:
        """Share of the true pixels by class: the weights of the weighted IoU."""
        return dict(zip(self.classes.names, (self._true / max(1, self._true.sum())).tolist(), strict=True))

    def to_json(self) -> dict[str, Any]:
        return {
            "mean_iou": mean_iou(self.matrix),
            "per_class_iou": self.per_class_iou,
            "weighted_iou": weighted_iou(self.matrix),
            "accuracy": pixel_accuracy(self.matrix),
            "boundary_f": _mean(boundary_f(self.boundary)),
            "per_class_boundary_f": self.per_class_boundary_f,
            "boundary_tolerance": self.tolerance,
            "shares": self.shares,
            "absent": self.absent,
            "only_predicted": self.only_predicted,
            "images": self.num_images,
            "resized": self.num_resized,
        }

    @property
    def _true(self) -> npt.NDArray[np.int64]:
        return self.matrix.sum(axis=1)

    @property
    def _predicted(self) -> npt.NDArray[np.int64]:
        return self.matrix.sum(axis=0)[:-1]

    def _by_name(self, values: npt.NDArray[np.float64]) -> dict[str, float | None]:
        plain = (None if np.isnan(value) else float(value) for value in values)
        return dict(zip(self.classes.names, plain, strict=True))

    def _named(self, is_meant: npt.NDArray[np.bool_]) -> list[str]:
        return [name for name, meant in zip(self.classes.names, is_meant, strict=True) if meant]


def _mean(values: npt.NDArray[np.float64]) -> float:
    """Of those that are not nan; nan when there are none."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
