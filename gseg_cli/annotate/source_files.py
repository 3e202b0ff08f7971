"""The files of an export: a folder, a zip as it was downloaded, or single files. Read only, and within bounds.

A zip is never unpacked: its members are read in memory, so their names cannot lead anywhere.
"""

import io
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath

from gseg_runtime.class_map import composed
from gseg_runtime.errors import GsegError
from gseg_runtime.files import check_no_pipe

MAX_FILES = 20_000
OPEN_RASTER = "stack.xml"  # in every file of that format
MAX_BYTES = 256 * 2**20  # of one file
MAX_ZIP_BYTES = 2**30  # of all members of a zip that are read


_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error)


@dataclass(frozen=True)
class Files:
    """Files by their names below `root`, in order. A name is posix text such as "images/000003.png".

    lent: those that stand outside of what was given.
    """

    root: Path
    readers: Mapping[str, Callable[[], bytes]]
    is_zip: bool = False
    lent: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return list(self.readers)

    def where(self, name: str) -> str:
        """The file, for messages."""
        return f"{self.root}:{name}" if self.is_zip else str(self.root / name)

    def read(self, name: str) -> bytes:
        """GsegError when it cannot be read or is larger than MAX_BYTES."""
        try:
            data = self.readers[name]()
        except (OSError, RuntimeError, NotImplementedError, EOFError, ValueError, *_ZIP_ERRORS) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise GsegError(f"{self.where(name)}: cannot be read: {reason}", "export or download it again") from error
        if len(data) > MAX_BYTES:
            message = f"{self.where(name)}: more than {MAX_BYTES // 2**20} MiB"
            raise GsegError(message, "export the annotations without the images")
        return data

    def named(self, *suffixes: str) -> list[str]:
        """Those that end so, such as ".json"."""
        return [name for name in self.names if base_name(name).lower().endswith(suffixes)]

    def called(self, reference: str) -> list[str]:
        """The files of the same name, in whatever folder, as a path in an annotation."""
        return self._by_base.get(_folded(reference.replace("\\", "/")), [])

    def find(self, reference: str) -> str | None:
        """The one file that a path in an annotation means; None when there is none of its name, or several."""
        found = self.called(reference)
        return found[0] if len(found) == 1 else None

    def picture(self, reference: str) -> Callable[[], bytes | None]:
        """Reads the picture that an annotation refers to; None when it is not among the files."""
        name = self.find(reference)
        return (lambda: None) if name is None else partial(self.read, name)

    def seen_from(self, folder: Path, lent: Iterable[str]) -> "Files":
        """With these files of `folder`, which is `root` or above it; there names begin then."""
        start = self.root.resolve().relative_to(folder)
        readers = {(start / name).as_posix(): reader for name, reader in self.readers.items()}
        return Files(folder, {**readers, **{name: partial(_read_file, folder / name) for name in lent}}, lent=(*lent,))

    def about_lent(self, used: Collection[str]) -> list[str]:
        """A warning of each that is used."""
        return [f"{self.where(name)}: the masks are read by this table" for name in self.lent if name in used]

    @cached_property
    def _by_base(self) -> dict[str, list[str]]:
        bases: dict[str, list[str]] = {}
        for name in self.names:
            bases.setdefault(_folded(name), []).append(name)
        return bases


def base_name(name: str) -> str:
    return name.rpartition("/")[2]


def _folded(name: str) -> str:
    """A file's name, the same for capitals and however accents are written; a Mac takes them apart."""
    return composed(base_name(name)).lower()


def open_source(source: Path) -> Files:
    """The files of a folder (with its subfolders), of a zip, or the one file. GsegError when there is none."""
    if not source.exists():
        raise GsegError(
            f"{source}: no such file or folder", "name the file or folder that the annotation tool exported"
        )
    if source.is_dir():
        return _open_folder(source)
    check_no_pipe(source)
    if zipfile.is_zipfile(source) or source.suffix.lower() == ".zip":
        return _open_zip(source)
    return Files(source.parent, {source.name: partial(_read_file, source)})


def given_files(paths: Iterable[Path]) -> Files:
    """These files, by their paths."""
    return Files(Path(), {str(path): partial(_read_file, path) for path in paths})


def _open_folder(folder: Path) -> Files:
    names: list[str] = []
    for top, folders, files in os.walk(folder):  # does not follow links
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        found = [Path(top, name) for name in files if not name.startswith(".")]
        # Broken links stay, to be told; pipes and devices would never end.
        names += [path.relative_to(folder).as_posix() for path in found if path.is_file() or not path.exists()]
        _check_count(len(names), folder)
    return Files(folder, {name: partial(_read_file, folder / name) for name in sorted(names)})


def _open_zip(path: Path) -> Files:
    archive, members = _members(path, path)
    if OPEN_RASTER in members:  # one picture with layers, not many files
        return Files(path.parent, {path.name: partial(_read_file, path)})
    return _zip_files(path, archive, members)


def open_inner_zip(data: bytes, where: str) -> Files:
    """A file that is a zip itself, such as OpenRaster, where pyora writes names with a slash in front."""
    return _zip_files(Path(where), *_members(io.BytesIO(data), Path(where), strip="/"))


def _zip_files(path: Path, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo]) -> Files:
    budget = _Budget(MAX_ZIP_BYTES, path)
    readers = {name: partial(_read_member, archive, members[name], budget) for name in sorted(members)}
    return Files(path, readers, is_zip=True)


def _members(
    file: Path | io.BytesIO, path: Path, strip: str = ""
) -> tuple[zipfile.ZipFile, dict[str, zipfile.ZipInfo]]:
    """The files in a zip by their names; what macOS adds is left out."""
    try:
        archive = zipfile.ZipFile(file)
        infos = [info for info in archive.infolist() if not info.is_dir()]
    except (OSError, NotImplementedError, ValueError, IndexError, *_ZIP_ERRORS) as error:  # IndexError: an empty name
        raise GsegError(f"{path}: not a zip that can be read: {error}", "download it again") from error
    _check_count(len(infos), path)
    members: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename.replace("\\", "/").lstrip(strip)
        _check_member(name, path)
        if not name.startswith("__MACOSX/") and not base_name(name).startswith("."):
            members[name] = info
    return archive, members


def _check_count(count: int, source: Path) -> None:
    if count > MAX_FILES:
        raise GsegError(f"{source}: more than {MAX_FILES} files", "name the folder that holds only the annotations")


def _check_member(name: str, path: Path) -> None:
    if name.startswith("/") or ".." in PurePosixPath(name).parts or name[1:2] == ":" or not name.isprintable():
        message = f"{path}: the archive contains {name[:80]!r}, which would land outside its folder"
        raise GsegError(message, "no annotation tool writes such names; do not trust this file")


@dataclass
class _Budget:
    """How much of a zip may still be unpacked; a bomb is a small file that never ends."""

    left: int
    path: Path

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            message = f"{self.path}: unpacks to more than {MAX_ZIP_BYTES // 2**20} MiB"
            raise GsegError(message, "export the annotations without the pictures")


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget) -> bytes:
    with archive.open(info) as file:
        data = file.read(min(MAX_BYTES, budget.left) + 1)
    budget.take(len(data))
    return data


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        expected = min(os.fstat(file.fileno()).st_size, MAX_BYTES)
        return file.read(expected + 1)  # memory for all of it is taken before it is read
