"""A chart with a row for each class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gseg_cli.charts import COLORS, WIDTH, as_pixels
from gseg_cli.reproduce.markdown import spread_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW, _APART = 0.3, 0.22  # inches; of a row


@as_pixels
def class_chart(names: Sequence[str], series: Mapping[str, Sequence[dict[str, Any]]], title: str) -> "Figure":
    """series: by name the figures of `Score`, draw by draw."""
    from matplotlib.figure import Figure

    figure = Figure((WIDTH, 1 + _ROW * len(names)))
    axes = figure.subplots()
    for i, ((name, per_draw), color) in enumerate(zip(series.items(), COLORS, strict=False)):
        values = {n: [f["per_class_iou"][n] for f in per_draw if f["per_class_iou"][n] is not None] for n in names}
        shift = (i - (len(series) - 1) / 2) * _APART
        there = [(k + shift, values[n]) for k, n in enumerate(names) if values[n]]
        spread = [spread_of(v) for _, v in there]
        mean = [sum(v) / len(v) for _, v in there]
        axes.errorbar(mean, [y for y, _ in there], xerr=spread, fmt="o", color=color, elinewidth=1, label=name)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(True, axis="x")
    axes.set_xlabel("IoU")
    axes.set_title(title)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1.03), ncols=len(series))
    return figure
