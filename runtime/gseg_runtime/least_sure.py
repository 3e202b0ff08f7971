"""The photos of a run that a model is least sure of: among them are most of the wrong masks."""

import heapq
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from gseg_runtime.manifest import Entry
from gseg_runtime.plan import Job

COUNT = 12


class Doubt(NamedTuple):
    """confidence: see `Entry`; image: the photo's name, relative to the folder that was searched."""

    image: str
    confidence: float


class LeastSure:
    """Gathers them from entries as these come; keeps no more than the twelve it has to tell of."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._heap: list[tuple[float, int, Entry]] = []  # the surest of the twelve first; of equals the latest
        self._num_seen = 0
        for entry in entries:
            self.see(entry)

    def see(self, entry: Entry) -> None:
        """Entries without confidence are passed over."""
        if entry.confidence is None:
            return
        add = heapq.heappush if len(self._heap) < COUNT else heapq.heappushpop
        self._num_seen += 1
        add(self._heap, (-entry.confidence, -self._num_seen, entry))

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """The least sure first."""
        return tuple(Doubt(entry.name, confidence) for entry, confidence in self._found())

    def jobs(self, folder: Path, count: int) -> list[tuple[Job, float]]:
        """The first of them, and how sure the model is; folder: of the masks."""
        found = self._found()[:count]
        return [(Job(_photo(folder, entry), Path(entry.mask)), confidence) for entry, confidence in found]

    def _found(self) -> list[tuple[Entry, float]]:
        found = ((entry, -key) for key, _, entry in self._heap)
        return sorted(found, key=lambda one: (one[1], one[0].mask))


def _photo(folder: Path, entry: Entry) -> Path:
    """An earlier run may have had another working folder."""
    return Path(os.path.normpath(folder / entry.way)) if entry.way else Path(entry.input)
