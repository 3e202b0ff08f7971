"""Shapes, and the pixels they cover.

One rule for nearly all: in a picture whose upper left corner is (0, 0), pixel (column, row) is the square from there to
(column + 1, row + 1), and a shape covers a pixel when it contains the pixel's centre. Polygons that share an edge
therefore neither overlap nor leave a gap. Drawing libraries cover every pixel an outline touches instead, which makes
each part half a pixel too large on all sides. A `PixelPolygon` is drawn so, because its program meant it so.
"""

import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from gseg_runtime.errors import GsegError

Points = npt.NDArray[np.float64]  # [N, 2], x and y in pixels
Mask = npt.NDArray[np.bool_]  # [H, W]

LINE_WIDTH = 10.0  # pixels; lines have no width of their own, and labelme's converters draw them so
_MAX_CROSSINGS = 20_000_000  # rows that the edges of one polygon cross; a bound on memory


@dataclass(frozen=True, eq=False)
class Polygon:
    """Closed rings, filled by the even-odd rule: a ring inside another one is a hole."""

    rings: tuple[Points, ...]


@dataclass(frozen=True, eq=False)
class PixelPolygon:
    """Closed rings whose corners are pixels, (column, row), not places between them; the second and later are holes.

    So programs count that keep corners within the last pixel. The outline belongs to the polygon, that of a hole to
    the hole.
    """

    rings: tuple[npt.NDArray[np.int64], ...]  # each [N, 2]


@dataclass(frozen=True)
class Ellipse:
    """Centre and radii in pixels; degrees: how far it is turned clockwise, as one sees it."""

    center: tuple[float, float]
    radii: tuple[float, float]
    degrees: float = 0


@dataclass(frozen=True, eq=False)
class Stroke:
    """A line through points, with round ends; a single point is a disc."""

    points: Points


@dataclass(frozen=True, eq=False)
class Bitmap:
    """A mask whose upper left pixel is (column, row) of the picture; what reaches over the picture is cut."""

    mask: Mask
    corner: tuple[int, int] = (0, 0)

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.mask.shape
        return height, width


@dataclass(frozen=True, eq=False)
class PackedBitmap:
    """A bitmap that waits to be painted: those of many large photos would fill the memory otherwise.

    data: a bit for each pixel, compressed; size: (height, width).
    """

    data: bytes
    size: tuple[int, int]
    corner: tuple[int, int]

    @classmethod
    def of(cls, bitmap: Bitmap) -> "PackedBitmap":
        return cls(zlib.compress(np.packbits(bitmap.mask).tobytes(), level=1), bitmap.size, bitmap.corner)

    @property
    def mask(self) -> Mask:
        bits = np.frombuffer(zlib.decompress(self.data), np.uint8)
        return np.unpackbits(bits, count=math.prod(self.size)).view(np.bool_).reshape(self.size)


def cropped(bitmap: Bitmap) -> Bitmap:
    """The same, without empty rows and columns around it."""
    rows, columns = (np.flatnonzero(bitmap.mask.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return Bitmap(np.zeros((0, 0), bool), bitmap.corner)
    part = bitmap.mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Bitmap(part.copy(), (bitmap.corner[0] + int(columns[0]), bitmap.corner[1] + int(rows[0])))


Shape = Polygon | PixelPolygon | Ellipse | Stroke | Bitmap | PackedBitmap


def discs(points: Points) -> list["Shape"]:
    """Points that stand alone."""
    return [Stroke(point[None]) for point in points]


def pixel_rectangle(points: Points) -> PixelPolygon:
    """The box around corners, in any order; pixels that are cut by the numbers' integer part, as by Pillow."""
    (left, top), (right, bottom) = points.astype(np.int64).min(axis=0), points.astype(np.int64).max(axis=0)
    return PixelPolygon((np.array([(left, top), (right, top), (right, bottom), (left, bottom)]),))


def rectangle(corner: tuple[float, float], size: tuple[float, float], degrees: float = 0) -> Polygon:
    """A rectangle by its upper left corner, turned around that corner by `degrees` clockwise."""
    turn = math.radians(degrees)
    right, down = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
    first, across, along = np.array(corner), right * size[0], down * size[1]
    return Polygon((np.array([first, first + across, first + across + along, first + along]),))


def turned(corners: Points, degrees: float) -> Points:
    """Around the middle of them, clockwise."""
    turn, middle = math.radians(degrees), corners.mean(axis=0)
    matrix = np.array([(math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))])
    return (corners - middle) @ matrix + middle


def enlarged(shape: Shape, size: tuple[int, int]) -> Shape:
    """A polygon in shares of (width, height), in pixels."""
    assert isinstance(shape, Polygon)
    return Polygon(tuple(ring * size for ring in shape.rings))


def extent(shape: Shape) -> float:
    """How far right or down it lies. Circles are often drawn over an edge, so only their centre and radii count."""
    match shape:
        case Polygon() | PixelPolygon():
            return max(float(ring.max()) for ring in shape.rings)
        case Ellipse():
            return max(*shape.center, *shape.radii)
        case Stroke():
            return float(shape.points.max())
        case Bitmap() | PackedBitmap():
            (height, width), (x, y) = shape.size, shape.corner
            return max(x + width, y + height)


def cover(shape: Shape, height: int, width: int, line_width: float = LINE_WIDTH) -> Mask:
    """[H, W]: the pixels whose centre is in the shape. GsegError when that would take absurdly long."""
    match shape:
        case Polygon():
            return _cover_polygon(shape.rings, height, width)
        case PixelPolygon():
            return _cover_pixels(shape.rings, height, width)
        case Ellipse():
            return _cover_ellipse(shape, height, width)
        case Stroke():
            return _cover_stroke(shape.points, line_width / 2, height, width)
        case Bitmap() | PackedBitmap():
            return _cover_bitmap(shape.mask, shape.corner, height, width)


def effort(shape: Shape, height: int, width: int, line_width: float = LINE_WIDTH) -> int:
    """About how many pixels `cover` looks at; a row that an edge crosses costs as much as ten."""
    match shape:
        case Polygon():
            box = _box_around(np.concatenate(shape.rings), height, width)
            return box + 10 * sum(_rows_crossed(ring, height) for ring in shape.rings)
        case PixelPolygon():
            steps = sum(int(np.abs(ring - np.roll(ring, 1, axis=0)).max(axis=1).sum()) for ring in shape.rings)
            return _box_around(shape.rings[0], height, width) + 10 * steps + height * sum(map(len, shape.rings))
        case Stroke():
            return height * width // 8 + _box_pixels(shape.points, line_width / 2, height, width)
        case Bitmap() | PackedBitmap():
            return height * width // 8 + math.prod(shape.size)
        case Ellipse():
            return height * width // 8 + 10 * _box_pixels(np.array([shape.center]), max(shape.radii), height, width)


def _box_around(points: npt.NDArray[Any], height: int, width: int) -> int:
    """Pixels of the box, and an eighth of the picture for what is done with the whole mask."""
    return height * width // 8 + int(np.ptp(points.clip(0, (width, height)), axis=0).prod())


def _rows_crossed(ring: Points, height: int) -> int:
    y = ring[:, 1].clip(0, height)
    return int(np.abs(y - np.roll(y, 1)).sum())


def _box_pixels(points: Points, radius: float, height: int, width: int) -> int:
    """In the boxes around the parts of a line, and 1000 for each part."""
    starts, ends = _parts_of(points)
    low = (np.minimum(starts, ends) - radius).clip(0, (width, height))
    high = (np.maximum(starts, ends) + radius).clip(0, (width, height))
    return int((high - low).prod(axis=1).sum()) + 1000 * len(points)


def _cover_polygon(rings: tuple[Points, ...], height: int, width: int) -> Mask:
    """Where a row's centre line crosses an edge, inside and outside change places."""
    edges = np.concatenate([np.hstack([ring, np.roll(ring, -1, axis=0)]) for ring in rings])  # [E, 4]
    # From top to bottom, so that an edge that two polygons share is rounded alike in both.
    edges = np.where(edges[:, 1:2] > edges[:, 3:4], edges[:, [2, 3, 0, 1]], edges)
    first, last = (_first_centre(edges[:, column], height) for column in (1, 3))
    num_rows = last - first  # rows whose centre an edge crosses; none for a level edge
    if num_rows.sum() > _MAX_CROSSINGS:
        raise GsegError(f"a polygon of {len(edges)} points crosses {num_rows.sum()} rows", "simplify it")
    edge = np.repeat(np.arange(len(edges)), num_rows)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(num_rows) - num_rows, num_rows) + first[edge]
    x0, y0, x1, y1 = edges[edge].T
    column = _first_centre(x0 + (row + 0.5 - y0) * (x1 - x0) / (y1 - y0), width)
    mask, top, bottom = np.zeros((height, width), bool), int(first.min()), int(last.max())
    if not len(column):
        return mask
    left, right = int(column.min()), int(column.max())  # behind the last crossing all is outside
    width = right - left + 1
    crossings = np.bincount((row - top) * width + column - left, minlength=(bottom - top) * width)
    mask[top:bottom, left:right] = np.cumsum(crossings.reshape(-1, width), axis=1)[:, :-1] % 2 == 1
    return mask


def _cover_pixels(rings: tuple[npt.NDArray[np.int64], ...], height: int, width: int) -> Mask:
    """By Pillow, with which labelme fills its shapes; no more than the box around them is drawn."""
    mask = np.zeros((height, width), bool)
    left, top = np.maximum(rings[0].min(axis=0), 0).tolist()
    right, bottom = np.minimum(rings[0].max(axis=0) + 1, (width, height)).tolist()
    if right <= left or bottom <= top:
        return mask
    image = Image.new("L", (right - left, bottom - top))
    draw = ImageDraw.Draw(image)
    for index, ring in enumerate(rings):
        value = int(index == 0)
        draw.polygon([(x, y) for x, y in (ring - (left, top)).tolist()], fill=value, outline=value)
    mask[top:bottom, left:right] = np.asarray(image) > 0
    return mask


def _first_centre(position: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.intp]:
    """The first pixel whose centre is not before the position, within 0 to `size`."""
    return np.clip(np.ceil(position - 0.5), 0, size).astype(np.intp)


def _cover_ellipse(ellipse: Ellipse, height: int, width: int) -> Mask:
    turn, reach = math.radians(ellipse.degrees), max(ellipse.radii)
    mask = np.zeros((height, width), bool)
    (left, right), (top, bottom) = (
        _first_centre(np.array([middle - reach, middle + reach]), size).tolist()
        for middle, size in zip(ellipse.center, (width, height), strict=True)
    )
    x, y = np.arange(left, right) + 0.5 - ellipse.center[0], (np.arange(top, bottom) + 0.5 - ellipse.center[1])[:, None]
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    radius_x, radius_y = ellipse.radii
    inside = (along * radius_y) ** 2 + (across * radius_x) ** 2 < (radius_x * radius_y) ** 2
    mask[top:bottom, left:right] = inside
    return mask


def _cover_stroke(points: Points, radius: float, height: int, width: int) -> Mask:
    mask = np.zeros((height, width), bool)
    for start, end in zip(*_parts_of(points), strict=True):
        (left, right), (top, bottom) = (
            _first_centre(np.array([min(a, b) - radius, max(a, b) + radius]), size).tolist()
            for a, b, size in zip(start, end, (width, height), strict=True)
        )
        x, y = np.arange(left, right) + 0.5 - start[0], (np.arange(top, bottom) + 0.5 - start[1])[:, None]
        dx, dy = end - start
        share = np.clip((x * dx + y * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)  # of the way, at the nearest point
        mask[top:bottom, left:right] |= (x - share * dx) ** 2 + (y - share * dy) ** 2 < radius**2
    return mask


def _parts_of(line: Points) -> tuple[Points, Points]:
    """Where its straight parts start and end; a single point is one."""
    return (line[:-1], line[1:]) if len(line) > 1 else (line, line)


def _cover_bitmap(bits: Mask, corner: tuple[int, int], height: int, width: int) -> Mask:
    mask, (x, y) = np.zeros((height, width), bool), corner
    part = bits[max(0, -y) : max(0, height - y), max(0, -x) : max(0, width - x)]
    mask[max(0, y) : max(0, y) + part.shape[0], max(0, x) : max(0, x) + part.shape[1]] = part
    return mask
