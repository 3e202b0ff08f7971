"""Labelled photos as they are: copies of the photos and their label maps, which a student learns from directly."""

import shutil
import zlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gseg_cli.annotate.drawing import PHOTOS
from gseg_cli.annotate.importing import read_drawings
from gseg_cli.annotate.photo_folder import PhotoFolder
from gseg_cli.annotate.photos import paint_photos
from gseg_cli.counted import counted
from gseg_cli.datasets.protocols import DESCRIPTION, KIND
from gseg_cli.distill.labelled_photos import check_shape
from gseg_cli.distill.turned_photos import about_turned
from gseg_cli.folder_description import write_description
from gseg_cli.label.photo_copies import check_masks_differ, said
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import INCOMPLETE, TEMPORARY_PREFIX, atomic_path, check_claim, finish_folder
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, read_label_png, write_label_png
from gseg_runtime.litter import litter_kind
from gseg_runtime.plan import check_apart

# Which scripts make, too; people draw shapes on what a viewer shows.
MAPS = ("label maps", "masks of parts", "segmentation masks")


class PackedLabels(NamedTuple):
    """A label map that waits to be written: that of a large photo has as many bytes as pixels."""

    shape: tuple[int, ...]
    data: bytes

    @classmethod
    def of(cls, labels: LabelMap) -> "PackedLabels":
        return cls(labels.shape, zlib.compress(labels.tobytes(), level=1))

    def unpacked(self) -> LabelMap:
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.shape)


@dataclass(frozen=True, eq=False)
class PhotoMasks:
    """kind: the format's name. maps: of the good drawings, by the photo's number in its folder; failures: one per file
    or picture that is not good."""

    kind: str
    photos: PhotoFolder
    classes: ClassMap
    maps: dict[int, PackedLabels]
    failures: tuple[GsegError, ...]
    warnings: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """Of the photos, relative to their folder."""
        return [self.photos.name(number) for number in self.maps]

    @cached_property
    def pixel_counts(self) -> npt.NDArray[np.int64]:
        """[photos, classes]; ignored pixels count nowhere."""
        # Counted as bytes: numpy takes eight bytes for each pixel of a large photo.
        maps = (zlib.decompress(packed.data) for packed in self.maps.values())
        return np.array([[data.count(label) for label in range(len(self.classes))] for data in maps])


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
    maps, work = paint_photos(
        reading, folder, names, lambda labels, number: PackedLabels.of(labels),
        leave_out=leave_out, unlabelled=unlabelled, line_width=line_width,
    )  # fmt: skip
    warnings = [*work.warnings, *(about_turned([folder.image_path(number) for number in maps]) if kind in MAPS else ())]
    return PhotoMasks(kind, folder, names.classes, maps, tuple(work.failures), tuple(warnings))


def check_photo_masks(found: PhotoMasks, out: Path, *, source: Path, overwrite: bool) -> None:
    """What `write_photo_masks` would be refused for; nothing is changed.

    GsegError when the folder holds anything, unless `overwrite`, and even then when it holds photos or masks that gseg
    did not put there; and for photos and masks that do not go together.
    """
    inputs = [str(source), str(found.photos.dir)]
    check_apart(out, inputs, inputs)
    check_claim(out, "labelled photos", overwrite=overwrite)
    _check_foreign(out, _files_of(out, said(out)["copied"]))
    _check_masks(found, out)


def write_photo_masks(found: PhotoMasks, out: Path, *, source: Path) -> None:
    """OUT/images, OUT/masks and OUT/dataset.json, as `gseg student-train` and `gseg distill --labelled` read them.

    After `check_photo_masks`. The photos of an earlier import are taken away last.
    """
    before = said(out)["copied"]
    about = {"classes": found.classes.to_json(), "source": str(source), "names": found.names}
    both = list(dict.fromkeys([*before, *found.names]))  # whatever is here when this is interrupted is known as ours
    write_description(out / DESCRIPTION, KIND, {**about, "copied": both})
    (out / INCOMPLETE).touch()
    for number, name in zip(found.maps, found.names, strict=True):
        with atomic_path(out / "images" / name) as temporary:
            shutil.copyfile(found.photos.image_path(number), temporary)
        write_label_png(_mask_of(out, name), found.maps[number].unpacked(), found.classes)
    for file in _files_of(out, before) - _files_of(out, found.names):  # last: until then nothing is lost
        file.unlink(missing_ok=True)
    write_description(out / DESCRIPTION, KIND, {**about, "copied": found.names})
    finish_folder(out)


def lost(out: Path, found: PhotoMasks) -> list[str]:
    """Warnings about labelled photos that --overwrite takes away, and about masks that become others."""
    copied = said(out)["copied"]
    there = {name for name in copied if _mask_of(out, name).is_file()}
    gone = sorted(there - {*found.names})
    others = [
        name for number, name in zip(found.maps, found.names, strict=True)
        if name in there and not np.array_equal(read_label_png(_mask_of(out, name)), found.maps[number].unpacked())
    ]  # fmt: skip
    about = [(gone, "labelled photos are gone that this import lacks"), (others, "masks are replaced by others")]
    return [f"--overwrite: {what}: {len(names)}, for example {names[0]}" for names, what in about if names]


def _check_masks(found: PhotoMasks, out: Path) -> None:
    """GsegError for two photos of one mask, or for a mask that `read_labelled` would not take."""
    check_masks_differ(found.photos.dir, found.names)
    for number, name in zip(found.maps, found.names, strict=True):
        photo = found.photos.image_path(number)
        shown = read_image(photo, 1)
        check_shape(found.maps[number].shape, _mask_of(out, name), (shown.height, shown.width), photo)


def _mask_of(out: Path, name: str) -> Path:
    return (out / "masks" / name).with_suffix(".png")


def _files_of(out: Path, names: Sequence[str]) -> set[Path]:
    return {file for name in names for file in (out / "images" / name, _mask_of(out, name))}


def _check_foreign(out: Path, ours: set[Path]) -> None:
    """GsegError when the folder holds photos or masks that gseg did not put there."""
    found = [file for part in ("images", "masks") for file in sorted((out / part).rglob("*")) if file.is_file()]
    others = [file for file in found if not (file.name.startswith(TEMPORARY_PREFIX) or litter_kind(file.name))]
    if foreign := [file for file in others if file not in ours]:
        message = f"{out}: holds {counted(len(foreign), 'file')} that gseg did not write, for example {foreign[0].name}"
        raise GsegError(message, "choose another folder, or move them away")
