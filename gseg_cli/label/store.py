"""The labels of a project's pictures: each change is on disk before it is acknowledged."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gseg_cli.label.errors import NotThereError, StaleError, UnsavedError
from gseg_cli.label.journal import Journal, Rectangle
from gseg_cli.label.lock import FolderLock
from gseg_cli.label.subject import Subject
from gseg_cli.project import Project
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.label_map import LabelMap, check_label_map, read_label_png


@dataclass(frozen=True)
class State:
    """Of a sample: its revision, and whether there is something to undo or to redo."""

    rev: int
    can_undo: bool
    can_redo: bool


@dataclass(frozen=True)
class Patch:
    """What a change made of a rectangle: labels [h, w]."""

    where: Rectangle
    labels: LabelMap
    state: State


class LabelStore:
    """Labels uint8 [R, R] of each picture, 255 where there are none, with all that can be undone.

    The journals in label/ are the truth; annotations/, or labelled/ of photos, follows within the same call. A change
    names the revision it was made on, and StaleError is raised when there is a newer one; but who repeats the newest
    change, because the answer was lost on the way, is answered as before. NotThereError for an unknown seed. May be
    called from several threads.
    """

    def __init__(self, project: Project, subject: Subject) -> None:
        """GsegError when another process has it open, or what is there cannot be painted on."""
        self.dir, self.size, self.classes, self.subject = project.label_dir, subject.size, project.classes, subject
        self.lock = FolderLock(self.dir)
        self._mutex = threading.Lock()
        try:
            self._open(project)
        except BaseException:
            self.lock.release()
            raise

    def labels(self, seed: int) -> LabelMap:
        """As they are now; never to be written into, and never changed afterwards."""
        return self._journal(seed).labels

    def labels_at(self, seed: int, rev: int) -> LabelMap:
        """As they were before the newest change if that was made on this revision, else as they are now."""
        journal = self._journal(seed)
        return journal.previous if rev == journal.rev - 1 else journal.labels

    def state(self, seed: int) -> State:
        return _state(self._journal(seed))

    def snapshot(self, seed: int) -> tuple[LabelMap, State]:
        """Labels and state that belong together."""
        with self._mutex:
            return self.labels(seed), self.state(seed)

    def found_classes(self) -> list[int]:
        """Indices of the classes that are labelled anywhere."""
        counts = np.zeros(256, np.int64)
        for labels in (*(journal.labels for journal in list(self._journals.values())), *self.annotations.elsewhere):
            counts += np.bincount(labels.ravel(), minlength=256)
        return np.flatnonzero(counts[:IGNORE]).tolist()

    def known_names(self) -> set[tuple[str, ...]]:
        """Of the classes as they are, and as they were called when they meant the same."""
        told = {journal.told for journal in self._journals.values()}
        return {self.classes.names, *filter(None, told)}

    def draw(self, seed: int, rev: int, where: Rectangle, pixels: LabelMap) -> State:
        """One stroke: pixels [h, w]. UsageError when it lies outside of the square, or holds what is no class.

        Beside a picture that does not fill its square nothing is labelled.
        """
        if not where.lies_in(self.size) or pixels.shape != (where.h, where.w):
            got = f"{where.w}x{where.h} pixels at {where.x}, {where.y}"
            noun = self.subject.noun
            raise UsageError(f"{noun} {seed}: expected a part of its {self.size}x{self.size} pixels, got {got}")
        check_label_map(pixels, len(self.classes), f"{self.subject.noun} {seed}")
        self._journal(seed)  # or there is no such picture
        pixels = np.where(self._inside(seed)[where.slices], pixels, np.uint8(IGNORE))

        def draw(journal: Journal) -> Rectangle:
            journal.draw(where, pixels)
            return where

        def is_newest(journal: Journal) -> bool:
            return journal.newest == ("draw", where) and np.array_equal(journal.labels[where.slices], pixels)

        patch = self._change(seed, rev, draw, is_newest)
        assert patch is not None
        return patch.state

    def _inside(self, seed: int) -> npt.NDArray[np.bool_]:
        inside = np.zeros((self.size, self.size), bool)
        inside[self.subject.window(seed, self.size)] = True
        return inside

    def undo(self, seed: int, rev: int) -> Patch | None:
        """Take the newest change back; None when there is none."""
        return self._change(seed, rev, lambda journal: journal.undo() if journal.can_undo else None, _newest_is("undo"))

    def redo(self, seed: int, rev: int) -> Patch | None:
        return self._change(seed, rev, lambda journal: journal.redo() if journal.can_redo else None, _newest_is("redo"))

    def recolour(self, classes: ClassMap) -> None:
        """Go on with other names or colours, or more classes."""
        with self._mutex:
            self.classes = classes
            self.annotations.recolour(classes)
            for journal in self._journals.values():
                journal.tell(classes.names)

    def add(self, subject: Subject) -> None:
        """Go on with more pictures, which hold those that there were."""
        with self._mutex:
            self.subject = subject
            self.annotations.follow(subject)
            self._open_journals()

    def close(self) -> None:
        """Bring up to date what lags behind, and let others in; once is enough."""
        with self._mutex:
            try:
                if self.lock.is_held:
                    self.lock.check()
                    self.annotations.refresh()
            finally:
                self.lock.release()

    def _journal(self, seed: int) -> Journal:
        if seed not in self._journals:
            raise NotThereError(f"there is no {self.subject.noun} {seed}")
        return self._journals[seed]

    def _change(
        self, seed: int, rev: int, change: Callable[[Journal], Rectangle | None], is_newest: Callable[[Journal], bool]
    ) -> Patch | None:
        """change: None when there is nothing to be done. is_newest: whether the newest change was the same."""
        with self._mutex:
            journal = self._journal(seed)
            is_repeated = rev == journal.rev - 1 and is_newest(journal)
            if rev != journal.rev and not is_repeated:
                raise StaleError(seed, journal.rev)
            with _telling_unsaved():
                self.lock.check()
                where = journal.newest[1] if is_repeated and journal.newest else change(journal)
                if where is not None:  # repeated too: the first time the disk may have been full
                    self.annotations.write(seed, journal.labels)
            return None if where is None else Patch(where, journal.labels[where.slices], _state(journal))

    def _open(self, project: Project) -> None:
        self._journals: dict[int, Journal] = {}
        self._blank = np.full((self.size, self.size), IGNORE, np.uint8)
        for seed, path in self.subject.half_listed(project):
            self._drop_half_listed(seed, path)
        self.annotations = self.subject.open_labels(project)
        self._open_journals()

    def _drop_half_listed(self, seed: int, path: Path) -> None:
        """A process that was killed while a sample came or went left its label map without listing it."""
        journal = Journal(self._path(seed), self._blank, self.classes.names)
        found = read_label_png(path)
        if any(np.array_equal(found, known) for known in (journal.labels, journal.previous)):
            path.unlink()

    def _open_journals(self) -> None:
        """After a kill the folder lags behind by the newest change of one journal; else somebody changed the labels.

        Those that are newer than the journal are somebody's, too, as when they were imported once more.
        """
        different = []
        for seed in self.subject.seeds:
            if seed not in self._journals:
                saved = self.annotations.maps.get(seed, self._blank)
                journal = self._journals[seed] = Journal(self._path(seed), saved, self.classes.names)
                if not np.array_equal(saved, journal.labels):
                    different.append((seed, journal, saved))
        for seed, journal, saved in different:
            lags = len(different) == 1 and not _is_newer(self.annotations.file(seed), journal.path)
            if lags and np.array_equal(saved, journal.previous):
                self.annotations.write(seed, journal.labels)
            else:
                journal.draw(Rectangle(0, 0, self.size, self.size), saved)

    def _path(self, seed: int) -> Path:
        return self.dir / f"{seed:06d}-{self.subject.making(seed)}.journal"


@contextmanager
def _telling_unsaved() -> Iterator[None]:
    """What cannot be written now may be sent again."""
    try:
        yield
    except GsegError as error:
        raise UnsavedError(error.message, error.hint) from error
    except OSError as error:
        raise UnsavedError(f"cannot be saved: {error.strerror or error}", "check the disk") from error


def _is_newer(file: Path, other: Path) -> bool:
    return file.is_file() and other.is_file() and file.stat().st_mtime_ns > other.stat().st_mtime_ns


def _newest_is(how: str) -> Callable[[Journal], bool]:
    return lambda journal: journal.newest is not None and journal.newest[0] == how


def _state(journal: Journal) -> State:
    return State(journal.rev, journal.can_undo, journal.can_redo)
