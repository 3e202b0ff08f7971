"""The photos of a run that a model is least sure of: their masks are wrong more often (benchmarks/confidence.md)."""

from bisect import insort
from collections.abc import Iterable
from operator import itemgetter
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
    """Gathers them as photos are done, in whatever order; keeps no more than the twelve it has to tell of."""

    def __init__(self, photos: Iterable[T] = ()) -> None:
        self._found: list[tuple[float, str, T]] = []
        for photo in photos:
            self.see(photo)

    def see(self, photo: T) -> None:
        """One without confidence is passed over."""
        if photo.confidence is not None:
            insort(self._found, (photo.confidence, photo.name, photo), key=itemgetter(0, 1))
            del self._found[COUNT:]

    def found(self) -> list[tuple[T, float]]:
        """The least sure first, and how sure the model is; of equals the first by name."""
        return [(photo, confidence) for confidence, _, photo in self._found]

    @property
    def doubts(self) -> tuple[Doubt, ...]:
        """The same, in short."""
        return tuple(Doubt(name, confidence) for confidence, name, _ in self._found)
