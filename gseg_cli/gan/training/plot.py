"""The curves of a run as one picture, drawn from its metrics.jsonl."""

import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 200, 60, 24, 22  # of one panel
PANELS = (
    ("loss", {"loss_D": "#c8443c", "loss_G": "#2d6fb5"}),
    ("sign of D's scores, augmentation p", {"real_sign": "#5a9e48", "held_out_sign": "#9b6fc3", "p": "#d98a2b"}),
    ("sliced Wasserstein distance", {"swd": "#30343b"}),
)
Values = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]
Curve = tuple[Values, Values]  # kimg and value, both [N]
Lines = dict[str, tuple[Values, Values, str]]  # by name: a curve and its colour


def read_curves(path: Path) -> dict[str, Curve]:
    """By name: kimg and value, both [N]. A last line that a killed process left half written is passed over."""
    points: dict[str, list[tuple[float, float]]] = {}
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        for name, value in row.items():
            if name not in ("step", "wall_s") and value is not None:
                points.setdefault(name, []).append((row["step"] / 1000, value))
    return {name: (np.array(p)[:, 0], np.array(p)[:, 1]) for name, p in points.items()}


def draw_curves(curves: dict[str, Curve]) -> Pixels:
    """A panel each for losses, signs and distances, as far as there are figures: uint8 [H, W, 3]."""
    panels = [(title, {n: (*curves[n], c) for n, c in colors.items() if n in curves}) for title, colors in PANELS]
    return draw_panels([(title, lines) for title, lines in panels if lines])


def draw_panels(panels: list[tuple[str, Lines]]) -> Pixels:
    """Panels one below the other over the same kimg: uint8 [H, W, 3]."""
    image = Image.new("RGB", (WIDTH, HEIGHT * max(len(panels), 1)), "white")
    draw = ImageDraw.Draw(image)
    last_kimg = max((float(kimg[-1]) for _, lines in panels for kimg, _, _ in lines.values()), default=1.0) or 1.0
    for i, (title, lines) in enumerate(panels):
        _panel(draw, i * HEIGHT, title, lines, last_kimg)
    return np.asarray(image)


def _panel(draw: ImageDraw.ImageDraw, y0: int, title: str, lines: Lines, last_kimg: float) -> None:
    smooth = {name: (kimg, _moving_mean(values), color) for name, (kimg, values, color) in lines.items()}
    every = np.concatenate([values for _, values, _ in smooth.values()])
    ticks = _ticks(min(float(every.min()), 0.0), max(float(every.max()), 1e-6))
    top, bottom = y0 + TOP, y0 + HEIGHT - BOTTOM

    def x(kimg: float) -> float:
        return LEFT + (WIDTH - LEFT - 12) * kimg / last_kimg

    def y(value: float) -> float:
        return bottom - (bottom - top) * (value - ticks[0]) / (ticks[-1] - ticks[0])

    for tick in ticks:
        draw.line([LEFT, y(tick), WIDTH - 12, y(tick)], "#dddddd")
        draw.text((LEFT - 6, y(tick)), f"{tick:g}", "#666666", anchor="rm")
    for tick in _ticks(0.0, last_kimg)[:-1]:
        draw.text((x(tick), bottom + 4), f"{tick:g}", "#666666", anchor="mt")
    draw.text((WIDTH - 12, bottom + 4), "kimg", "#666666", anchor="rt")
    draw.text((LEFT, y0 + 4), title, "black")
    for i, (name, (kimg, values, color)) in enumerate(smooth.items()):
        draw.text((WIDTH - 12 - 110 * (len(smooth) - 1 - i), y0 + 4), name, color, anchor="ra")
        points = [(x(a), y(b)) for a, b in zip(kimg, values, strict=True)]
        if len(points) == 1:
            draw.ellipse([points[0][0] - 2, points[0][1] - 2, points[0][0] + 2, points[0][1] + 2], color)
        else:
            draw.line(points, color, width=2)


def _moving_mean(values: Values) -> Values:
    """Over about a fortieth of the run: single batches say little."""
    n = max(len(values) // 40, 1)
    padded = np.concatenate([np.full(n - 1, values[0]), values])
    return np.convolve(padded, np.full(n, 1 / n), mode="valid")


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers that enclose both ends."""
    step = 10 ** math.floor(math.log10(high - low))
    step *= next(f for f in (0.2, 0.5, 1.0, 2.0) if (high - low) / (step * f) <= 5)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]
