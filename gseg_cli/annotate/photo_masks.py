"""Labelled photos as they are: copies of the photos and their label maps, which a student learns from directly."""

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gseg_cli.annotate.drawing import PHOTOS
from gseg_cli.annotate.importing import read_drawings
from gseg_cli.annotate.photo_folder import PhotoFolder
from gseg_cli.annotate.photos import paint_photos
from gseg_cli.datasets.protocols import DESCRIPTION, KIND
from gseg_cli.folder_description import read_description, write_description
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path, claim_folder, finish_folder
from gseg_runtime.label_map import LabelMap, write_label_png
from gseg_runtime.plan import check_apart


@dataclass(frozen=True, eq=False)
class PhotoMasks:
    """kind: the format's name. maps: of the good drawings, by the photo's number in its folder; failures: one per file
    or picture that is not good."""

    kind: str
    photos: PhotoFolder
    classes: ClassMap
    maps: dict[int, LabelMap]
    failures: tuple[GsegError, ...]
    warnings: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Of the photos, relative to their folder."""
        return [self.photos.name(number) for number in self.maps]


def read_photo_masks(
    source: Path,
    photos: Path,
    classes: ClassMap,
    *,
    leave_out: Collection[str] = (),
    mapping: Mapping[str, str],
    unlabelled: int,
    line_width: float,
    may_add: Callable[[Sequence[str]], bool],
) -> PhotoMasks:
    """What was drawn on the photos of a folder; options as of `import_source`. Writes nothing."""
    folder = PhotoFolder.of(photos)
    kind, reading, names = read_drawings(source, classes, mapping, may_add, PHOTOS)
    maps, work = paint_photos(reading, folder, names, leave_out=leave_out, unlabelled=unlabelled, line_width=line_width)
    return PhotoMasks(kind, folder, names.classes, maps, tuple(work.failures), tuple(work.warnings))


def write_photo_masks(found: PhotoMasks, out: Path, *, source: Path, overwrite: bool = False) -> None:
    """OUT/images, OUT/masks and OUT/dataset.json, as `gseg student-train` and `gseg distill --labelled` read them.

    GsegError when the folder holds anything, unless `overwrite`, and even then what gseg did not write there.
    """
    inputs = [str(source), str(found.photos.dir)]
    check_apart(out, inputs, inputs)
    _check_names(out, found.names)
    claim_folder(out, "labelled photos", overwrite=overwrite, owned=partial(_is_ours, out, _written(out)))
    about = {"classes": found.classes.to_json(), "source": str(source), "names": found.names}
    write_description(out / DESCRIPTION, KIND, about)  # first: what is here if this is interrupted is known as ours
    for number, name in zip(found.maps, found.names, strict=True):
        with atomic_path(out / "images" / name) as temporary:
            shutil.copyfile(found.photos.image_path(number), temporary)
        write_label_png(_mask_of(out, name), found.maps[number], found.classes)
    finish_folder(out)


def _check_names(out: Path, names: Sequence[str]) -> None:
    masks = [_mask_of(out, name) for name in names]
    for name, mask in zip(names, masks, strict=True):
        if masks.count(mask) > 1:
            raise GsegError(f"{name}: another photo would have the same mask, {mask}", "rename one of them")


def _mask_of(out: Path, name: str) -> Path:
    return (out / "masks" / name).with_suffix(".png")


def _written(out: Path) -> set[Path]:
    """What an earlier import left there, as its description says."""
    if not (out / DESCRIPTION).is_file():
        return set()
    names = read_description(out / DESCRIPTION, KIND, {"names": list}, hint="choose another folder")["names"]
    files = [(out / "images" / str(name), _mask_of(out, str(name))) for name in names]
    return {out / DESCRIPTION, *(file for both in files for file in both)}


def _is_ours(out: Path, written: set[Path], file: Path) -> bool:
    return file in written or file == out / DESCRIPTION
