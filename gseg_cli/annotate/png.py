"""Label maps as PNGs whose pixel values are class indices: indexed ('P'), greyscale ('L') or black and white ('1')."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import LabelMap, check_label_map, read_label_png
from gseg_runtime.pictures import open_picture, picture_errors


@dataclass(frozen=True, eq=False)
class Import:
    """What was read. annotations: the good ones, None without any; failures: one per file or pair that is not."""

    annotations: AnnotationSet | None
    failures: tuple[GsegError, ...]
    warnings: tuple[str, ...]

    def all(self) -> AnnotationSet:
        """The annotations; raises the first failure if there is one."""
        if self.failures or self.annotations is None:
            raise self.failures[0] if self.failures else GsegError("no label map was read")
        return self.annotations


def import_pngs(source: Path, samples: SampleSet, classes: ClassMap) -> Import:
    """Read a label PNG, or those directly in a folder, and match them to the samples by the seed in their names.

    Writes nothing. GsegError when there is no PNG at all.
    """
    paths, warnings = _list_pngs(source)
    found = import_files(paths, samples, classes)
    return replace(found, warnings=(*warnings, *found.warnings))


def import_files(paths: Sequence[Path], samples: SampleSet, classes: ClassMap) -> Import:
    """Read these label PNGs and match them to the samples."""
    matched, failures = _match(paths, samples.seeds)
    maps: dict[int, LabelMap] = {}
    warnings: list[str] = []
    for seed, found in sorted(matched.items()):
        try:
            maps[seed] = _read_one(found, samples.resolution, classes)
        except GsegError as error:
            failures.append(error)
        else:
            warnings += _doubts(found[0], maps[seed])
    return Import(_tie(maps, samples, classes), tuple(failures), tuple(warnings))


def match_seed(path: Path, seeds: Sequence[int]) -> int:
    """The one number in a file name, such as 000003.png or seed3_mask.png, that is a sample's seed."""
    numbers = {int(digits) for digits in re.findall("[0-9]+", path.stem)}
    found = sorted(numbers.intersection(seeds))
    if len(found) == 1:
        return found[0]
    hint = f"name it as the sample, such as {sample_name(seeds[0] if seeds else 0)}"
    if found:
        raise GsegError(
            f"{path}: the name holds the seeds of {len(found)} samples, {' and '.join(map(str, found))}", hint
        )
    got = f"got {', '.join(map(str, sorted(numbers)))}" if numbers else "it holds no number"
    raise GsegError(f"{path}: expected the seed of a sample in the name, {got}", hint)


def _list_pngs(source: Path) -> tuple[list[Path], list[str]]:
    """The files to read, and a warning about those in the folder that are left out."""
    if not source.exists():
        raise GsegError(f"{source}: no such file or folder", "give a label PNG, or a folder of them")
    if not source.is_dir():
        return [source], []
    files = sorted(path for path in source.iterdir() if not path.name.startswith(".") and not path.is_dir())
    pngs = [path for path in files if path.suffix.lower() == ".png"]
    if not pngs:
        raise GsegError(
            f"{source}: no PNG in this folder (subfolders are not searched)", "give the folder of label PNGs"
        )
    others = [path for path in files if path not in pngs]
    if not others:
        return pngs, []
    return pngs, [f"{source}: {len(others)} files are not PNGs and are left out, for instance {others[0].name}"]


def _match(paths: Sequence[Path], seeds: Sequence[int]) -> tuple[dict[int, list[Path]], list[GsegError]]:
    matched: dict[int, list[Path]] = {}
    failures: list[GsegError] = []
    for path in paths:
        try:
            matched.setdefault(match_seed(path, seeds), []).append(path)
        except GsegError as error:
            failures.append(error)
    return matched, failures


def _read_one(paths: Sequence[Path], resolution: int, classes: ClassMap) -> LabelMap:
    """The label map of one sample, checked."""
    if len(paths) > 1:
        message = f"{' and '.join(map(str, paths))}: expected one label map for a sample, got {len(paths)}"
        raise GsegError(message, "keep one of them")
    (path,) = paths
    labels = _read(path)
    if labels.shape != (resolution, resolution):
        expected, got = f"{resolution}x{resolution}", f"{labels.shape[1]}x{labels.shape[0]}"
        raise GsegError(
            f"{path}: expected {expected} pixels, as the samples have, got {got}", "draw at the sample's size"
        )
    return check_label_map(labels, len(classes), str(path))


def _read(path: Path) -> LabelMap:
    with picture_errors(path), open_picture(path.read_bytes(), formats=["PNG"]) as image:
        if image.mode == "1":
            return np.array(image, dtype=np.uint8)
    return read_label_png(path)


def _doubts(path: Path, labels: LabelMap) -> list[str]:
    """A black-and-white mask is a valid label map of background and ignore, but hardly ever meant as one."""
    share = float((labels == IGNORE).mean())
    if share and set(np.unique(labels)) <= {0, IGNORE}:
        return [f"{path}: only 0 (background) and 255 (ignore); a class is drawn with its index, not with white"]
    return [f"{path}: {share:.0%} of it is 255, which means ignore"] if share > 0.5 else []


def _tie(maps: dict[int, LabelMap], samples: SampleSet, classes: ClassMap) -> AnnotationSet | None:
    if not maps:
        return None
    seeds = tuple(maps)
    labels = np.stack(list(maps.values()))
    made = (samples.gan_sha256, samples.truncation_psi, samples.class_index)
    return AnnotationSet(labels, samples.ws_of(seeds), seeds, classes, *made)
