"""What people name as input: photos, folders, glob patterns that no shell expanded, and lists of names."""

import codecs
import glob
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.photo_names import MASKS, SUFFIXES, without_masks
from gseg_runtime.walk import Search, match_images, walk_images

_NUM_KINDS = 5  # that a line names
IN_MASKS = f"in {MASKS}/"  # how label maps beside photos are counted that are passed over


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
    """The names in a list: one per line, or between null bytes as `find -print0` writes them.

    Bytes are taken as they are, but for a mark of UTF-8 at the start of lines, and for UTF-16 with its mark, as
    PowerShell writes. UsageError when it is neither.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        data = _utf_16(data)
    if null:
        lines = data.split(b"\0")
    elif b"\0" in data:
        hint = "--null reads what find -print0 writes; else save the list as UTF-8"
        raise UsageError("the list on stdin has null bytes in its lines", hint)
    else:
        lines = data.removeprefix(codecs.BOM_UTF8).splitlines()
    return [Source(Path(os.fsdecode(line)), base, is_listed=True) for line in lines if line]


def _utf_16(data: bytes) -> bytes:
    """As the system has names."""
    try:
        return os.fsencode(data.decode("utf-16"))
    except UnicodeError as error:
        raise UsageError(f"the list on stdin begins like UTF-16, but is not: {error}", "save it as UTF-8") from error


def list_photos(sources: Iterable[Source], search: Search) -> Iterator[tuple[str, list[str]]]:
    """(base, names below it, in no order) of every source. GsegError for one that is not there or cannot be listed; in
    a list, a folder of that kind is put down in `search` like those below other folders."""
    for source in sources:
        path = os.fspath(source.path)
        if os.path.isdir(path):
            yield _rebase(path, _folder(path, search, source), source.base)
        elif os.path.lexists(path) or source.is_listed:
            yield _file(path, source)
        elif glob.has_magic(path):
            yield _rebase(*_glob(path, search), source.base)
        else:
            raise GsegError(f"{path}: no such file or folder", "name photos, folders, or a pattern in quotes")


def no_photo(what: str, search: Search) -> GsegError:
    """With the folders that could not be listed, which may hold some, and with what is there instead."""
    shut = [f"{path}: cannot be listed: {reason}" for path, reason in sorted(search.unlisted.items())]
    message = "; ".join([what, *shut[:3], *filter(None, [passed_over_text(search.passed_over)])])
    return GsegError(message, f"looked for names that end in {', '.join(SUFFIXES)}")


def passed_over_text(passed_over: Mapping[str, int]) -> str:
    """What is no photo by its name, the most frequent kinds first; "" where there is no such thing."""
    kinds = sorted(passed_over.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in kinds[_NUM_KINDS:])
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds[:_NUM_KINDS])
    return f"passed over {shown}" + (f" and {rest} more" if rest else "") if kinds else ""


def _folder(path: str, search: Search, source: Source) -> list[str]:
    names = list(walk_images(path, search))
    if path in search.unlisted and not source.is_listed:
        raise search.cannot_list(path)
    if not any(MASKS in name for name in names):
        return names
    photos = without_masks(names, str)
    if len(photos) < len(names):
        search.passed_over[IN_MASKS] += len(names) - len(photos)
    return photos


def _file(path: str, source: Source) -> tuple[str, list[str]]:
    folder, name = os.path.split(path)
    is_tree = source.is_listed and not os.path.isabs(path) and os.pardir not in Path(path).parts
    if is_tree and source.base is None:
        return "", [os.path.normpath(path)]
    return _rebase(folder, [name], source.base)


def _glob(pattern: str, search: Search) -> tuple[str, list[str]]:
    """The folder before the first wildcard, and what matches below it; folders that match are searched."""
    parts = Path(pattern).parts
    first = next(index for index, part in enumerate(parts) if glob.has_magic(part))
    if os.pardir in parts[first:]:  # masks would leave their folder
        raise GsegError(f"{pattern}: has {os.pardir} behind a wildcard", "name the folder that it leads to")
    fixed = os.path.join("", *parts[:first])
    own = Search()
    names = list(match_images(fixed, parts[first:], own))
    if not names and not own.unlisted:
        raise no_photo(f"{pattern}: no image matches", own)
    search.add(own)
    return fixed, names


def _rebase(folder: str, names: list[str], base: Path | None) -> tuple[str, list[str]]:
    if base is None:
        return folder, names
    below = os.path.relpath(folder or os.curdir, base)
    if below.split(os.sep)[0] == os.pardir:
        raise GsegError(
            f"{folder or os.curdir}: not below the base folder {base}",
            "use --base with a folder that contains all photos",
        )
    return os.fspath(base), [os.path.normpath(os.path.join(below, name)) for name in names]
