"""What may be wanted beside each mask: what its files are called, and whether an earlier run made all of it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from gseg_runtime.class_map import ClassMap, format_color
from gseg_runtime.files import is_cut_off
from gseg_runtime.images import TRUNCATED, Decoding
from gseg_runtime.label_map import Pixels
from gseg_runtime.manifest import Entry
from gseg_runtime.plan import CONFIDENCE, CUTOUT, LABELME, LARGE_OVERLAY, OVERLAY, YOLO
from gseg_runtime.png import is_gseg_png
from gseg_runtime.polygons import is_cut_labelme, is_cut_yolo, is_gseg_labelme, is_gseg_yaml, is_gseg_yolo
from gseg_runtime.to_rgb import BLACK

_COMMENT = b"\xff\xfe\x00\x06gseg"  # a segment behind the first two bytes of a JPEG: tells ours from others' files
_QUALITY = 90
_JPEG_SIDE = 65_500  # pixels; libjpeg takes no more


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What is wanted beside the masks.

    cutout: indices of the classes that are cut out, none for no cut-outs. binary: index and suffix of each class that
    gets a mask of its own; layers: the same of those that get a cut-out of their own. decoding: how photos are read for
    all this.
    """

    overlay: bool = False
    confidence: bool = False
    cutout: tuple[int, ...] = ()
    binary: tuple[tuple[int, str], ...] = ()
    layers: tuple[tuple[int, str], ...] = ()
    polygons: bool = False
    coco: bool = False
    instances: bool = False
    stats: bool = False
    decoding: Decoding = field(default_factory=Decoding)

    @property
    def needs_photo(self) -> bool:
        """Whether a photo is decoded again for them, at its full size."""
        return self.overlay or bool(self.cutout or self.layers)

    @property
    def settings(self) -> dict[str, Any] | None:
        """Of `Entry`: what decides the labels beside photo and model; None for what it is by default."""
        how = self.decoding
        told: dict[str, Any] = {}
        if how.background != BLACK:
            told["background"] = format_color(how.background)
        if how.fast:
            told["fast_decode"] = True
        return told or None

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of files beside each mask."""
        wanted = {
            **{OVERLAY: self.overlay, CONFIDENCE: self.confidence, CUTOUT: bool(self.cutout)},
            **{LABELME: self.polygons, YOLO: self.polygons},
        }
        of_parts = (suffix for _, suffix in (*self.binary, *self.layers))
        return (*(suffix for suffix, is_wanted in wanted.items() if is_wanted), *of_parts)

    def suffixes_of(self, entry: Entry) -> tuple[str, ...]:
        """Of the files beside the mask of a photo that is done."""
        shown = overlay_suffix(entry.height or 0, entry.width or 0)
        return tuple(shown if suffix == OVERLAY else suffix for suffix in self.suffixes)

    def are_told_by(self, entry: Entry) -> bool:
        """Whether the manifest says of a photo what the tables need, and that its files show what is wanted now."""
        return (
            (not self.stats or bool(entry.areas))
            and (not self.coco or entry.coco is not None)
            and (not self.instances or entry.instances is not None)
            and (not self.cutout or entry.cutout == list(self.cutout))
            and (self.decoding.allow_truncated or entry.remark != TRUNCATED)
        )


def part_suffixes(kind: str, classes: ClassMap, indices: Iterable[int]) -> tuple[tuple[int, str], ...]:
    """Index and suffix of the file of each class; kind: BINARY or LAYER. What a file's name cannot hold becomes _.

    If two would be the same on some disk, all have their index before them.
    """
    words = [re.sub(r'[\s./\\:*?"<>|]+', "_", name) for name in classes.names]
    if len({word.casefold() for word in words}) < len(words):
        words = [f"{index}_{word}" for index, word in enumerate(words)]
    return tuple((index, f"{kind}{words[index]}.png") for index in indices)


def overlay_suffix(height: int, width: int) -> str:
    """The overlay's of a photo of that size."""
    return OVERLAY if max(height, width) <= _JPEG_SIDE else LARGE_OVERLAY


def encode_jpeg(pixels: Pixels) -> bytes:
    """As `is_gseg_file` knows it."""
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), _QUALITY)
    return jpeg[:2] + _COMMENT + jpeg[2:]


def is_gseg_file(path: Path) -> bool:
    """Whether `PhotoWork` wrote this file beside a mask, or the mask itself."""
    is_ours = _SIGNS.get(path.suffix)
    return is_ours is not None and is_ours(path)


def is_cut_gseg_file(path: Path) -> bool:
    """Whether it is a file, no link, that `PhotoWork` began and that is not there to its end.

    What people correct is told from it by its beginning: their programs end files in ways of their own.
    """
    is_cut = _CUTS.get(path.suffix)
    return is_cut_off(path) if is_cut is None else path.is_file() and not path.is_symlink() and is_cut(path)


def _is_gseg_jpeg(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2 + len(_COMMENT))[2:] == _COMMENT


_SIGNS: dict[str, Callable[[Path], bool]] = {
    ".png": is_gseg_png,
    ".jpg": _is_gseg_jpeg,
    ".json": is_gseg_labelme,
    ".txt": is_gseg_yolo,
    ".yaml": is_gseg_yaml,
}
_CUTS: dict[str, Callable[[Path], bool]] = {".json": is_cut_labelme, ".txt": is_cut_yolo}
