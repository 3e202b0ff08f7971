"""Templates for paint programs: indexed PNGs that show a sample in grey and carry the class colours in their palette.

The first entries of the palette are the classes, in index order; then come greys with a touch of blue, in which the
sample is drawn. Whatever is painted over with a class colour is labelled; what still shows the sample is not. A
template that is filled with a prediction shows the sample in shades of the class colours instead.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.handout import Handout, hand_out
from gseg_cli.annotate.template_colors import TEMPLATE_STEP, TEMPLATE_TINT, shades_of
from gseg_cli.gan.sample_set import SampleSet
from gseg_runtime.class_map import IGNORE, IGNORE_COLOR, ClassMap, Color
from gseg_runtime.errors import GsegError
from gseg_runtime.files import write_text
from gseg_runtime.label_map import LabelMap, Pixels
from gseg_runtime.spread import spread

PALETTE = "classes.gpl"


def write_templates(
    samples: SampleSet, seeds: Sequence[int], classes: ClassMap, folder: Path, times: int = 1
) -> Handout:
    """Write 000003.png for each seed, and the class colours as a palette for GIMP and Krita.

    The sample's images must exist. times: how often they are enlarged.
    """
    written = hand_out(samples, seeds, folder, lambda seed, picture: make_template(np.asarray(picture), classes), times)
    write_text(folder / PALETTE, gimp_palette(classes))
    return written


def make_template(pixels: Pixels, classes: ClassMap) -> Image.Image:
    """An indexed picture of pixels [H, W, 3] in greys."""
    greys = _greys(classes)
    light = pixels.astype(float) @ np.array([0.299, 0.587, 0.114])
    # No darker and no lighter than this, so that black and white still stand out as class colours.
    wanted = 48 + light * (208 - 48) / 255
    levels = np.array([grey[0] for grey in greys])
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, wanted)
    return _indexed((len(classes) + nearest).astype(np.uint8), classes, greys)


def make_prefilled(pixels: Pixels, labels: LabelMap, classes: ClassMap) -> Image.Image:
    """An indexed picture of pixels [H, W, 3] in shades of the classes that labels [H, W] say; see template_colors.py.

    A class whose shades all belong to others, because its colour is nearly theirs, is painted flat. GsegError when the
    palette has no room.
    """
    found = np.unique(labels).tolist()
    room = (IGNORE - len(classes)) // len(found)
    if not room:
        message = f"{len(classes)} classes, of which {len(found)} are on one picture: too many for one palette"
        raise GsegError(message, "use --for with a labelling program instead")
    light = pixels.astype(float) @ np.array([0.299, 0.587, 0.114])
    values, shades = np.zeros(labels.shape, np.uint8), list[Color]()
    for index in found:
        is_here, free = labels == index, shades_of(index, classes.colors).tolist()
        chosen = spread(free, room) if free else []
        level = (light[is_here] * len(chosen) / 256).astype(int)
        values[is_here] = len(classes) + len(shades) + level if free else index
        shades += [(red, green, blue) for red, green, blue in chosen]
    return _indexed(values, classes, shades)


def gimp_palette(classes: ClassMap) -> str:
    """The class colours as GIMP, Krita and Inkscape read them."""
    named = [*zip(classes.colors, classes.names, strict=True), (IGNORE_COLOR, "ignore")]
    rows = [f"{red:3d} {green:3d} {blue:3d}\t{name}" for (red, green, blue), name in named]
    return "\n".join(["GIMP Palette", "Name: gseg classes", "Columns: 1", "#", *rows]) + "\n"


def _greys(classes: ClassMap) -> list[Color]:
    """As many as the palette has room for, evenly from dark to light, none of them a class colour."""
    all_greys = [(level, level, level + TEMPLATE_TINT) for level in range(48, 209, TEMPLATE_STEP)]
    free = [grey for grey in all_greys if grey not in classes.colors]
    return spread(free, max(1, IGNORE - len(classes)))


def _indexed(values: LabelMap, classes: ClassMap, others: Sequence[Color]) -> Image.Image:
    """A picture whose palette holds the classes, then other colours, and what is ignored."""
    image = Image.fromarray(values)
    entries = [*classes.colors, *others]
    entries += [(0, 0, 0)] * (IGNORE - len(entries)) + [IGNORE_COLOR]
    image.putpalette([channel for color in entries for channel in color])
    return image
