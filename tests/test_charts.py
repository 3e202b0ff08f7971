"""Charts look the same everywhere, and their names can be read."""

import warnings

import matplotlib
import numpy as np
import pytest

from gseg_cli.charts import BLUE, RED, End, as_pixels, name_ends, spread_out
from gseg_cli.reproduce.chart import Curve, Level, Mark, Panel, draw_chart
from tests.test_imports import python

POINTS = [(1, 0.2), (10, 0.5), (100, 0.6)]
TICKS = [(x, f"{x}") for x, _ in POINTS]
PANEL = Panel(
    "$x_1$ of 目", "photos", "IoU", TICKS,
    [Curve("ours", POINTS, [0.1, 0, 0], BLUE)], [Level("theirs", 0.59, 0.02, RED)], [Mark((10, 0.5), "here", RED)],
    log=True,
)  # fmt: skip


def test_a_chart_is_the_same_whatever_the_users_settings_and_leaves_them_alone() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = draw_chart([PANEL])
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "black", "text.usetex": True}):
        np.testing.assert_array_equal(draw_chart([PANEL]), picture)
        assert matplotlib.rcParams["font.size"] == 30
    assert picture.dtype == np.uint8 and picture.ndim == 3 and (picture[0] == 255).all()


def test_several_panels_have_one_height_and_one_legend() -> None:
    one, two = draw_chart([PANEL]), draw_chart([PANEL, PANEL])
    assert one.shape == pytest.approx(two.shape, abs=2)


def test_the_names_of_lines_that_end_near_each_other_are_written_apart_and_inside_the_picture() -> None:
    from matplotlib.figure import Figure

    heights = []

    @as_pixels
    def draw() -> Figure:
        figure = Figure((4, 2))
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1])
        name_ends(figure, [(axes, [End(0.5, "a very long name indeed", BLUE), End(0.51, "another", RED)])])
        boxes = [text.get_window_extent() for text in axes.texts]
        heights.extend([boxes[0].y1, boxes[1].y0])
        assert max(box.x1 for box in boxes) < figure.bbox.x1
        return figure

    draw()
    assert heights[0] <= heights[1]


def test_nothing_global_is_touched_to_draw() -> None:
    code = """
import sys
from gseg_cli.gan.training.plot import draw_curves
before = "matplotlib" in sys.modules
draw_curves({})
print(before, "matplotlib" in sys.modules, "matplotlib.pyplot" in sys.modules)"""
    assert python(code).split() == ["False", "True", "False"]


@pytest.mark.parametrize(
    ("wanted", "apart"),
    [
        ([10, 50], [10, 50]),
        ([10, 12, 60], [6, 16, 60]),
        ([10, 12, 25], [5.67, 15.67, 25.67]),
        ([0, 0, 0], [-10, 0, 10]),
    ],
)
def test_names_that_would_lie_over_each_other_are_spread_around_what_they_name(
    wanted: list[float], apart: list[float]
) -> None:
    assert spread_out(wanted, 10) == pytest.approx(apart, abs=0.01)
