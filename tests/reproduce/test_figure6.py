"""Where the supervised network comes up to a line, and where the names of lines stand."""

import pytest

from gseg_cli.reproduce.chart import spread_out
from gseg_cli.reproduce.tables.figure6 import crossing

POINTS = [(1, 0.2), (10, 0.4), (100, 0.8), (1000, 0.7)]


@pytest.mark.parametrize(
    ("y", "x"), [(0.3, 10**0.5), (0.4, 10), (0.6, 10**1.5), (0.8, 100), (0.2, 1), (0.1, 1), (0.81, None)]
)
def test_the_crossing_is_interpolated_on_a_logarithmic_scale(y: float, x: float | None) -> None:
    assert crossing(POINTS, y) == (None if x is None else pytest.approx(x))


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
