"""The supersampled picture that a toy face is painted on: colours and labels together, part by part, back to front."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_cli.datasets.toy_faces.face import Grid, Pose

Field = npt.NDArray[np.floating[Any]]  # [h, w], or broadcast to it; float32 wherever it is large
Mask = npt.NDArray[np.bool_]  # [h, w]


@dataclass(frozen=True)
class Region:
    """A rectangle of the canvas: views into it, so that small parts cost little.

    u, v: head frame; x, y: body frame, which is upright. All [h, w] or broadcastable to it.
    """

    at: tuple[slice, slice]
    u: Field
    v: Field
    x: Field
    y: Field
    rgb: npt.NDArray[np.float32]  # [3, h, w]
    labels: npt.NDArray[np.uint8]  # [h, w]

    def paint(
        self, where: Mask, color: Sequence[float] | Field, label: int | None, *, shade: Field | float = 1.0
    ) -> None:
        """Cover with a colour times a shade, and with a label (None keeps what is there)."""
        for channel, value in zip(self.rgb, color, strict=True):
            np.copyto(channel, value * shade, where=where)
        if label is not None:
            np.copyto(self.labels, np.uint8(label), where=where)

    def darken(self, amount: Field, tint: Sequence[float] = (1.0, 1.0, 1.0)) -> None:
        """Multiply by 1 - amount * tint, channel by channel."""
        for channel, weight in zip(self.rgb, tint, strict=True):
            channel *= 1 - np.float32(weight) * amount


class Canvas:
    def __init__(self, size: int, pose: Pose) -> None:
        self.size = size
        self.pose = pose
        self.rgb = np.zeros((3, size, size), np.float32)
        self.labels = np.zeros((size, size), np.uint8)
        self.axis = (np.arange(size, dtype=np.float32) + 0.5) * np.float32(2 / size) - 1
        self.x = ((self.axis - pose.shift_x) / pose.scale).astype(np.float32)[None, :]
        self.y = ((self.axis - pose.shift_y) / pose.scale).astype(np.float32)[:, None]
        cos, sin = np.float32(np.cos(pose.roll)), np.float32(np.sin(pose.roll))
        self.u = cos * self.x + sin * self.y
        self.v = cos * self.y - sin * self.x

    def region(self, left: float, top: float, right: float, bottom: float) -> Region:
        """The pixels around a rectangle of the head frame."""
        cos, sin = np.cos(self.pose.roll), np.sin(self.pose.roll)
        corners = [(u, v) for u in (left, right) for v in (top, bottom)]
        x = [self.pose.shift_x + self.pose.scale * (cos * u - sin * v) for u, v in corners]
        y = [self.pose.shift_y + self.pose.scale * (sin * u + cos * v) for u, v in corners]
        return self._cut(self._pixels(min(y), max(y)), self._pixels(min(x), max(x)))

    def below(self, y: float) -> Region:
        """Everything under a height of the body frame, in full width."""
        top = self.pose.shift_y + self.pose.scale * y
        return self._cut(self._pixels(top, 1.0), slice(0, self.size))

    def _pixels(self, low: float, high: float) -> slice:
        first, last = (int(np.floor((value + 1) / 2 * self.size)) for value in (low, high))
        return slice(min(max(first - 1, 0), self.size), max(min(last + 2, self.size), 0))

    def _cut(self, rows: slice, columns: slice) -> Region:
        at = rows, columns
        return Region(
            at,
            self.u[at],
            self.v[at],
            self.x[:, columns],
            self.y[rows],
            self.rgb[:, rows, columns],
            self.labels[at],
        )

    def noise(self, grid: Grid, at: tuple[slice, slice] | None = None) -> Field:
        """Coarse noise, smoothly enlarged to the canvas, or to the part `at` of it."""
        rows, columns = at or (slice(None), slice(None))
        wide = np.ascontiguousarray(enlarge(grid.T, self.size, columns).T)
        return enlarge(wide, self.size, rows)

    def picture(self, factor: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
        """Colours [size, size, 3] averaged and labels [size, size] by majority over factor x factor blocks."""
        size = self.size // factor
        rows = self.rgb.reshape(3, size, factor, self.size).sum(axis=2)
        means = rows.reshape(3, size, size, factor).sum(axis=3) / factor**2
        return np.ascontiguousarray(means.transpose(1, 2, 0)), majority(self.labels, factor)


def enlarge(grid: Grid, size: int, rows: slice) -> Field:
    """Some rows of `grid` [knots, w] enlarged to [size, w].

    Not a product with a weight matrix: that would go through BLAS, whose threads cost more than they bring here and
    whose rounding differs between machines.
    """
    knots, taps = spline_taps(size, grid.shape[0])
    result = np.zeros((knots[0, rows].size, grid.shape[1]), np.float32)
    for knot, tap in zip(knots[:, rows], taps[:, rows], strict=True):
        result += tap[:, None] * grid[knot]
    return result


@lru_cache(maxsize=32)
def spline_taps(size: int, num_knots: int) -> tuple[npt.NDArray[np.int64], Field]:
    """The four knots of each pixel [4, size] and their weights [4, size].

    A cubic B-spline is smoother than bicubic interpolation, so that no lattice shows in hair and backdrop.
    """
    position = (np.arange(size) + 0.5) / size * (num_knots - 1)
    first = position.astype(np.int64)
    t = position - first
    taps = np.stack(((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)) / 6
    knots = np.clip(first + np.arange(-1, 3)[:, None], 0, num_knots - 1)
    return knots, taps.astype(np.float32)


def majority(labels: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """The commonest label of each factor x factor block; of equals, the lowest."""
    size = labels.shape[0] // factor
    blocks = labels.reshape(size, factor, size, factor).transpose(0, 2, 1, 3).reshape(size * size, factor**2)
    result = blocks[:, 0].copy()
    mixed = np.flatnonzero((blocks != result[:, None]).any(axis=1))  # few: counting all would cost more than painting
    num_labels = int(labels.max()) + 1
    keys = blocks[mixed].astype(np.int64) + num_labels * np.arange(mixed.size)[:, None]
    counts = np.bincount(keys.ravel(), minlength=num_labels * mixed.size).reshape(mixed.size, num_labels)
    result[mixed] = counts.argmax(axis=1)
    return result.reshape(size, size)
