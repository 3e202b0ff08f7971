"""gseg-manifest.jsonl: one line per photo, written as it is done, from which an interrupted run goes on."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Self

from gseg_runtime.errors import GsegError
from gseg_runtime.files import write_text
from gseg_runtime.pictures import picture_errors

MANIFEST = "gseg-manifest.jsonl"


@dataclass(frozen=True)
class Stamp:
    """How a changed photo is told from the same one: size_bytes and mtime_ns, the time of its last change."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """What became of one photo. mask: relative to the folder; status: "done" or "failed"; error: the reason or None."""

    input: str
    mask: str
    status: str
    model_sha256: str
    seconds: float
    stamp: Stamp | None
    error: str | None = None

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_json(cls, data: Any) -> "Entry":
        return cls(**{**data, "stamp": data["stamp"] and Stamp(**data["stamp"])})


def stamp_of(photo: Path) -> Stamp:
    """Raises ImageError when there is no such file."""
    with picture_errors(photo):
        stat = photo.stat()
    return Stamp(stat.st_size, stat.st_mtime_ns)


class Done:
    """The masks that an earlier run finished, as its manifest tells."""

    def __init__(self, folder: Path, model_sha256: str) -> None:
        """Raises GsegError when another model made them. A folder without manifest has none."""
        self._folder = folder
        entries = [entry for entry in _read(folder / MANIFEST) if entry.status == "done"]
        if any(entry.model_sha256 != model_sha256 for entry in entries):
            message = f"{folder}: these masks were made with another model, so they cannot be gone on with"
            raise GsegError(message, "--overwrite makes all of them anew, or choose another folder")
        self._entries = {entry.mask: entry for entry in entries}

    def holds(self, photo: Path, mask: PurePath) -> bool:
        """Whether the mask is there, and of the photo as it is now."""
        entry = self._entries.get(str(mask))
        if entry is None or PurePath(entry.input).name != photo.name or not (self._folder / mask).is_file():
            return False
        return photo.is_file() and entry.stamp == stamp_of(photo)

    def without(self, masks: Iterable[PurePath]) -> list[Entry]:
        """The entries that stay when `masks` are made anew."""
        gone = {str(mask) for mask in masks}
        return [entry for entry in self._entries.values() if entry.mask not in gone]


class ManifestWriter:
    """Appends entries; each is in the file before the next is accepted, so a killed process loses none."""

    def __init__(self, folder: Path, kept: Iterable[Entry] = ()) -> None:
        """kept: entries of an earlier run. The file is written anew: a killed run may have left half a line."""
        path = folder / MANIFEST
        write_text(path, "".join(entry.to_line() for entry in kept))
        self._file = path.open("a", encoding="utf-8")

    def add(self, entry: Entry) -> None:
        self._file.write(entry.to_line())
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _read(path: Path) -> list[Entry]:
    """All whole lines of a manifest; none when there is no file."""
    if not path.is_file():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        try:
            entries.append(Entry.from_json(json.loads(line)))
        except (ValueError, TypeError, KeyError):  # half a line: that photo is done again
            continue
    return entries
