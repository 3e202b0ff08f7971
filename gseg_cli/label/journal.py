"""The history of one label map: a file that grows by a line per change, so that nothing is lost and all can be undone.

The first line says what the map was before and what its classes are called; each further one is a change, an undo, a
redo, or other names. A line that a killed process left half written is cut off when the file is opened; `rev` is the
number of changes, undos and redos so far.
"""

import base64
import errno
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gseg_cli.label.palette import are_same
from gseg_runtime.class_map import IGNORE
from gseg_runtime.files import write_text
from gseg_runtime.label_map import LabelMap

FORMAT = 1
KIND = "label journal"


@dataclass(frozen=True)
class Rectangle:
    """Pixels of a label map: w columns from x on, h rows from y on."""

    x: int
    y: int
    w: int
    h: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.y, self.y + self.h), slice(self.x, self.x + self.w)

    def lies_in(self, size: int) -> bool:
        """Whether it holds pixels, and none outside a picture of that side."""
        is_inside = min(self.x, self.y) >= 0 and max(self.x + self.w, self.y + self.h) <= size
        return is_inside and min(self.w, self.h) >= 1


@dataclass(frozen=True)
class Change:
    """What a rectangle held before and after, packed."""

    where: Rectangle
    before: bytes
    after: bytes


class Journal:
    """A label map that remembers. `labels` is never written into: each change makes a new array."""

    def __init__(self, path: Path, base: LabelMap, names: Sequence[str]) -> None:
        """Open the journal of classes of these names.

        Where there is none that can be read, or its indices meant other classes, the first change begins one at `base`.
        """
        self.path, self.names = path, tuple(names)
        self._forget(base)
        self._has_file = self._replay() and are_same(self._told, self.names)
        if not self._has_file:
            self._forget(base)

    def _forget(self, base: LabelMap) -> None:
        self.rev = 0
        self.labels = self.previous = base  # now, and before the newest change
        self.newest: tuple[str, Rectangle] | None = None  # draw, undo or redo, and where
        self._told: tuple[str, ...] = ()  # the names in the file; files of old have none
        self._done: list[Change] = []
        self._undone: list[Change] = []

    @property
    def told(self) -> tuple[str, ...] | None:
        """The names in the file, which may be older; None where there is no file."""
        return self._told if self._has_file else None

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

    def tell(self, names: Sequence[str]) -> None:
        """The classes are called so from now on; the pixels stay what they are."""
        self.names = tuple(names)
        if self._has_file and self._told != self.names:
            _append(self.path, {"classes": self.names})
            self._told = self.names

    def draw(self, where: Rectangle, pixels: LabelMap) -> None:
        """pixels [h, w]: what the rectangle holds from now on."""
        change = Change(where, _pack(self.labels[where.slices]), _pack(pixels))
        self._write({**where.__dict__, "before": _to_text(change.before), "after": _to_text(change.after)})
        self._apply(change)

    def undo(self) -> Rectangle:
        """Take the newest change back, which there must be; where it was."""
        self._write("undo")
        return self._undo()

    def redo(self) -> Rectangle:
        """Make the change again that was taken back last; where it is."""
        self._write("redo")
        return self._redo()

    def _apply(self, change: Change) -> None:
        self._done.append(change)
        self._undone.clear()
        self._show("draw", change.where, change.after)

    def _undo(self) -> Rectangle:
        change = self._done.pop()
        self._undone.append(change)
        return self._show("undo", change.where, change.before)

    def _redo(self) -> Rectangle:
        change = self._undone.pop()
        self._done.append(change)
        return self._show("redo", change.where, change.after)

    def _show(self, how: str, where: Rectangle, packed: bytes) -> Rectangle:
        labels = self.labels.copy()
        labels[where.slices] = _unpack(packed, where.h, where.w)
        self.previous, self.labels = self.labels, labels
        self.rev, self.newest = self.rev + 1, (how, where)
        return where

    def _write(self, entry: Any) -> None:
        if not self._has_file:
            before = {"labels": _to_text(_pack(self.labels)), "classes": self.names}
            header = {"format": FORMAT, "kind": KIND, "size": len(self.labels), **before}
            write_text(self.path, json.dumps(header) + "\n")
            self._has_file, self._told = True, self.names
        self.tell(self.names)
        _append(self.path, entry)

    def _replay(self) -> bool:
        """Take over what the file says; False when there is no beginning to be read."""
        if not self.path.is_file():
            return False
        num_bytes = 0
        with self.path.open("rb") as file:
            for line in file:
                if not self._take(line, is_first=num_bytes == 0):
                    break
                num_bytes += len(line)
        if 0 < num_bytes < self.path.stat().st_size:  # else its time, which says when the newest change was, stays
            os.truncate(self.path, num_bytes)
        return num_bytes > 0

    def _take(self, line: bytes, *, is_first: bool) -> bool:
        """Whether the line is whole, and fits what came before."""
        if not line.endswith(b"\n"):
            return False
        try:
            entry = json.loads(line)
            self._begin(entry) if is_first else self._continue(entry)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError):
            return False
        return True

    def _begin(self, entry: dict[str, Any]) -> None:
        if (entry["format"], entry["kind"], entry["size"]) != (FORMAT, KIND, len(self.labels)):
            raise ValueError
        self._told = _to_names(entry.get("classes", []))
        self.labels = self.previous = _unpack(self._checked(entry["labels"], *self.labels.shape), *self.labels.shape)

    def _continue(self, entry: Any) -> None:
        if entry in ("undo", "redo"):
            self._undo() if entry == "undo" else self._redo()
            return
        if "classes" in entry:
            self._told = _to_names(entry["classes"])
            return
        where = Rectangle(*(int(entry[key]) for key in ("x", "y", "w", "h")))
        if not where.lies_in(len(self.labels)):
            raise ValueError
        before, after = (self._checked(entry[key], where.h, where.w) for key in ("before", "after"))
        self._apply(Change(where, before, after))

    def _checked(self, text: str, height: int, width: int) -> bytes:
        """Packed labels, all of them classes."""
        packed = _to_bytes(text)
        labels = _unpack(packed, height, width)
        if (labels[labels != IGNORE] >= len(self._told or self.names)).any():
            raise ValueError
        return packed


def _append(path: Path, entry: Any) -> None:
    """A line onto the disk, whole; OSError when it cannot be, and then nothing of it is there."""
    line = json.dumps(entry).encode() + b"\n"
    with path.open("ab", buffering=0) as file:
        num_bytes = file.tell()
        try:
            if file.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(file.fileno())
        except OSError:
            file.truncate(num_bytes)
            raise


def _pack(labels: LabelMap) -> bytes:
    return zlib.compress(labels.tobytes(), level=1)


def _unpack(data: bytes, height: int, width: int) -> LabelMap:
    """ValueError when it is something else, or more."""
    try:
        plain = zlib.decompressobj().decompress(data, height * width + 1)
    except zlib.error as error:
        raise ValueError from error
    return np.frombuffer(plain, np.uint8).reshape(height, width)


def _to_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _to_bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _to_names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError
    return tuple(names)
