"""What a published experiment makes of a data set: which photos, cut how, with which classes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.label_map import LabelMap, Pixels

ALL = "all"  # the split of everything that is there


@dataclass(frozen=True)
class Example:
    """load: reads the image, uint8 [H, W, 3], and its label map, uint8 [H, W]; name: a file name without its ending."""

    name: str
    load: Callable[[], tuple[Pixels, LabelMap]]


@dataclass(frozen=True)
class Dropped:
    """Something that the protocol leaves out, and by which of its rules."""

    name: str
    reason: str


@dataclass(frozen=True)
class Protocol:
    """classes: index 0 is the background. splits: of the data set; the first is the one that is scored.

    list_photos(source, split): the names of the photos, sorted; split is one of `splits` or ALL.
    examples_in(source, photo): what comes of one photo; reads no more than it needs to tell.
    """

    name: str
    classes: ClassMap
    splits: tuple[str, ...]
    list_photos: Callable[[Path, str], list[str]]
    examples_in: Callable[[Path, str], list[Example | Dropped]]

    def photos(self, source: Path, split: str | None = None) -> list[str]:
        """The photos of a split, None for the one that is scored; GsegError when the data set is not all there."""
        split = split or self.splits[0]
        if split not in (*self.splits, ALL):
            message = f"--split: {self.name} has {', '.join(self.splits)} and {ALL}, got {split!r}"
            raise UsageError(message, f"{self.splits[0]} is the one that is scored")
        photos = self.list_photos(source, split)
        if not photos:
            raise GsegError(f"{source}: no photo of {self.name}, {split}", "is the data set complete?")
        return photos

    def read(self, source: Path, split: str | None = None) -> Iterator[tuple[str, Pixels, LabelMap]]:
        """Name, image and label map of every example of a split, one after the other."""
        for photo in self.photos(source, split):
            for example in self.examples_in(source, photo):
                if isinstance(example, Example):
                    yield example.name, *example.load()
