"""The photos of a run that a model is least sure of: among them are most of the wrong masks."""

import heapq
from collections.abc import Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar

COUNT = 12


class Judged(Protocol):
    """What is said of a photo. name: relative to the folder that was searched; confidence: see `Entry`."""

    @property
    def name(self) -> str: ...
    @property
    def confidence(self) -> float | None: ...


T = TypeVar("T", bound=Judged)


class Doubt(NamedTuple):
    """One of them, as the report tells."""

    image: str
    confidence: float


class LeastSure(Generic[T]):
    """Gathers them as photos are done; keeps no more than the twelve it has to tell of."""

    def __init__(self, photos: Iterable[T] = ()) -> None:
        self._heap: list[tuple[float, int, T]] = []  # the surest of the twelve first; of equals the latest
        self._num_seen = 0
        for photo in photos:
            self.see(photo)

    def see(self, photo: T) -> None:
        """One without confidence is passed over."""
        if photo.confidence is None:
            return
        add = heapq.heappush if len(self._heap) < COUNT else heapq.heappushpop
        self._num_seen += 1
        add(self._heap, (-photo.confidence, -self._num_seen, photo))

    def found(self) -> list[tuple[T, float]]:
        """The least sure first, and how sure the model is."""
        found = ((photo, -key) for key, _, photo in self._heap)
        return sorted(found, key=lambda one: (one[1], one[0].name))

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """The same, in short."""
        return tuple(Doubt(photo.name, confidence) for photo, confidence in self.found())
