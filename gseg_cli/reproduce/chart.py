"""Charts of shares between 0 and 1: curves with their spread, level lines across, each named at its right end.

Drawn with Pillow at twice the size and reduced, which smooths the lines.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gseg_runtime.label_map import Pixels

WIDTH, HEIGHT = 760, 520  # of one panel
LEFT, TOP, BOTTOM = 84, 84, 76  # margins; the names take what they need at the right
TO_NAME = 20  # from the axes
FONT, TITLE = 19, 24
SCALE = 2
BLUE, RED, ORANGE, GREEN, GREY = "#2d6fb5", "#c8443c", "#d98a2b", "#5a9e48", "#666666"
COLORS = (BLUE, RED, ORANGE, GREEN, "#9b6fc3")
TEXT, GRID, FRAME = "#30343b", "#e4e4e4", "#999999"

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """Points (x, y), and the spread above and below each."""

    name: str
    points: Sequence[Point]
    spread: Sequence[float]
    color: str
    joined: bool = True


@dataclass(frozen=True)
class Level:
    """A line across at y, with a band of its spread."""

    name: str
    y: float
    spread: float
    color: str
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A ring, a dotted line from it down to the axis, and lines of text at one side of its foot."""

    at: Point
    text: str
    color: str
    side: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Panel:
    """ticks: x and what stands there; log: of the x axis."""

    title: str
    x_name: str
    y_name: str
    ticks: Sequence[tuple[float, str]]
    curves: Sequence[Curve] = ()
    levels: Sequence[Level] = ()
    marks: Sequence[Mark] = field(default=())
    log: bool = False


def draw_chart(panels: Sequence[Panel], columns: int = 2, width: int = WIDTH) -> Pixels:
    """The panels in rows of so many, each `width` wide, all with the same y axis: uint8 [H, W, 3]."""
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    image = Image.new("RGB", (columns * width * SCALE, rows * HEIGHT * SCALE), "white")
    (low, high), names_width = _y_range(panels), _names_width(panels)
    for i, panel in enumerate(panels):
        x0, y0 = i % columns * width, i // columns * HEIGHT
        _Panel(panel, low, high, ImageDraw.Draw(image), x0, y0, width, names_width).draw()
    small = image.resize((image.width // SCALE, image.height // SCALE), Image.Resampling.LANCZOS)
    return np.asarray(small)


def _names_width(panels: Sequence[Panel]) -> float:
    names = [curve.name for panel in panels for curve in panel.curves]
    names += [level.name for panel in panels for level in panel.levels]
    return TO_NAME + max(ImageFont.load_default(FONT).getlength(name) for name in names) + TO_NAME


def _y_range(panels: Iterable[Panel]) -> tuple[float, float]:
    """Round tenths around all that is drawn."""
    values: list[float] = []
    for panel in panels:
        spans = [(y, s) for curve in panel.curves for (_, y), s in zip(curve.points, curve.spread, strict=True)]
        spans += [(level.y, level.spread) for level in panel.levels]
        values += [v for y, spread in spans for v in (y - spread, y + spread)]
    low, high = math.floor(10 * min(values) + 1e-6) / 10, math.ceil(10 * max(values) - 1e-6) / 10
    return max(0.0, low), min(1.0, max(high, low + 0.1))


class _Panel:
    """Where things stand. x0, y0: of the panel in the picture; all in pixels of the reduced picture."""

    def __init__(
        self, panel: Panel, low: float, high: float, draw: ImageDraw.ImageDraw, x0: int, y0: int, width: int,
        names_width: float,
    ) -> None:  # fmt: skip
        self.panel, self.low, self.high, self.pen = panel, low, high, draw
        self.left, self.right = x0 + LEFT, x0 + width - names_width
        self.top, self.bottom = y0 + TOP, y0 + HEIGHT - BOTTOM
        positions = [self._place(x) for x, _ in panel.ticks]
        positions += [self._place(x) for curve in panel.curves for x, _ in curve.points]
        pad = 0.04 * (max(positions) - min(positions) or 1)
        self.first, self.last = min(positions) - pad, max(positions) + pad

    def draw(self) -> None:
        for level in self.panel.levels:
            self._band(level)
        self._axes()
        for level in self.panel.levels:
            self._level(level)
        for curve in self.panel.curves:
            self._curve(curve)
        for mark in self.panel.marks:
            self._mark(mark)
        self._names()

    def _place(self, x: float) -> float:
        return math.log10(x) if self.panel.log else x

    def _x(self, x: float) -> float:
        return self.left + (self.right - self.left) * (self._place(x) - self.first) / (self.last - self.first)

    def _y(self, y: float) -> float:
        return self.bottom - (self.bottom - self.top) * (y - self.low) / (self.high - self.low)

    def _axes(self) -> None:
        step = 0.1 if self.high - self.low > 0.25 else 0.05
        for k in range(round(self.low / step), round(self.high / step) + 1):
            self._line([(self.left, self._y(k * step)), (self.right, self._y(k * step))], GRID)
            self._text((self.left - 10, self._y(k * step)), f"{k * step:.2g}", GREY, "rm")
        for x, name in self.panel.ticks:
            self._line([(self._x(x), self.bottom), (self._x(x), self.bottom + 6)], FRAME)
            self._text((self._x(x), self.bottom + 12), name, GREY, "ma")
        self._line([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)], FRAME, 1.5)
        self._text(((self.left + self.right) / 2, self.bottom + 42), self.panel.x_name, TEXT, "ma")
        self._text((self.left - LEFT + 20, self.top - 68), self.panel.title, TEXT, "la", TITLE)
        self._text((self.left, self.top - 10), self.panel.y_name, GREY, "ls")

    def _band(self, level: Level) -> None:
        if level.spread:
            top, bottom = (self._y(min(self.high, max(self.low, level.y + s))) for s in (level.spread, -level.spread))
            self._shape("rectangle", (self.left, top, self.right, bottom), _pale(level.color))

    def _level(self, level: Level) -> None:
        y, dash = self._y(level.y), 9 if level.dashed else self.right - self.left
        self._dashes((self.left, y), (self.right, y), level.color, 2.5, dash)

    def _curve(self, curve: Curve) -> None:
        points = [(self._x(x), self._y(y)) for x, y in curve.points]
        for (x, _), (_, y), spread in zip(points, curve.points, curve.spread, strict=True):
            if spread:
                ends = max(self.low, y - spread), min(self.high, y + spread)
                self._line([(x, self._y(end)) for end in ends], curve.color, 1.5)
        if curve.joined:
            self._line(points, curve.color, 3)
        for x, y in points:
            self._shape("ellipse", (x - 5, y - 5, x + 5, y + 5), curve.color)

    def _mark(self, mark: Mark) -> None:
        x, y = self._x(mark.at[0]), self._y(mark.at[1])
        box = tuple(SCALE * v for v in (x - 8, y - 8, x + 8, y + 8))
        self.pen.ellipse(box, outline=mark.color, width=round(2.5 * SCALE))
        self._dashes((x, y + 8), (x, self.bottom), mark.color, 1.5, dash=4)
        lines = mark.text.split("\n")
        for i, line in enumerate(lines):
            at = x + (10 if mark.side == "right" else -10), self.bottom - 16 - (FONT + 3) * (len(lines) - 1 - i)
            self._text(at, line, mark.color, "lm" if mark.side == "right" else "rm")

    def _names(self) -> None:
        """At the right, pushed apart where they would lie over each other, and then with a line to what they name."""
        ends = [(self._y(curve.points[-1][1]), curve.name, curve.color) for curve in self.panel.curves]
        ends += [(self._y(level.y), level.name, level.color) for level in self.panel.levels]
        ends.sort()
        for (y, name, color), at in zip(ends, spread_out([y for y, _, _ in ends], FONT + 3), strict=True):
            if abs(at - y) > 3:
                self._line([(self.right + 3, y), (self.right + TO_NAME - 4, at)], color, 1)
            self._text((self.right + TO_NAME, at), name, color, "lm")

    def _dashes(self, start: Point, end: Point, color: str, width: float, dash: float) -> None:
        (x0, y0), (x1, y1) = start, end
        length = math.hypot(x1 - x0, y1 - y0)
        for begin in np.arange(0, length, dash * 1.7):
            ends = begin / length, min(begin + dash, length) / length
            self._line([(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t) for t in ends], color, width)

    def _line(self, points: Sequence[Point], color: str, width: float = 1) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self.pen.line(scaled, color, width=round(width * SCALE), joint="curve")

    def _shape(self, kind: str, box: tuple[float, float, float, float], color: str) -> None:
        getattr(self.pen, kind)([v * SCALE for v in box], color)

    def _text(self, at: Point, text: str, color: str, anchor: str, size: int = FONT) -> None:
        font = ImageFont.load_default(size * SCALE)
        self.pen.text((at[0] * SCALE, at[1] * SCALE), text, color, font=font, anchor=anchor)


def spread_out(positions: Sequence[float], distance: float) -> list[float]:
    """Sorted positions at least so far from each other, each group around the middle of what it was moved from."""
    groups: list[list[float]] = []
    for position in positions:
        groups.append([position])
        while len(groups) > 1 and _first(groups[-1], distance) - _last(groups[-2], distance) < distance:
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, distance) + i * distance for group in groups for i in range(len(group))]


def _first(group: Sequence[float], distance: float) -> float:
    return sum(group) / len(group) - distance * (len(group) - 1) / 2


def _last(group: Sequence[float], distance: float) -> float:
    return _first(group, distance) + distance * (len(group) - 1)


def _pale(color: str) -> str:
    """Nine tenths white."""
    return "#" + "".join(f"{round(255 - (255 - int(color[i : i + 2], 16)) * 0.1):02x}" for i in (1, 3, 5))
