"""A simulated outline covers its part as well as few corners can, and keeps inside."""

import numpy as np

from benchmarks.outlines import covered, outlined

Y, X = np.mgrid[:40, :40] + 0.5


def test_a_rectangle_is_covered_exactly():
    part = (Y > 5) & (Y < 11) & (X > 20) & (X < 39)
    assert (outlined(part) == part).all()


def test_a_part_at_the_border_is_covered_to_the_border():
    part = (Y < 4) & (X > 30)
    assert (outlined(part) == part).all()


def test_a_round_part_is_covered_nearly_whole_and_hardly_crossed():
    part = ((Y - 19) / 14) ** 2 + ((X - 21) / 9) ** 2 < 1
    drawn = outlined(part)
    assert (drawn & part).sum() > 0.93 * part.sum()
    assert (drawn & ~part).sum() < 0.02 * part.sum()


def test_holes_are_painted_over():
    ring = (abs(Y - 20) < 10) & (abs(X - 20) < 10) & ~((abs(Y - 20) < 3) & (abs(X - 20) < 3))
    assert outlined(ring)[20, 20]


def test_pixels_count_whose_middle_lies_inside():
    square = np.array([[0.4, 0.4], [0.4, 2.6], [2.6, 2.6], [2.6, 0.4]])
    assert (covered(square, 4, 4)[:3, :3]).all() and covered(square, 4, 4).sum() == 9
