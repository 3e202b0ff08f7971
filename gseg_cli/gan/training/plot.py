"""The curves of a run as one picture, drawn from its metrics.jsonl."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gseg_cli.charts import BLUE, FRAME, GREEN, ORANGE, PURPLE, RED, TEXT, WIDTH, End, as_pixels, name_ends
from gseg_runtime.label_map import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_HEIGHT = 2.1  # inches
FEW = 40  # points that are seen as such
PANELS = (
    ("loss", {"loss_D": RED, "loss_G": BLUE}),
    ("sign of D's scores, augmentation p", {"real_sign": GREEN, "held_out_sign": PURPLE, "p": ORANGE}),
    ("sliced Wasserstein distance", {"swd": TEXT}),
)
Values = npt.NDArray[np.float64]
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


@as_pixels
def draw_panels(panels: list[tuple[str, Lines]]) -> "Figure":
    """Panels one below the other over the same kimg."""
    from matplotlib.figure import Figure

    num_rows = max(len(panels), 1)
    figure = Figure((WIDTH, PANEL_HEIGHT * num_rows))
    column = figure.subplots(num_rows, sharex=True, squeeze=False)[:, 0]
    ends = [(axes, _draw(lines, title, axes)) for axes, (title, lines) in zip(column, panels, strict=False)]
    last_kimg = max((float(kimg[-1]) for _, lines in panels for kimg, _, _ in lines.values()), default=0)
    column[0].set_xlim(0, last_kimg or 1)
    column[-1].set_xlabel("kimg")
    name_ends(figure, ends)
    return figure


def _draw(lines: Lines, title: str, axes: "Axes") -> list[End]:
    axes.set_title(title)
    axes.axhline(0, color=FRAME, linewidth=0.8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    ends = []
    for name, (kimg, values, color) in lines.items():
        smooth = _moving_mean(values)
        axes.plot(kimg, smooth, color=color, marker="o" if len(kimg) < FEW else "", markersize=3, clip_on=False)
        ends.append(End(float(smooth[-1]), name, color))
    return ends


def _moving_mean(values: Values) -> Values:
    """Over about a fortieth of the run: single batches say little."""
    n = max(len(values) // 40, 1)
    padded = np.concatenate([np.full(n - 1, values[0]), values])
    return np.convolve(padded, np.full(n, 1 / n), mode="valid")
