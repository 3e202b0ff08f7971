"""What the page works on: a project, its samples or photos, their labels, and the teacher that follows."""

import shlex
import threading
from pathlib import Path
from typing import Any

import numpy as np

from gseg_cli.label import palette
from gseg_cli.label.accept import Wish, difference
from gseg_cli.label.errors import NotThereError, StaleError
from gseg_cli.label.events import Events
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.propose import Standing, propose
from gseg_cli.label.store import LabelStore, Patch, State
from gseg_cli.label.subject import Subject
from gseg_cli.label.teacher import LiveTeacher
from gseg_cli.project import Project
from gseg_cli.project_file import FILE
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import UsageError
from gseg_runtime.label_map import LabelMap

MOST_AT_ONCE = 100  # samples


class Session:
    """May be called from several threads. Close it, so that the teacher's thread ends."""

    def __init__(self, project: Project, subject: Subject) -> None:
        """GsegError when another process has the project's labels open, or they cannot be painted on."""
        self._project, self.subject = project, subject
        self.events = Events()
        self.store = LabelStore(project, subject)
        self.teacher = LiveTeacher(subject, self.store.labels, self._tell)
        self._mutex = threading.Lock()  # of what the whole project has
        # Also of fewer classes: who has only those knows what their indices mean. Names that were replaced stay good.
        known = self.store.known_names()
        self._keys = {palette.key_of(names[:count]) for names in known for count in range(1, len(names) + 1)}
        self.teacher.know(subject)

    @property
    def classes(self) -> ClassMap:
        return self.store.classes

    @property
    def classes_key(self) -> str:
        """What a page that took labels or classes from here names beside its changes."""
        return palette.key_of(self.classes.names)

    def check_key(self, seed: int, key: str) -> None:
        """StaleError when indices meant other classes where the page has its labels from: from an earlier server."""
        if key not in self._keys:
            raise StaleError(seed, self.store.state(seed).rev)

    def project(self) -> dict[str, Any]:
        """What the page needs to begin."""
        command = ["gseg", "-C", str(self._project.dir.resolve()), *self.subject.train]
        return {
            "name": self._project.name,
            "noun": self.subject.noun,
            "folder": f"{self.store.annotations.folder.name}/",
            "size": self.store.size,
            "classes": self._told_classes(),
            "classes_key": self.classes_key,
            "missing": list(self.missing_classes().values()),
            "samples": self._told_samples(),
            "learning": self.teacher.is_learning,
            "commands": {"train": shlex.join(command)},
        }

    def more(self, count: int) -> list[dict[str, Any]]:
        """Draw so many further samples, or take as many further photos."""
        if not 1 <= count <= MOST_AT_ONCE:
            raise UsageError(f"count: expected 1 to {MOST_AT_ONCE}, got {count}")
        with self._mutex:
            self.store.lock.check()
            subject = self.teacher.call(lambda: self.subject.more(count))
            self.store.add(subject)
            self._go_on_with(subject)
        self.events.publish("samples")
        return self._told_samples()

    def image(self, seed: int) -> Path:
        """The file of a picture."""
        noun = self.subject.noun
        if seed not in self.subject.seeds or not (path := self.subject.image_path(seed)).is_file():
            raise NotThereError(f"there is no picture of {noun} {seed}", "gseg sample makes missing samples again")
        return path

    def show(self, seed: int) -> tuple[LabelMap, State]:
        """The labels of the sample that the page turns to."""
        found = self.store.snapshot(seed)
        self.teacher.look_at(seed)
        return found

    def draw(self, seed: int, rev: int, where: Rectangle, pixels: LabelMap) -> State:
        """One stroke, see LabelStore."""
        state = self.store.draw(seed, rev, where, pixels)
        self._follow(seed, state)
        return state

    def undo(self, seed: int, rev: int) -> Patch | None:
        return self._followed(seed, self.store.undo(seed, rev))

    def redo(self, seed: int, rev: int) -> Patch | None:
        return self._followed(seed, self.store.redo(seed, rev))

    def accept(self, seed: int, rev: int, wish: Wish) -> Patch | None:
        """Take a prediction as labels; None when that changes nothing."""
        before = self.store.labels_at(seed, rev)
        shelf = self.teacher.shelf
        after = wish.taken(before, shelf.whole(seed, wish.id), shelf.learnt(seed, wish.id))
        where = difference(before, after)
        if where is None:
            return None
        pixels = np.ascontiguousarray(after[where.slices])
        return Patch(where, pixels, self.draw(seed, rev, where, pixels))

    def add_class(self, name: str, color: str | None) -> list[dict[str, Any]]:
        """One more, at the end of the palette and of gseg.toml."""
        with self._mutex:
            return self._write_classes(palette.added(self.classes, name, color))

    def change_class(self, index: int, name: str | None, color: str | None) -> list[dict[str, Any]]:
        """Another name or colour."""
        with self._mutex:
            return self._write_classes(palette.changed(self.classes, index, name, color))

    def next(self) -> dict[str, Any]:
        """The sample to label next: seed, why, and class where one is missing everywhere."""
        standings = [Standing(one["seed"], one["labelled"], one["doubt"]) for one in self._told_samples()]
        return propose(standings, self.missing_classes(), self.subject.noun)

    def missing_classes(self) -> dict[int, str]:
        """Names of those that are labelled nowhere, by index."""
        found = set(self.store.found_classes())
        return {index: name for index, name in enumerate(self.classes.names) if index not in found}

    def share(self, seed: int) -> float:
        """Of a picture that has labels."""
        return float((self.store.labels(seed)[self.subject.window(seed, self.store.size)] != IGNORE).mean())

    def close(self) -> None:
        """End the thread, and bring on disk what lags behind."""
        self.events.end()
        try:
            self.teacher.close()
        finally:  # also when somebody presses Ctrl-C once more
            self.store.close()

    def _go_on_with(self, subject: Subject) -> None:
        """For who has the mutex: the teacher too gets to know last what comes last."""
        self.subject = subject
        self.teacher.know(subject)

    def _followed(self, seed: int, patch: Patch | None) -> Patch | None:
        if patch:
            self._follow(seed, patch.state)
        return patch

    def _follow(self, seed: int, state: State) -> None:
        self.events.publish("labels", seed=seed, rev=state.rev)
        self.teacher.follow(seed)

    def _tell(self, name: str, data: dict[str, Any]) -> None:
        """What the teacher has to say; after a round of predictions there may be something else to label next."""
        if name == "next":
            data = self.next()
        self.events.publish(name, **data)

    def _write_classes(self, classes: ClassMap) -> list[dict[str, Any]]:
        self.store.lock.check()
        palette.write_changed(self._project.path(FILE), self.classes, classes)
        self._keys.add(palette.key_of(classes.names))
        self.store.recolour(classes)
        self.events.publish("classes")
        return self._told_classes()

    def _told_classes(self) -> list[dict[str, Any]]:
        return [{"index": index, **entry} for index, entry in enumerate(self.classes.to_json())]

    def _told_samples(self) -> list[dict[str, Any]]:
        return [self._told_sample(seed) for seed in self.subject.seeds]

    def _told_sample(self, seed: int) -> dict[str, Any]:
        labels, state = self.store.snapshot(seed)
        now = self.teacher.shelf.newest(seed)
        window = self.subject.window(seed, self.store.size)
        return {
            "seed": seed,
            "title": self.subject.title(seed),
            "rev": state.rev,
            "labelled": float((labels[window] != IGNORE).mean()),
            "window": vars(_rectangle(window)),
            "prediction": now.id if now else None,
            "stage": now.stage if now else None,
            "doubt": now.small.doubt if now else None,
        }


def _rectangle(window: tuple[slice, slice]) -> Rectangle:
    rows, columns = window
    return Rectangle(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
