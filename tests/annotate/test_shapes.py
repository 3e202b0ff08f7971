"""A shape covers the pixels whose centres are in it."""

import numpy as np
import pytest

from gseg_cli.annotate.shapes import Bitmap, Ellipse, Polygon, Stroke, cover, rectangle
from gseg_runtime.errors import GsegError


def polygon(*rings):
    return Polygon(tuple(np.array(ring, float) for ring in rings))


def rows(mask):
    return ["".join(".#"[int(value)] for value in row) for row in mask]


def test_a_pixel_belongs_to_the_polygon_that_holds_its_centre():
    square = polygon([(1, 1), (3.5, 1), (3.5, 2.51), (1, 2.51)])
    assert rows(cover(square, 4, 5)) == [".....", ".##..", ".##..", "....."]
    assert rows(cover(polygon([(1, 1), (3.51, 1), (3.51, 2.49), (1, 2.49)]), 4, 5)) == [
        ".....",
        ".###.",
        ".....",
        ".....",
    ]


def test_polygons_that_share_edges_neither_overlap_nor_leave_gaps():
    random = np.random.RandomState(0)
    centre, corners = random.uniform(10, 22, 2), [(0, 0), (32, 0), (32, 32), (0, 32)]
    fan = [polygon([centre, corners[i], corners[(i + 1) % 4]][:: (-1) ** i]) for i in range(4)]
    assert (np.sum([cover(part, 32, 32) for part in fan], axis=0) == 1).all()


def test_a_ring_inside_another_is_a_hole_and_what_is_outside_of_the_picture_is_cut():
    ring = polygon([(-9, -9), (4, -9), (4, 4), (-9, 4)], [(1, 1), (3, 1), (3, 3), (1, 3)])
    assert rows(cover(ring, 5, 5)) == ["####.", "#..#.", "#..#.", "####.", "....."]


def test_many_random_polygons_agree_with_the_winding_of_each_centre():
    for seed in range(20):
        ring = np.random.RandomState(seed).uniform(-3, 19, (7, 2))
        mask = cover(Polygon((ring,)), 16, 16)
        assert all(
            mask[row, column] == inside(ring, column + 0.5, row + 0.5) for row in range(16) for column in range(16)
        )


def inside(ring, x, y):
    """Crossings of a ray to the right, edge by edge."""
    crossings = 0
    for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if (y0 <= y) != (y1 <= y):
            crossings += x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x
    return crossings % 2 == 1


def test_a_rectangle_turns_around_its_corner_clockwise():
    assert np.array_equal(cover(rectangle((1, 1), (3, 2)), 6, 6), cover(rectangle((4, 1), (2, 3), 90), 6, 6))


def test_an_ellipse_has_its_area_and_turns():
    circle = cover(Ellipse((32.3, 31.8), (20, 20)), 64, 64)
    assert circle.sum() == pytest.approx(np.pi * 400, rel=0.01)
    upright = cover(Ellipse((32, 32), (8, 20)), 64, 64)
    assert np.array_equal(upright, cover(Ellipse((32, 32), (20, 8), 90), 64, 64))


def test_a_line_is_as_wide_as_asked_and_a_point_is_a_disc():
    line = cover(Stroke(np.array([(4.0, 8.0), (28.0, 8.0)])), 16, 32, 4)
    assert line[:, 16].sum() == 4 and rows(line[5:11, :4]) == ["....", "...#", "..##", "..##", "...#", "...."]
    assert cover(Stroke(np.array([(8.0, 8.0)])), 16, 16, 10).sum() == pytest.approx(np.pi * 25, rel=0.05)


def test_a_bitmap_is_placed_and_cut():
    mask = np.ones((3, 3), bool)
    assert rows(cover(Bitmap(mask, (-1, 2)), 4, 4)) == ["....", "....", "##..", "##.."]
    assert not cover(Bitmap(mask, (9, 9)), 4, 4).any()


def test_a_polygon_that_would_take_gigabytes_is_refused():
    zigzag = np.stack([np.arange(60_000) % 7, np.arange(60_000) % 2 * 4000.0], axis=1)
    with pytest.raises(GsegError, match="60000 points crosses"):
        cover(Polygon((zigzag,)), 4000, 8)
