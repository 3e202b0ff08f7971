"""Where training photos lie: in a folder, a zip, tar shards, an LMDB or Parquet files. All are read in place."""

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath

from gseg_cli.gan.training import lmdb_file
from gseg_cli.gan.training.lmdb_file import is_lmdb, photos_in_lmdb
from gseg_cli.gan.training.parquet_file import photos_in_parquet
from gseg_cli.gan.training.photo_entry import MAX_PHOTO_BYTES, Photo, limited
from gseg_runtime.errors import GsegError
from gseg_runtime.images import SUFFIXES, list_images
from gseg_runtime.litter import litter_kind
from gseg_runtime.photo_names import without_masks

HINT = "name a folder, zip, tar, LMDB or Parquet of photos"
TAR, PARQUET = ".tar", ".parquet"
PACKED = (".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar")
LABELS = "dataset.json"  # as NVIDIA's dataset_tool.py writes it, beside the photos
UNPACK = "unpack it and name the folder that comes out; a .zip or .tar is read as it is"

Member = tuple[str, int, int]  # of a tar: name, place and size
NOWHERE = -1  # the place of what is not in the tar itself, or in pieces


@contextmanager
def open_photos(source: Path) -> Iterator[list[Photo]]:
    """Every file named like a photo, sorted by name; of labelled photos not the masks. GsegError for a source that is
    none.
    """
    with ExitStack() as stack:
        if source.is_dir():
            yield without_masks(_in_folder(source), _name) or _in_containers(source, stack)
        elif source.is_file():
            yield _in_file(source, stack)
        else:
            raise GsegError(f"{source}: no such folder or file", HINT)


def _in_containers(folder: Path, stack: ExitStack) -> list[Photo]:
    """Of a folder without photos; Parquet also as it lies in the repositories of Hugging Face."""
    if (folder / lmdb_file.FILE).is_file():
        return photos_in_lmdb(folder / lmdb_file.FILE, stack)
    parquet = _ending(folder, PARQUET) or _ending(folder / "data", PARQUET)
    return photos_in_parquet(parquet, stack) if parquet else _in_tars(_ending(folder, TAR), stack)


def _ending(folder: Path, suffix: str) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() == suffix)


def _in_file(source: Path, stack: ExitStack) -> list[Photo]:
    if zipfile.is_zipfile(source):
        return without_masks(_in_zip(open_zip(source)), _name)
    if source.suffix.lower() == TAR:
        return _in_tars([source], stack)
    if source.suffix.lower() == PARQUET:
        return photos_in_parquet([source], stack)
    if is_lmdb(source):
        return photos_in_lmdb(source, stack)
    if source.name.lower().endswith(PACKED):
        raise GsegError(f"{source}: a packed archive, in which photos cannot be read at their places", UNPACK)
    raise GsegError(f"{source}: no file of photos", HINT)


def open_zip(source: Path) -> zipfile.ZipFile:
    """Stays open, and is the same until the file changes: it takes seconds to read what is in a large one.

    GsegError for a damaged one.
    """
    try:
        return _opened(source.absolute(), *_state_of(source))
    except zipfile.BadZipFile as error:
        raise GsegError(f"{source}: a damaged zip: {error}", "copy it again, or unpack it") from error


def _state_of(path: Path) -> tuple[int, int, int]:
    """Another one when the file changes."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns


@lru_cache(maxsize=1)
def _opened(source: Path, *state: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(source)


def _name(photo: Photo) -> str:
    return photo.name


def photos_key(photos: Sequence[Photo]) -> str:
    """Twelve hexadecimal digits, others when photos are added, renamed, or replaced by some of another size."""
    return hashlib.sha256(repr([(photo.name, photo.num_bytes) for photo in photos]).encode()).hexdigest()[:12]


def _is_image(name: str) -> bool:
    """Not of a thumbnail: file servers keep them in folders of their own, which get into archives."""
    if not name.lower().endswith(SUFFIXES):
        return False
    return not PurePosixPath(name).name.startswith(".") and not any(map(litter_kind, PurePosixPath(name).parts))


def _is_wanted(name: str) -> bool:
    return _is_image(name) or PurePosixPath(name).name == LABELS


def _in_folder(source: Path) -> list[Photo]:
    """Links that lead nowhere stay, to be told: data is often linked from a disk that may be missing."""
    paths = [path for path in list_images(source) if _is_image(path.name) and (path.is_file() or not path.exists())]
    return [Photo(str(path.relative_to(source)), _num_bytes(path), path.read_bytes) for path in paths]


def _num_bytes(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _in_zip(archive: zipfile.ZipFile) -> list[Photo]:
    named = [(member.filename.replace("\\", "/"), member) for member in archive.infolist()]  # as old Windows packs them
    members = sorted((one for one in named if _is_image(one[0])), key=lambda one: one[0])
    return [Photo(name, member.file_size, _zip_reader(archive, member)) for name, member in members]


def _zip_reader(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Callable[[], bytes]:
    def read() -> bytes:
        with archive.open(member) as file:
            return limited(file.read(MAX_PHOTO_BYTES + 1))  # a header may lie about the size

    return read


def _in_tars(shards: list[Path], stack: ExitStack) -> list[Photo]:
    listed = _members_of(shards)
    photos = [
        Photo(f"{shard.name}/{name}", num_bytes, _tar_reader(file.fileno(), offset, num_bytes))
        for shard, members in zip(shards, listed, strict=True)
        for file in [stack.enter_context(shard.open("rb"))]
        for name, offset, num_bytes in members
        if _is_image(name)
    ]
    # Without the shard's name: masks may be in other shards than their photos.
    return sorted(without_masks(photos, lambda photo: photo.name.partition("/")[2]), key=_name)


def read_labels_in_tar(source: Path, max_bytes: int) -> tuple[str, bytes] | None:
    """The dataset.json at the top of a tar, or in the one folder that lies there: its name, and how it begins.

    None where there is none.
    """
    (members,) = _members_of([source])
    lists = [name for name, offset, _ in members if not _is_image(name) and offset != NOWHERE]
    depth_of = {name: len(PurePosixPath(name).parts) for name in lists}
    nearest = min(depth_of, key=lambda name: (depth_of[name], name), default=None)
    if nearest is None or depth_of[nearest] > 2:
        return None
    offset, num_bytes = next(place for name, *place in members if name == nearest)
    with source.open("rb") as file:
        return nearest, os.pread(file.fileno(), min(num_bytes, max_bytes), offset)


def _members_of(shards: Sequence[Path]) -> list[list[Member]]:
    return _listed(tuple((shard.absolute(), *_state_of(shard)) for shard in shards))


@lru_cache(maxsize=1)
def _listed(shards: tuple[tuple[Path, *tuple[int, ...]], ...]) -> list[list[Member]]:
    """Of each tar, which has no list of what is in it: it is read from end to end, once."""
    return [_list_tar(path) for path, *_ in shards]


def _list_tar(shard: Path) -> list[Member]:
    """The photos, and any dataset.json."""
    try:
        with shard.open("rb") as file, tarfile.TarFile(fileobj=file) as tar:  # not packed: photos are read in place
            places: dict[str, tuple[int, int]] = {}
            for member in tar:
                if not member.isdir():
                    places[member.name] = _place_of(member, places)
            return [(name, *place) for name, place in places.items() if _is_wanted(name)]
    except tarfile.TarError as error:
        raise GsegError(
            f"{shard}: not a tar of photos that can be read: {error}", "copy it again, or unpack it"
        ) from error


def _place_of(member: tarfile.TarInfo, before: Mapping[str, tuple[int, int]]) -> tuple[int, int]:
    """Hard links, as tar writes for a file that it has packed already, are where that file is."""
    if member.islnk():
        return before.get(member.linkname, (NOWHERE, 0))
    return (member.offset_data, member.size) if member.isreg() and not member.issparse() else (NOWHERE, 0)


def _tar_reader(descriptor: int, offset: int, num_bytes: int) -> Callable[[], bytes]:
    def read() -> bytes:  # at its place in the file, since many are read at once
        if offset == NOWHERE:
            raise ValueError("a link, or stored in pieces; pack the tar anew with what links point to (tar -h)")
        return limited(os.pread(descriptor, min(num_bytes, MAX_PHOTO_BYTES + 1), offset))

    return read
