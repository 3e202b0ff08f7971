"""A chart with a column for each class."""

from collections.abc import Mapping, Sequence
from typing import Any

from gseg_cli.reproduce.chart import COLORS, Curve, Panel, draw_chart
from gseg_cli.reproduce.markdown import spread_of
from gseg_runtime.label_map import Pixels

WIDTH = 1300
_APART = 0.12  # of the width of a class


def class_chart(names: Sequence[str], series: Mapping[str, Sequence[dict[str, Any]]], title: str) -> Pixels:
    """series: by name the figures of `Score`, draw by draw."""
    curves = []
    for i, ((name, per_draw), color) in enumerate(zip(series.items(), COLORS, strict=False)):
        values = {n: [f["per_class_iou"][n] for f in per_draw if f["per_class_iou"][n] is not None] for n in names}
        there = [(k, values[n]) for k, n in enumerate(names) if values[n]]
        shift = (i - (len(series) - 1) / 2) * _APART
        points = [(k + shift, sum(v) / len(v)) for k, v in there]
        curves.append(Curve(name, points, [spread_of(v) for _, v in there], color, joined=False))
    panel = Panel(title, "", "IoU", list(enumerate(names)), curves)
    return draw_chart([panel], width=WIDTH)
