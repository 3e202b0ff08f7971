"""From drawings to an AnnotationSet: match, paint, resize, tie to the latents."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.annotate.drawing import Drawing, Reading
from gseg_cli.annotate.match import Matcher
from gseg_cli.annotate.names import Names, unknown_classes, unknown_labels, unused_mappings
from gseg_cli.annotate.reduce import reduced
from gseg_cli.annotate.shapes import LINE_WIDTH, Stroke, cover, effort, enlarged, extent
from gseg_cli.counted import counted
from gseg_cli.gan.sample_set import SampleSet
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import LabelMap, resize_labels

Painted = TypeVar("Painted")
MAX_EFFORT = 2**32  # of all shapes of a picture; see `effort`


@dataclass(frozen=True, eq=False)
class Import:
    """What was read. annotations: the good ones, None without any; failures: one per file or picture that is not."""

    annotations: AnnotationSet | None
    failures: tuple[GsegError, ...]
    warnings: tuple[str, ...]

    def all(self) -> AnnotationSet:
        """The annotations; raises the first failure if there is one."""
        if self.failures or self.annotations is None:
            raise self.failures[0] if self.failures else GsegError("no label map was read")
        return self.annotations


def tie(
    reading: Reading,
    samples: SampleSet,
    names: Names,
    *,
    unlabelled: int = 0,
    line_width: float = LINE_WIDTH,
    scale: int = 1,
) -> Import:
    """Match each drawing to its sample and paint it. Writes nothing.

    unlabelled: what pixels become that no shape covers, 0 or 255. line_width: of lines, in pixels of the picture.
    scale: how often the pictures were enlarged whose size the export does not tell; where it does, it decides.
    """
    size = (samples.resolution, samples.resolution)
    drawings = [replace(d, times=_times(d, samples.resolution, scale)) for d in reading.drawings]
    maps, work = paint_all(
        replace(reading, drawings=drawings),
        Matcher(samples),
        names,
        lambda seed: size,
        lambda labels, seed, where, work: _to_size(labels, samples.resolution, where, work),
        unlabelled=unlabelled,
        line_width=line_width,
    )
    return Import(_annotations(maps, samples, names), tuple(work.failures), tuple(work.warnings))


def paint_all(
    reading: Reading,
    matcher: Matcher,
    names: Names,
    size_of: Callable[[int], tuple[int, int]],
    finish: Callable[[LabelMap, int, str, Reading], Painted],
    *,
    unlabelled: int,
    line_width: float,
) -> tuple[dict[int, Painted], Reading]:
    """What becomes of the label maps, by the number of the picture they were drawn on, and what there is to say.

    size_of: (width, height) of the picture of a number. finish: makes of a label map of the drawing's own size what is
    kept of it; it is given the number, what to call the drawing, and where its warnings go.
    """
    drawings, empty = _without_empty(reading.drawings, names)
    work = Reading(failures=list(reading.failures), warnings=[*reading.warnings, *empty])
    work.warnings += unused_mappings(reading.drawings, names)
    drawings = _with_known_labels(drawings, names, work)
    maps: dict[int, Painted] = {}
    for seed, drawing in sorted(_match(drawings, matcher, work).items()):
        with work.attempt():
            labels = paint(drawing, size_of(seed), names, unlabelled, line_width, work.warnings.append)
            maps[seed] = finish(labels, seed, drawing.where, work)
            work.warnings += _about_lines(drawing, line_width)
    return maps, work


def paint(
    drawing: Drawing,
    size: tuple[int, int],
    names: Names,
    unlabelled: int,
    line_width: float,
    warn: Callable[[str], None] = lambda text: None,
) -> LabelMap:
    """[H, W] at the drawing's own size; `size`, (width, height), where it does not tell. Its labels must be known.

    A drawing on an enlarged picture is painted at the size before that. warn: is told of shapes that cover nothing.
    """
    if drawing.size is None:
        _check_within(drawing, max(size))
    width, height = _before(drawing) or size
    if drawing.is_share:
        layers = [replace(layer, shape=enlarged(layer.shape, (width, height))) for layer in drawing.layers]
        drawing = replace(drawing, layers=layers)
    if drawing.times > 1:
        layers = [replace(layer, shape=reduced(layer.shape, drawing.times)) for layer in drawing.layers]
        drawing, line_width = replace(drawing, layers=layers), line_width / drawing.times
    labels = np.full((height, width), unlabelled, np.uint8)
    _check_effort(drawing, width, height, line_width)
    missed = []
    for number, layer in enumerate(drawing.layers):
        index = names.index(layer.label)
        if index is None:  # left out
            continue
        try:
            is_covered = cover(layer.shape, height, width, line_width)
        except GsegError as error:
            raise GsegError(f"{drawing.where}: shape {number}: {error.message}", error.hint) from error
        labels[is_covered] = index
        if not is_covered.any():
            missed.append(layer.label)
    if missed:
        what = "a shape covers" if len(missed) == 1 else f"{len(missed)} shapes cover"
        called = ", ".join(dict.fromkeys(missed))
        warn(f"{drawing.where}: {what} no pixel ({called}): too small, or outside of the picture")
    return labels


def _before(drawing: Drawing) -> tuple[int, int] | None:
    """(width, height) before the picture was enlarged; None when the drawing does not tell."""
    return drawing.size and (drawing.size[0] // drawing.times, drawing.size[1] // drawing.times)


def _times(drawing: Drawing, resolution: int, scale: int) -> int:
    """How often the picture was enlarged that was drawn on: by its size, else by what a person says."""
    if drawing.is_share:
        return 1
    if drawing.size is None:
        return scale
    width, height = drawing.size
    return max(1, width // resolution) if width == height and width % resolution == 0 else 1


def _check_effort(drawing: Drawing, width: int, height: int, line_width: float) -> None:
    if sum(effort(layer.shape, height, width, line_width) for layer in drawing.layers) > MAX_EFFORT:
        message = f"{drawing.where}: {len(drawing.layers)} shapes would take minutes to fill"
        raise GsegError(message, "simplify them, or export masks instead")


def _check_within(drawing: Drawing, resolution: int) -> None:
    """A drawing that does not tell its size is taken to be as large as the samples; then nothing lies far outside."""
    for layer in drawing.layers:
        reach = extent(layer.shape)
        if reach > drawing.times * resolution + 1:
            message = f"{drawing.where}: reaches to {reach:g}, but the picture has {drawing.times * resolution} pixels"
            hint = "it was drawn on a larger one, whose size the file does not say; for samples --scale says how large"
            raise GsegError(message, hint)


def _without_empty(drawings: Sequence[Drawing], names: Names) -> tuple[list[Drawing], list[str]]:
    """Pictures nobody drew on are usual in exports, and no annotations."""
    drawn: list[Drawing] = []
    empty: list[Drawing] = []
    for drawing in drawings:
        is_drawn = any(not names.is_left_out(layer.label) for layer in drawing.layers)
        (drawn if is_drawn else empty).append(drawing)
    if not empty:
        return drawn, []
    are = "is" if len(empty) == 1 else "are"
    left_out = f"{counted(len(empty), 'picture')} without any shape {are} left out"
    return drawn, [f"{left_out}, for instance {empty[0].where}"]


def _with_known_labels(drawings: Sequence[Drawing], names: Names, work: Reading) -> list[Drawing]:
    unknown = unknown_labels(drawings, names)
    places: dict[str, list[str]] = {label: [] for label in unknown}
    for drawing in drawings:
        for label in dict.fromkeys(layer.label for layer in drawing.layers if layer.label in places):
            places[label].append(drawing.where)
    work.failures += list(unknown_classes(places, names))
    return [d for d in drawings if not any(layer.label in places for layer in d.layers)]


def _match(drawings: Sequence[Drawing], matcher: Matcher, work: Reading) -> dict[int, Drawing]:
    """The drawings by seed; of several for one sample none is taken."""
    matched = dict[int, list[Drawing]]()
    for drawing in drawings:
        with work.attempt():
            matched.setdefault(matcher.seed_of(drawing, work.warnings.append), []).append(drawing)
    for seed, found in matched.items():
        if len(found) > 1:
            wheres = " and ".join(drawing.where for drawing in found[:3])
            message = f"{wheres}: expected one label map for {matcher.called(seed)}, got {len(found)}"
            work.failures.append(GsegError(message, "keep one of them"))
    return {seed: found[0] for seed, found in matched.items() if len(found) == 1}


def _to_size(labels: LabelMap, resolution: int, where: str, work: Reading) -> LabelMap:
    height, width = labels.shape
    if height != width:
        message = f"{where}: expected {resolution}x{resolution} pixels like the samples, got {width}x{height}"
        raise GsegError(message, "draw on the whole sample; cropped pictures cannot be placed")
    if height == resolution:
        return labels
    work.warnings.append(f"{where}: resized from {width}x{height} to {resolution}x{resolution}, by nearest neighbour")
    return resize_labels(labels, (resolution, resolution))


def _about_lines(drawing: Drawing, line_width: float) -> list[str]:
    number = sum(isinstance(layer.shape, Stroke) for layer in drawing.layers)
    if not number:
        return []
    what = "a line or point is" if number == 1 else f"{number} lines or points are"
    return [f"{drawing.where}: {what} drawn {line_width:g} pixels wide (--line-width)"]


def _annotations(maps: dict[int, LabelMap], samples: SampleSet, names: Names) -> AnnotationSet | None:
    if not maps:
        return None
    seeds, labels = tuple(maps), np.stack(list(maps.values()))
    made = (samples.gan_sha256, samples.truncation_psi, samples.class_index)
    return AnnotationSet(labels, samples.ws_of(seeds), seeds, names.classes, *made)
