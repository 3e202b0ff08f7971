"""The classes of training photos: those of NVIDIA's dataset.json, or of the folders that the photos lie in."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

import torch
from torch import Tensor

from gseg_cli.counted import counted
from gseg_cli.gan.networks.config import MAX_WIDTH
from gseg_cli.gan.training.photo_entry import Photo
from gseg_cli.gan.training.sources import LABELS, TAR, open_photos, open_zip, read_labels_in_tar
from gseg_runtime.errors import GsegError

MAX_LABELS_BYTES = 100_000_000  # of dataset.json; ImageNet's takes 60 MB
CONTAINERS = (".tar", ".parquet")  # of photos, which come first in their names
SPLITS = {"train", "training", "val", "valid", "validation", "test", "testing"}  # parts of a data set, no classes
HINT = f"give classes with a {LABELS} as NVIDIA's dataset_tool.py writes it, or by a folder for each class"


@dataclass(frozen=True)
class PhotoClasses:
    """indices: int64 [N], of each photo. names: of the classes, where they have any.

    key: another one where a photo has another class, or is another photo; not where folders have other names.
    """

    indices: Tensor
    num_classes: int
    names: tuple[str, ...] | None = None
    key: str = ""

    def __str__(self) -> str:
        counts = self.indices.bincount(minlength=self.num_classes).tolist()
        names = self.names or [""] * self.num_classes
        some = [f"{i} {name} ({n})".replace("  ", " ") for i, (name, n) in enumerate(zip(names, counts, strict=True))]
        return f"{self.num_classes} classes: {', '.join(some[:10])}{', ...' if len(some) > 10 else ''}"


def read_classes(source: Path, without: Collection[str] = ()) -> PhotoClasses:
    """Of all photos but those named; GsegError where one has no class, and where all have the same."""
    with open_photos(source) as photos:
        kept = [photo for photo in photos if photo.name not in without]
    classes = _classes_of(source, [photo.name for photo in kept])
    return replace(classes, key=_key_of(kept, classes.indices))


def _key_of(photos: Sequence[Photo], indices: Tensor) -> str:
    of_photos = zip(photos, indices.tolist(), strict=True)
    labelled = sorted((PurePosixPath(photo.name).name, photo.num_bytes, index) for photo, index in of_photos)
    return hashlib.sha256(repr(labelled).encode()).hexdigest()[:12]


def _classes_of(source: Path, names: Sequence[str]) -> PhotoClasses:
    listed = _read_labels(source)
    if listed is None:
        return _by_folder(source, names)
    return _by_list(source, *listed, names)


def count_labels(source: Path) -> int:
    """How many photos dataset.json gives a class; 0 where there is none, or where it is not NVIDIA's."""
    try:
        _, data = _read_labels(source) or ("", b"")
        labels = json.loads(data)["labels"]
    except (OSError, ValueError, RecursionError, KeyError, TypeError, GsegError):
        return 0
    return len(labels) if isinstance(labels, list) else 0


def _read_labels(source: Path) -> tuple[str, bytes] | None:
    """The name of the dataset.json at the top, or in the one folder that lies there, and what it says; None where there
    is none, and for containers but zip and tar.
    """
    if source.is_dir():
        within = [source / LABELS, *sorted(source.glob(f"*/{LABELS}"))[:1]]
        path = next(filter(Path.is_file, within), None)
        return (str(path.relative_to(source)), _begin_of(path.open("rb"))) if path else None
    if _is_tar(source):
        return read_labels_in_tar(source, MAX_LABELS_BYTES)
    if not zipfile.is_zipfile(source):
        return None
    archive = open_zip(source)
    places = [name for name in archive.namelist() if PurePosixPath(name).match(LABELS) and name.count("/") < 2]
    return _read_member(source, archive, min(places, key=lambda n: (n.count("/"), n))) if places else None


def _is_tar(source: Path) -> bool:
    return source.suffix.lower() == TAR and source.is_file() and not zipfile.is_zipfile(source)


def _read_member(source: Path, archive: zipfile.ZipFile, name: str) -> tuple[str, bytes]:
    try:
        return name, _begin_of(archive.open(name))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # damaged, or with a password
        raise GsegError(f"{source}: {name} cannot be read: {error}", "copy the zip again, or unpack it") from error


def _begin_of(file: IO[bytes]) -> bytes:
    with file:
        return file.read(MAX_LABELS_BYTES)


def _by_list(source: Path, labels: str, data: bytes, names: Sequence[str]) -> PhotoClasses:
    """labels: where it lies below the source; names in it are as seen from there."""
    path, folder = source / labels, labels.removesuffix(LABELS)
    if _is_tar(source):  # whose name comes first in those of its photos
        folder = f"{source.name}/{folder}"
    try:
        class_of = {folder + name: index for name, index in _listed(json.loads(data)).items()}
    except (ValueError, RecursionError) as error:
        raise GsegError(f"{path}: not a list of classes: {error}", HINT) from error
    if missing := [name for name in names if name not in class_of]:
        raise GsegError(f"{path}: gives {counted(len(missing), 'photo')} no class, {missing[0]} for one", HINT)
    return _checked(path, [class_of[name] for name in names], 1 + max(class_of.values(), default=0))


def _listed(content: Any) -> Mapping[str, int]:
    """ValueError for anything but {"labels": [[name, class], ...]}."""
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, list):
        raise ValueError(f'expected "labels", a list, got {labels!r:.40}')
    class_of = {}
    for entry in labels:
        match entry:
            case [str(name), int(index)] if 0 <= index < MAX_WIDTH and type(index) is int:
                class_of[name] = index
            case _:
                raise ValueError(f"expected a name and a class from 0 to {MAX_WIDTH - 1}, got {entry!r:.60}")
    return class_of


def _by_folder(source: Path, names: Sequence[str]) -> PhotoClasses:
    folders = _class_folders(names)
    if loose := [name for name, folder in zip(names, folders, strict=True) if not folder]:
        raise GsegError(f"{source}: {counted(len(loose), 'photo')} without a class, {loose[0]} for one", HINT)
    classes = sorted(set(folders))
    index_of = {folder: index for index, folder in enumerate(classes)}
    return _checked(source, [index_of[folder] for folder in folders], len(classes), tuple(classes))


def _class_folders(names: Sequence[str]) -> list[str]:
    """Of each photo the outermost folder that is no part of a data set, and not around all others; "" where there is
    none.
    """
    folders = [_folders_of(name) for name in names]
    while all(folders) and _is_around(folders):
        folders = [inner[1:] for inner in folders]
    return [inner[0] if inner else "" for inner in folders]


def _is_around(folders: Sequence[tuple[str, ...]]) -> bool:
    """Whether the outermost ones are no classes: the parts of a data set, or one that others lie in, as in a zip of a
    folder.
    """
    outermost = {first.lower() for first, *_ in folders}
    return outermost <= SPLITS or (len(outermost) == 1 and all(len(inner) > 1 for inner in folders))


def _folders_of(name: str) -> tuple[str, ...]:
    """From the outermost one in; a tar made of the folder it lay in begins its names with ./, which is none."""
    folders = PurePosixPath(name).parts[:-1]
    return folders[1:] if folders and folders[0].lower().endswith(CONTAINERS) else folders


def _checked(
    source: Path, indices: Sequence[int], num_classes: int, names: tuple[str, ...] | None = None
) -> PhotoClasses:
    if not 2 <= num_classes <= MAX_WIDTH:
        raise GsegError(
            f"{source}: expected photos of 2 to {MAX_WIDTH} classes, got {num_classes}"
            + (f" ({names[0]})" if names and num_classes == 1 else ""),
            HINT,
        )
    return PhotoClasses(torch.tensor(indices, dtype=torch.int64), num_classes, names)
