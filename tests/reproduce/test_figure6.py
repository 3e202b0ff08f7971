"""Where the supervised network comes up to a line."""

import pytest

from gseg_cli.reproduce.tables.figure6 import crossing

POINTS = [(1, 0.2), (10, 0.4), (100, 0.8), (1000, 0.7)]


@pytest.mark.parametrize(
    ("y", "x"), [(0.3, 10**0.5), (0.4, 10), (0.6, 10**1.5), (0.8, 100), (0.2, 1), (0.1, 1), (0.81, None)]
)
def test_the_crossing_is_interpolated_on_a_logarithmic_scale(y: float, x: float | None) -> None:
    assert crossing(POINTS, y) == (None if x is None else pytest.approx(x))
