"""gseg-manifest.jsonl: one line per photo, written as it is done, from which an interrupted run goes on."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, NamedTuple, Self

from gseg_runtime.errors import GsegError, ImageError, OutputError
from gseg_runtime.files import atomic_path, is_whole, parse_json
from gseg_runtime.made_with import both
from gseg_runtime.pillow import picture_errors

MANIFEST = "gseg-manifest.jsonl"
_OPTIONAL = ("coco", "confidence", "cutout", "figures", "instances", "remark", "settings", "way")


class Stamp(NamedTuple):
    """How a changed photo is told from the same one: size_bytes and mtime_ns, the time of its last change."""

    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Entry:
    """What became of one photo.

    mask: relative to the folder; status: "done" or "failed"; error: the reason or None; height, width: of the photo as
    displayed; areas: pixels per class, in class order; confidence: see `Prediction.mean_confidence`; coco: its
    annotations without ids, with --coco only; figures: what else was measured of the photo, by name; remark: what its
    decoder found amiss; cutout: indices of the classes that were cut out; instances: as coco, but for each connected
    part, with --instances only; settings: how the mask was made of photo and model, None for the way of all defaults;
    way: from the folder of masks to the photo, where `input` is relative, which means another one in another working
    folder.
    """

    input: str
    mask: str
    status: str
    model_sha256: str
    seconds: float
    stamp: Stamp | None
    error: str | None = None
    height: int | None = None
    width: int | None = None
    areas: list[int] | None = None
    confidence: float | None = None
    coco: list[dict[str, Any]] | None = None
    figures: dict[str, float | None] | None = None
    remark: str | None = None
    cutout: list[int] | None = None
    instances: list[dict[str, Any]] | None = None
    settings: dict[str, Any] | None = None
    way: str | None = None

    @property
    def name(self) -> str:
        """The photo relative to the folder that was searched: its place is that of the mask."""
        return str(PurePath(self.mask).with_name(PurePath(self.input).name))

    def to_line(self) -> str:
        data = {name: value for name, value in vars(self).items() if name not in _OPTIONAL or value is not None}
        return json.dumps({**data, "stamp": self.stamp and self.stamp._asdict()}) + "\n"

    @classmethod
    def from_json(cls, data: Any) -> "Entry":
        """Raises TypeError, ValueError or KeyError for what `to_line` did not write."""
        for name in (data["input"], data["mask"]):
            if b"\0" in os.fsencode(name):
                raise ValueError("no name of a file")
        for name, value in data.items():
            _check_type(name, value)
        if not 0 <= (data.get("confidence") or 0) <= 1:
            raise ValueError("no share")
        return cls(**{**data, "stamp": data["stamp"] and Stamp(**data["stamp"])})


_LISTS = {"areas": int, "cutout": int, "coco": dict, "instances": dict}  # what is in them
_TYPES: dict[str, Any] = {  # of what is neither a list nor a text
    **dict.fromkeys(("height", "width"), int),
    **dict.fromkeys(("stamp", "figures", "settings"), dict),
    **dict.fromkeys(("seconds", "confidence"), (int, float)),
}
_MAY_BE_NONE = {"stamp", "error", "height", "width", "areas", *_OPTIONAL}


def _check_type(name: str, value: Any) -> None:
    """TypeError for a value of an entry that somebody changed."""
    if value is None and name in _MAY_BE_NONE:
        return
    is_right = isinstance(value, list if name in _LISTS else _TYPES.get(name, str))
    if is_right and name in _LISTS:
        is_right = all(isinstance(item, _LISTS[name]) for item in value)
    if not is_right:
        raise TypeError(f"{name}: not as it was written")


def place_of(entry: Entry, folder: Path) -> Path:
    """Where its photo is, whatever folder the run worked in; folder: of the masks."""
    return Path(os.path.normpath(folder.absolute() / entry.way)) if entry.way else Path(entry.input)


def stamp_of(photo: Path) -> Stamp:
    """Raises ImageError when there is no such file."""
    with picture_errors(photo):
        stat = photo.stat()
    return Stamp(stat.st_size, stat.st_mtime_ns)


class Done:
    """The masks that an earlier run finished, as its manifest tells."""

    def __init__(
        self,
        folder: Path,
        model_sha256: str,
        is_enough: Callable[[Entry], bool] = lambda entry: True,
        settings: dict[str, Any] | None = None,
    ) -> None:
        """is_enough: whether an entry, and what was written with it, has all that is wanted now. settings: of `Entry`.

        Raises GsegError when another model or other settings made them. A folder without manifest has none.
        """
        self._folder = folder
        self._photos: dict[str, tuple[str, Stamp | None]] = {}  # mask -> path and stamp of its photo
        self._lacking: set[str] = set()  # masks that do not have all that is wanted
        self._failed: set[str] = set()  # masks of photos that failed, and that are still there
        for entry in read_entries(folder):
            place = str(place_of(entry, folder))
            if entry.status == "failed":
                if os.path.lexists(place):
                    self._failed.add(entry.mask)
                continue
            _check_alike(folder, entry, model_sha256, settings)
            self._photos[entry.mask] = (place, entry.stamp)
            if not is_enough(entry):
                self._lacking.add(entry.mask)

    def knows(self, mask: PurePath) -> bool:
        """Whether the mask was made once, whatever became of it."""
        return str(mask) in self._photos

    def holds(self, photo: Path, mask: PurePath) -> bool:
        """Whether the mask is there as a whole, and of the photo as it is now.

        GsegError when it is of another photo that is still there: a run refuses two that would write the same mask.
        """
        path, stamp = self._photos.get(str(mask), ("", None))
        if path and path != str(photo.absolute()) and _are_two(path, photo):
            raise GsegError(f"{path} and {photo} would both write {mask}", "give each its own output folder")
        if PurePath(path).name != photo.name or str(mask) in self._lacking or not is_whole(self._folder / mask):
            return False
        try:
            return stamp == stamp_of(photo)
        except ImageError:  # whoever reads it will tell
            return False

    def forget(self, mask: PurePath) -> None:
        """It is to be made anew."""
        self._photos.pop(str(mask), None)
        self._lacking.discard(str(mask))
        self._failed.discard(str(mask))

    def rewrite(self) -> None:
        """Take what was forgotten out of the manifest. A killed run may also have left half a line."""
        with atomic_path(self._folder / MANIFEST) as temporary, temporary.open("w", encoding="utf-8") as file:
            for entry in read_entries(self._folder):
                if entry.mask in (self._failed if entry.status == "failed" else self._photos):
                    file.write(entry.to_line())


def _check_alike(folder: Path, entry: Entry, model_sha256: str, settings: dict[str, Any] | None) -> None:
    hint = "use --overwrite to make them all again, or choose another folder"
    if entry.model_sha256 != model_sha256:
        message = f"{folder}: cannot resume: these masks come from another model or other settings"
        raise GsegError(message, hint)
    if entry.settings != settings:
        there, here = both(entry.settings, settings)
        message = f"{folder}: cannot resume: these masks were made {there}, not {here}"
        raise GsegError(message, f"go on {there}, {hint}")


def _are_two(path: str, photo: Path) -> bool:
    """Whether both are there, and not by two ways to one. A photo that was moved is where it was no more."""
    try:
        return not photo.samefile(path)
    except OSError:
        return False


class ManifestWriter:
    """Appends entries; each is in the file before the next is accepted, so a killed process loses none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / MANIFEST
        self._file = self._path.open("a", encoding="utf-8")

    def add(self, entry: Entry) -> None:
        """OutputError when the disk is full."""
        try:
            self._file.write(entry.to_line())
            self._file.flush()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}", RESUME_HINT) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except OSError:
            if kind is None:  # what could not be written is tried again by close; its first failure is told already
                raise


RESUME_HINT = "make room and run it again with --resume; finished masks are kept"


def read_entries(folder: Path) -> Iterator[Entry]:
    """All entries, one after the other; none when there is no file."""
    path = folder / MANIFEST
    if path.is_file():
        with path.open("rb") as file:
            yield from filter(None, map(_parse, file))


def read_manifest(folder: Path) -> Iterator[Entry]:
    """The entries of photos that are done."""
    return (entry for entry in read_entries(folder) if entry.status == "done")


def failed_masks(folder: Path) -> set[str]:
    """Masks of photos that failed; where an earlier run made one of them, it is still there, and out of date."""
    return {entry.mask for entry in read_entries(folder) if entry.status == "failed"}


def read_sorted(folder: Path) -> Iterator[Entry]:
    """`read_manifest` in the order of the masks' names; only names and places of the lines are kept in memory."""
    places: dict[str, int] = {}
    if not (folder / MANIFEST).is_file():
        return
    with (folder / MANIFEST).open("rb") as file:
        start = 0
        for line in file:
            if (entry := _parse(line)) and entry.status == "done":
                places[entry.mask] = start
            start += len(line)
        for _, start in sorted(places.items()):
            file.seek(start)
            if entry := _parse(file.readline()):
                yield entry


def has_full_names(folder: Path) -> bool | None:
    """Whether the masks are named x.jpg.png, not x.png; None where no mask tells."""
    for entry in read_manifest(folder):
        mask, photo = PurePath(entry.mask).name, PurePath(entry.input)
        if photo.name != photo.stem:
            return mask == f"{photo.name}.png"
    return None


def _parse(line: bytes) -> Entry | None:
    """None for half a line, or one that was changed by hand: that photo is done again."""
    try:
        return Entry.from_json(parse_json(line))
    except (ValueError, TypeError, KeyError):
        return None
