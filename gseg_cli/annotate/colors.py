"""Label maps drawn in colours: which class each pixel means, when colours have drifted and edges are smoothed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gseg_cli.annotate.drawing import Layer
from gseg_cli.annotate.shapes import Bitmap, Mask
from gseg_cli.annotate.template_colors import class_of_shades, is_template_color
from gseg_cli.counted import counted
from gseg_runtime.class_map import IGNORE, Color, format_color
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import Pixels

TOLERANCE = 16  # levels of a channel that a colour may differ by
EDGE_WIDTH = 16  # pixels; smoothed edges are narrower
MIN_COLORS, MAX_COLORS = (
    512,
    20_000,
)  # a quarter of the pixels between these: photos have more, smoothed label maps fewer
MOST_HIGH = 16  # higher byte of an object's number: 4351 of them in a picture; colours have more green, or none
_UNDECIDED, _UNLABELLED = -1, -2


@dataclass(frozen=True)
class ColorKey:
    """Which colour means which label."""

    labels: tuple[str, ...]
    colors: npt.NDArray[np.int16]  # [K, 3]

    @classmethod
    def of(cls, colors: Mapping[str, Color], where: str) -> "ColorKey":
        """GsegError when two labels have the same colour."""
        seen: dict[Color, str] = {}
        for label, color in colors.items():
            if color in seen:
                message = f"{where}: {seen[color]} and {label} have the same colour, {format_color(color)}"
                raise GsegError(message, "give each class its own colour in gseg.toml")
            seen[color] = label
        return cls(tuple(colors), np.array(list(colors.values()), np.int16))

    def nearest(self, colors: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int16]]:
        """For colours [N, 3] the row of the nearest label, and the greatest difference of a channel.

        The difference is raised above TOLERANCE where another label is nearly as near.
        """
        gaps = np.abs(colors[:, None].astype(np.int16) - self.colors).max(axis=2)  # [N, K]
        best = gaps.argmin(axis=1)
        drift = gaps[np.arange(len(colors)), best]
        others = np.where(np.arange(len(self.labels)) == best[:, None], 255, gaps).min(axis=1)
        return best, np.where((drift > 0) & (2 * drift >= others), 255, drift).astype(np.int16)


def are_indices(pixels: Pixels, colors: Sequence[Color], where: str) -> bool:
    """Whether a picture in colours holds class indices in each channel, as programs without greyscale save them.

    pixels: [N, 3 or 4]; colors: of the classes. Read by colour, the darkest greys would all be a black background.
    GsegError where a grey is also the colour of another class.
    """
    if (pixels[:, :3] != pixels[:, :1]).any():
        return False
    values = np.unique(pixels[:, 0]).tolist()
    others = [value for value in values if (value, value, value) not in colors]
    if others in ([], [IGNORE]) or any(value >= len(colors) and value != IGNORE for value in values):
        return False  # black and white are a mask, hardly background and ignored pixels
    moved = [value for value in values if value not in others and colors.index((value, value, value)) != value]
    if moved:
        message = f"{where}: value {moved[0]} is a class index, but its grey is the colour of another class"
        raise GsegError(message, "save class indices as an indexed or greyscale PNG, or draw in the class colours")
    return True


def refuse_numbers(pixels: Pixels, colors: Sequence[Color], where: str) -> None:
    """GsegError for numbers of objects as colours, red + 256 * green + 65536 * blue, as panoptic data sets have them.

    pixels: [N, 3 or 4]; colors: of the classes. Read by colour, small numbers would all be a black background.
    """
    has_reds = any(red and green <= MOST_HIGH and not blue for red, green, blue in colors)
    if not has_reds and pixels[:, 0].any() and pixels[:, 1].max() <= MOST_HIGH and not pixels[:, 2].any():
        message = f"{where}: numbers of objects, saved as colours; which class each has stands in another file"
        hint = "export class indices as PNG (Segments.ai's format semantic), or COCO panoptic with its JSON"
        raise GsegError(message, hint)


def by_index(where: str) -> str:
    """A warning."""
    return f"{where}: class indices in three channels, so it is read by index, not by colour"


def layers_of_colors(
    pixels: Pixels, is_clear: Mask | None, key: ColorKey, unlabelled: str | None, where: str
) -> tuple[list[Layer], list[str]]:
    """A layer per label in a colour picture, and what had to be assumed.

    pixels: [H, W, 3]; is_clear: [H, W], transparent pixels; they are unlabelled, as those of the label `unlabelled`.
    Pixels of no label's colour, as on smoothed edges, take the label of their neighbours. GsegError when an area of
    such a colour is larger than an edge, since then a label is missing.
    """
    picture = _Picture.of(pixels, where)
    colors, counts = picture.colors, picture.counts
    row, drift = key.nearest(colors)
    near = np.where(drift <= TOLERANCE, row, _UNDECIDED)
    shade = _shades_in(colors, counts, drift, key)
    drift[shade >= 0] = 0  # they are meant as they are
    near = np.where(shade >= 0, shade, near)
    values = np.where(is_template_color(colors) & (drift > 0), _UNLABELLED, near).astype(np.int16)
    labels = values[picture.numbers]  # [H, W], rows of the key
    if is_clear is not None:
        labels[is_clear] = _UNLABELLED
    _refuse_flat_areas(picture, labels, key, where)
    warnings = _fill_edges(picture, labels, key, where)
    known = (drift > 0) & (values >= 0)
    if known.any():
        warnings.append(
            f"{where}: {counted(counts[known].sum(), 'pixel')} of other colours than the classes', by up to "
            f"{counted(drift[known].max(), 'level')}"
        )
    rows = [index for index in np.unique(labels).tolist() if index >= 0 and key.labels[index] != unlabelled]
    return [Layer(key.labels[index], Bitmap(labels == index)) for index in rows], warnings


def _shades_in(
    colors: Pixels, counts: npt.NDArray[np.intp], drift: npt.NDArray[np.int16], key: ColorKey
) -> npt.NDArray[np.intp]:
    """[N]: of which label each colour is a shade, -1 of none. In a filled template nearly all others are shades; where
    most are not, it is another picture, in which a few look like shades by chance."""
    shade = class_of_shades(colors, key.colors)
    is_template = 2 * counts[shade >= 0].sum() >= counts[drift > 0].sum()
    return shade if is_template else np.full_like(shade, -1)


@dataclass(frozen=True, eq=False)
class _Picture:
    """The different colours [N, 3], how often each occurs [N], and which of them each pixel [H, W] has.

    Both are looked up in tables of all colours, because to sort the pixels of a large picture takes longer.
    """

    colors: Pixels
    counts: npt.NDArray[np.intp]
    numbers: npt.NDArray[np.uint16]

    @classmethod
    def of(cls, pixels: Pixels, where: str) -> "_Picture":
        """pixels: [H, W, 3]. GsegError when there are more colours than a label map has."""
        red, green, blue = (pixels[:, :, channel].astype(np.uint32) for channel in range(3))
        codes = red << 16 | green << 8 | blue
        is_there = np.zeros(1 << 24, bool)
        is_there[codes] = True
        found = np.flatnonzero(is_there)
        if len(found) > min(MAX_COLORS, max(MIN_COLORS, codes.size // 4)):
            message = f"{where}: expected a label map, got a picture of {len(found)} colours"
            raise GsegError(message, "give the drawn label maps, not the samples")
        number_of = np.empty(1 << 24, np.uint16)  # only those that are found are written or read
        number_of[found] = np.arange(len(found))
        numbers = number_of[codes]
        colors = (found[:, None] >> np.array([16, 8, 0]) & 255).astype(np.uint8)
        return cls(colors, np.bincount(numbers.ravel(), minlength=len(found)), numbers)


def _refuse_flat_areas(picture: _Picture, labels: npt.NDArray[np.int16], key: ColorKey, where: str) -> None:
    """An undecided pixel whose four neighbours have exactly its colour lies in an area that somebody painted."""
    numbers = picture.numbers
    inner, middle = labels[1:-1, 1:-1] == _UNDECIDED, numbers[1:-1, 1:-1]
    for neighbour in (numbers[:-2, 1:-1], numbers[2:, 1:-1], numbers[1:-1, :-2], numbers[1:-1, 2:]):
        inner &= neighbour == middle
    if inner.any():
        raise _unknown_color(middle[inner], picture, key, where)


def _unknown_color(numbers: npt.NDArray[np.uint16], picture: _Picture, key: ColorKey, where: str) -> GsegError:
    """The error for the commonest of the colours that were found, [N]."""
    commonest = np.bincount(numbers).argmax()
    color = picture.colors[commonest]
    (row,), _ = key.nearest(color[None])
    count, name = picture.counts[commonest], format_color(tuple(color.tolist()))
    message = f"{where}: {count} pixels are {name}, which is not the colour of any class"
    nearest = f"{key.labels[row]} {format_color(tuple(key.colors[row].tolist()))}"
    hint = f"the nearest is {nearest}; draw in the class colours, without smoothing, or change them in gseg.toml"
    return GsegError(message, hint)


def _fill_edges(picture: _Picture, labels: npt.NDArray[np.int16], key: ColorKey, where: str) -> list[str]:
    """Let undecided pixels take the label of a neighbour. GsegError where they are no edge, but an area."""
    padded = np.pad(labels, 1, constant_values=_UNDECIDED)
    flat, below = padded.reshape(-1), padded.shape[1]  # steps from a pixel to that below it
    undecided = np.flatnonzero(np.pad(labels == _UNDECIDED, 1))
    number = len(undecided)
    for _ in range(EDGE_WIDTH // 2):  # from both sides
        found = np.full(len(undecided), _UNDECIDED, np.int16)
        for step in (-below, below, -1, 1):
            np.copyto(found, flat[undecided + step], where=(found == _UNDECIDED))
        flat[undecided] = found
        undecided = undecided[found == _UNDECIDED]
    labels[:] = padded[1:-1, 1:-1]
    if len(undecided):
        raise _unknown_color(picture.numbers[labels == _UNDECIDED], picture, key, where)
    mixed = counted(number, "pixel")
    return [f"{where}: {mixed} of mixed colours, which take the class of their neighbours"] if number else []
