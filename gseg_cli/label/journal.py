"""The history of one label map: a file that grows by a line per change, so that nothing is lost and all can be undone.

The first line says what the map was before, each further one is a change, an undo or a redo. A line that a killed
process left half written is cut off when the file is opened; `rev`, the number of changes so far, counts whole lines.
"""

import base64
import errno
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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

    def __init__(self, path: Path, base: LabelMap) -> None:
        """Open the journal; where there is none that can be read, the first change begins one at `base`."""
        self.path, self.rev = path, 0
        self.labels = self.previous = base  # now, and before the newest change
        self.newest: tuple[str, Rectangle] | None = None  # draw, undo or redo, and where
        self._done: list[Change] = []
        self._undone: list[Change] = []
        self._has_file = self._replay()

    @property
    def can_undo(self) -> bool:
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        return bool(self._undone)

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
            header = {"format": FORMAT, "kind": KIND, "size": len(self.labels), "labels": _to_text(_pack(self.labels))}
            write_text(self.path, json.dumps(header) + "\n")
            self._has_file = True
        _append(self.path, json.dumps(entry).encode() + b"\n")

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
        if num_bytes:
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
        self.labels = self.previous = _unpack(_to_bytes(entry["labels"]), *self.labels.shape)

    def _continue(self, entry: Any) -> None:
        if entry in ("undo", "redo"):
            self._undo() if entry == "undo" else self._redo()
            return
        where = Rectangle(*(int(entry[key]) for key in ("x", "y", "w", "h")))
        if not where.lies_in(len(self.labels)):
            raise ValueError
        before, after = _to_bytes(entry["before"]), _to_bytes(entry["after"])
        _unpack(before, where.h, where.w)
        self._apply(Change(where, before, after))


def _append(path: Path, line: bytes) -> None:
    """Onto the disk, whole; OSError when it cannot be, and then nothing of it is there."""
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
