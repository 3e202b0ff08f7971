"""What people name as input: photos, folders, glob patterns that no shell expanded, and lists of names."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gseg_runtime.errors import GsegError
from gseg_runtime.images import SUFFIXES, is_named_like_a_picture, walk_images


@dataclass(frozen=True, slots=True)
class Source:
    """What to segment: a photo, a folder that is searched to the bottom, or a glob pattern.

    base: masks lie in `out` as their photos lie below it. None is the folder itself, the fixed part of a pattern, and a
    single photo's own folder. is_listed: from a list of names, in which a missing file costs no more than itself, and
    a relative name keeps its folders.
    """

    path: Path
    base: Path | None = None
    is_listed: bool = False


def read_list(data: bytes, *, null: bool = False, base: Path | None = None) -> list[Source]:
    """The names in a list: one per line, or between null bytes as `find -print0` writes them."""
    lines = data.split(b"\0") if null else data.splitlines()
    return [Source(Path(os.fsdecode(line)), base, is_listed=True) for line in lines if line]


def list_photos(sources: Iterable[Source], searched: set[str]) -> Iterator[tuple[str, list[str]]]:
    """(base, names below it) of every source; the folders that were looked through are added to `searched`."""
    for source in sources:
        path = os.fspath(source.path)
        if os.path.isdir(path):
            searched.add(path)
            yield _rebase(path, list(walk_images(path)), source.base)
        elif os.path.lexists(path) or source.is_listed:
            yield _file(path, source)
        elif glob.has_magic(path):
            yield _rebase(*_glob(path, searched), source.base)
        else:
            raise GsegError(f"{path}: no such file or folder", "name photos, folders, or a pattern in quotes")


def _file(path: str, source: Source) -> tuple[str, list[str]]:
    folder, name = os.path.split(path)
    is_tree = source.is_listed and not os.path.isabs(path) and os.pardir not in Path(path).parts
    if is_tree and source.base is None:
        return "", [os.path.normpath(path)]
    return _rebase(folder, [name], source.base)


def _glob(pattern: str, searched: set[str]) -> tuple[str, list[str]]:
    """The folder before the first wildcard, and what matches below it; folders that match are searched."""
    parts = Path(pattern).parts
    fixed = os.path.join("", *parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    names: set[str] = set()
    for name in glob.iglob(os.path.join("", *parts[len(Path(fixed).parts) :]), root_dir=fixed or None, recursive=True):
        if os.path.isdir(path := os.path.join(fixed, name)):
            searched.add(path)
            names.update(os.path.normpath(os.path.join(name, below)) for below in walk_images(path))
        elif is_named_like_a_picture(os.path.basename(name)):
            names.add(name)
    if not names:
        raise GsegError(f"{pattern}: no image matches", f"looked for names that end in {', '.join(SUFFIXES)}")
    return fixed, list(names)


def _rebase(folder: str, names: list[str], base: Path | None) -> tuple[str, list[str]]:
    if base is None:
        return folder, names
    below = os.path.relpath(folder or os.curdir, base)
    if below.split(os.sep)[0] == os.pardir:
        raise GsegError(f"{folder or os.curdir}: not below the base folder {base}", "--base must hold all photos")
    return os.fspath(base), [os.path.normpath(os.path.join(below, name)) for name in names]
