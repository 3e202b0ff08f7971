"""The legend of label maps that people draw, parts of which may be ignored."""

from gseg_cli.annotate.hatching import hatched
from gseg_runtime import legend
from gseg_runtime.class_map import IGNORE_COLOR, IGNORED, ClassMap, Color
from gseg_runtime.label_map import Pixels


def with_legend(sheet: Pixels, classes: ClassMap, ignore: Color | None = None) -> Pixels:
    """The sheet, [H, W, 3], below the classes and what is ignored: in that colour, or hatched."""
    ignored = legend.swatch(ignore) if ignore else hatched(legend.swatch(IGNORE_COLOR))
    return legend.with_legend(sheet, classes, [(IGNORED, ignored)])
