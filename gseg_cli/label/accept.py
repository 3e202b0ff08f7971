"""Taking the teacher's prediction as labels: all of it, one class, or where it is sure. Needs no PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from gseg_cli.label.journal import Rectangle
from gseg_cli.label.prediction import Picture
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import UsageError
from gseg_runtime.label_map import LabelMap

SURE = 230  # of 255: nine in ten

Part = Literal["all", "class", "sure"]


@dataclass(frozen=True)
class Wish:
    """Which prediction, and what of it. label: with the part "class". locked: classes that keep their pixels, and get
    no others."""

    id: str
    part: Part = "all"
    label: int | None = None
    only_unlabelled: bool = False
    locked: tuple[int, ...] = ()

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "Wish":
        """UsageError when it is none."""
        part, label, locked = data.get("part", "all"), data.get("class"), data.get("locked", [])
        if not isinstance(data.get("id"), str) or part not in get_args(Part):
            raise UsageError(f"expected the id of a prediction, and a part of {', '.join(get_args(Part))}")
        if (part == "class") != (type(label) is int):
            raise UsageError("class: expected its index with the part class, and with no other")
        if not isinstance(locked, list) or not all(type(index) is int for index in locked):
            raise UsageError("locked: expected class indices")
        return cls(data["id"], part, label, data.get("only_unlabelled") is True, tuple(locked))

    def taken(self, labels: LabelMap, picture: Picture, learnt: LabelMap | None) -> LabelMap:
        """The labels with what is accepted; a new array. learnt: the labels that the picture was predicted from, where
        there were any: what was painted since is right where the two differ."""
        newer = (labels != IGNORE) & (labels != (IGNORE if learnt is None else learnt))
        return np.where(self._where(labels, picture) & ~newer, picture.labels, labels)

    def _where(self, labels: LabelMap, picture: Picture) -> npt.NDArray[np.bool_]:
        where = ~np.isin(labels, self.locked) & ~np.isin(picture.labels, self.locked)
        if self.part == "class":
            where &= picture.labels == self.label
        if self.part == "sure":
            where &= picture.confidence >= SURE
        return where & (labels == IGNORE) if self.only_unlabelled else where


def difference(before: LabelMap, after: LabelMap) -> Rectangle | None:
    """The smallest rectangle that holds all that changed; None when nothing did."""
    rows, columns = (np.flatnonzero((before != after).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return None
    (top, bottom), (left, right) = (map(int, line[[0, -1]]) for line in (rows, columns))
    return Rectangle(left, top, right - left + 1, bottom - top + 1)
