"""Shapes that were drawn on an enlarged sample, at the size of the sample itself.

Outlines are divided, so that not a pixel differs from what the same outline covers on the sample. Of a mask the pixels
in the middle of each sample's pixel are kept, as `resize_labels` keeps them.
"""

import numpy as np

from gseg_cli.annotate.shapes import Bitmap, Ellipse, PackedBitmap, PixelPolygon, Polygon, Shape, Stroke


def reduced(shape: Shape, times: int) -> Shape:
    """times: how often the picture was enlarged, a whole number."""
    match shape:
        case Polygon():
            return Polygon(tuple(ring / times for ring in shape.rings))
        case PixelPolygon():  # its outline runs through the middle of pixels, which are small now
            return Polygon(tuple((ring + 0.5) / times for ring in shape.rings))
        case Ellipse():
            (x, y), (radius_x, radius_y) = shape.center, shape.radii
            return Ellipse((x / times, y / times), (radius_x / times, radius_y / times), shape.degrees)
        case Stroke():
            return Stroke(shape.points / times)
        case Bitmap() | PackedBitmap():
            return _reduced_bitmap(shape, times)


def _reduced_bitmap(bitmap: Bitmap | PackedBitmap, times: int) -> Bitmap:
    corner = np.array(bitmap.corner)
    first = -((times // 2 - corner) // times)  # the sample's first pixel whose middle is not before the mask's corner
    left, top = (first * times + times // 2 - corner).tolist()
    return Bitmap(bitmap.mask[top::times, left::times], (int(first[0]), int(first[1])))
