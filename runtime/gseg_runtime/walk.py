"""Finding photos below a folder: each real folder once, links followed, and what cannot be listed told.

What lies in the tree itself comes before what only links lead to. So a photo is found where it really lies, on every
disk, in whatever order the disk lists its folders, and also when somebody adds a link.
"""

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from glob import has_magic
from heapq import heappop, heappush
from pathlib import Path

from gseg_runtime.errors import GsegError
from gseg_runtime.litter import litter_kind
from gseg_runtime.photo_names import OTHER, is_named_like_a_picture, kind_of, without_masks

_MOST_KINDS = 1000  # of what is passed over; more would be a way to fill the memory
_LEADS_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

_Identity = tuple[int, int | str]  # of a real folder: its disk, and its number there


@dataclass
class Search:
    """searched: folders that were looked through to the bottom; unlisted: those that could not be, and why.

    passed_over: how many files are no photos by their names, by suffix, and how many files and folders are what systems
    leave behind, by kind.
    """

    searched: set[str] = field(default_factory=set)
    unlisted: dict[str, str] = field(default_factory=dict)
    passed_over: Counter[str] = field(default_factory=Counter)

    def pass_over(self, name: str) -> None:
        kind = kind_of(name)
        self.passed_over[kind if kind in self.passed_over or len(self.passed_over) < _MOST_KINDS else OTHER] += 1

    def add(self, other: "Search") -> None:
        self.searched |= other.searched
        self.unlisted |= other.unlisted
        self.passed_over += other.passed_over

    def cannot_list(self, folder: str) -> GsegError:
        """Of one that is in `unlisted`, and all that was asked for."""
        hint = "its permissions, or the disk, forbid it"
        return GsegError(f"{folder}: cannot be listed: {self.unlisted[folder]}", hint)


def list_photos(source: Path) -> list[Path]:
    """`list_images` without masks beside their photos."""
    return without_masks(list_images(source), lambda path: path.relative_to(source).as_posix())


def list_images(source: Path) -> list[Path]:
    """Everything below `source` that is named like a picture, sorted; a single file as it is.

    Broken links, folders named like pictures and folders that cannot be listed are among them: whoever reads them
    learns what is wrong, and nothing is passed over in silence. Raises GsegError when `source` does not exist, or is a
    folder that cannot be listed itself.
    """
    if source.is_dir():
        search, folder = Search(), os.fspath(source)
        names = list(walk_images(folder, search))
        if folder in search.unlisted:
            raise search.cannot_list(folder)
        return sorted([*(source / name for name in names), *map(Path, search.unlisted)])
    if not source.exists():
        raise GsegError(f"{source}: no such file or folder", "name a folder of photos, or a photo")
    return [source]


def walk_images(folder: str, search: Search) -> Iterator[str]:
    """The names, relative to `folder`, of all that is named like a picture, in no order."""
    search.searched.add(folder)
    return _Walk(folder, (), search).names()


def match_images(folder: str, pattern: Sequence[str], search: Search) -> Iterator[str]:
    """The names, relative to `folder`, of pictures that match the parts of a glob pattern, and of those in folders
    that match it; in no order, and perhaps more than once."""
    return _Walk(folder, pattern, search).names()


class _Walk:
    """Visits each real folder once for each part of a pattern; behind the last part it takes all that is there."""

    def __init__(self, root: str, pattern: Sequence[str], search: Search) -> None:
        self._root, self._pattern, self._search = root, pattern, search
        # A heap: links behind all else; path below the root; the last part first, which takes the most, times -1.
        self._waiting: list[tuple[bool, str, int]] = []
        self._visited: set[tuple[_Identity, int]] = set()
        self._first_path: dict[_Identity, str] = {}
        self._left_out: set[str] = set()
        self._given: set[str] = set()  # folders named like pictures: whoever reads them learns what is wrong

    def names(self) -> Iterator[str]:
        heappush(self._waiting, (False, "", 0))
        while self._waiting:
            _, below, part = heappop(self._waiting)
            try:
                yield from self._visit(below, -part)
            except OSError as error:
                is_there = below or error.errno not in _LEADS_NOWHERE  # a pattern in no folder matches nothing
                if is_there and below not in self._given:
                    self._cannot_list(self._path(below), error)

    def _visit(self, below: str, part: int) -> Iterator[str]:
        identity = _identity(self._path(below))
        if self._visited.intersection([(identity, part), (identity, len(self._pattern))]):
            return iter(())
        self._visited.add((identity, part))
        below = self._first_path.setdefault(identity, below)  # whichever part leads here, a photo has one name
        if part == len(self._pattern):
            return self._all(below, part)
        return (self._matching if has_magic(self._pattern[part]) else self._named)(below, part)

    def _all(self, below: str, part: int) -> Iterator[str]:
        prefix = os.path.join(below, "")
        with os.scandir(self._path(below)) as entries:
            for entry in entries:
                name, is_picture = prefix + entry.name, is_named_like_a_picture(entry.name)
                if litter_kind(entry.name):
                    self._leave_out(entry, name, is_last=True)
                    continue
                if is_folder := self._is_folder(entry):
                    self._wait(name, part, is_link=entry.is_symlink())
                    if is_picture:
                        self._given.add(name)
                if is_picture:
                    yield name
                elif not is_folder:
                    self._search.pass_over(entry.name)

    def _matching(self, below: str, part: int) -> Iterator[str]:
        is_last = part + 1 == len(self._pattern)
        is_deep = self._pattern[part] == "**" and not is_last
        if is_deep:
            self._wait(below, part + 1, is_link=False)
        matches, prefix = _matcher(self._pattern[part]), os.path.join(below, "")
        with os.scandir(self._path(below)) as entries:
            for entry in entries:
                if not matches(entry.name):
                    continue
                name, is_picture = prefix + entry.name, is_named_like_a_picture(entry.name)
                if litter_kind(entry.name):
                    self._leave_out(entry, name, is_last=is_last)
                elif self._is_folder(entry):
                    self._wait(name, part if is_deep else part + 1, is_link=entry.is_symlink(), is_given=is_last)
                elif is_last and is_picture:
                    yield name
                elif is_last:
                    self._search.pass_over(entry.name)

    def _named(self, below: str, part: int) -> Iterator[str]:
        """A part without wildcards: nothing need be listed for it."""
        name, is_last = os.path.join(below, self._pattern[part]), part + 1 == len(self._pattern)
        path = self._path(name)
        try:
            is_folder = stat.S_ISDIR(os.stat(path).st_mode)
        except OSError as error:
            if error.errno not in _LEADS_NOWHERE:
                self._cannot_list(path, error)
                return
            is_folder = False
        if is_folder:
            self._wait(name, part + 1, is_link=os.path.islink(path), is_given=is_last)
        elif is_last and os.path.lexists(path):
            if is_named_like_a_picture(name):
                yield name
            else:
                self._search.pass_over(self._pattern[part])

    def _wait(self, below: str, part: int, *, is_link: bool, is_given: bool = False) -> None:
        """is_given: the whole pattern matches the folder."""
        heappush(self._waiting, (is_link, below, -part))
        if part == len(self._pattern) and (is_link or is_given):
            self._search.searched.add(self._path(below))

    def _leave_out(self, entry: "os.DirEntry[str]", name: str, *, is_last: bool) -> None:
        """A folder counts once, though several parts match it; a file for the last part only."""
        if self._is_folder(entry):
            if name in self._left_out:
                return
            self._left_out.add(name)
        elif not is_last:
            return
        self._search.pass_over(entry.name)

    def _is_folder(self, entry: "os.DirEntry[str]") -> bool:
        """Also of a link. One that may not be followed is told, unless it is named like a picture and will be read."""
        try:
            return entry.is_dir()
        except OSError as error:
            if error.errno not in _LEADS_NOWHERE and not is_named_like_a_picture(entry.name):
                self._cannot_list(entry.path, error)
            return False

    def _cannot_list(self, path: str, error: OSError) -> None:
        self._search.unlisted[path] = error.strerror or str(error)

    def _path(self, below: str) -> str:
        return os.path.join(self._root, below) if below else self._root or os.curdir


def _identity(path: str) -> _Identity:
    status = os.stat(path)
    return status.st_dev, status.st_ino or os.path.realpath(path)  # some disks of other systems number no file


def _matcher(part: str) -> Callable[[str], bool]:
    """As in a shell: hidden names match only what begins with a dot itself; ** at the end is *."""
    matches = re.compile(translate("*" if part == "**" else part)).match
    return lambda name: (name[0] != "." or part[0] == ".") and matches(name) is not None
