"""What every importer hands over: pictures with named shapes, in the order they are painted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gseg_cli.annotate.shapes import Shape
from gseg_runtime.errors import GsegError

MAX_SIDE = 4096  # pixels; GANs of this kind make 1024
MAX_LAYERS = 10_000
BACKGROUND, IGNORED = "background", "ignore"  # labels that every project knows


def no_picture() -> bytes | None:
    """The picture itself is not part of the export."""
    return None


@dataclass(frozen=True, eq=False)
class Layer:
    """A shape and the name the person gave it."""

    label: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Drawing:
    """What was drawn on one picture.

    where: the file, and the place in it, for messages. names: what the picture is called there, the likeliest first.
    size: (width, height) of the picture in pixels, None when the format does not tell.
    layers: in paint order, later ones over earlier ones. picture: the encoded picture, None when it is not at hand.
    """

    where: str
    names: tuple[str, ...]
    size: tuple[int, int] | None
    layers: Sequence[Layer]
    picture: Callable[[], bytes | None] = no_picture

    def __post_init__(self) -> None:
        if self.size is not None and not all(1 <= side <= MAX_SIDE for side in self.size):
            message = f"{self.where}: expected 1 to {MAX_SIDE} pixels a side, got {self.size[0]}x{self.size[1]}"
            raise GsegError(message, "draw at the sample's size")
        if len(self.layers) > MAX_LAYERS:
            message = f"{self.where}: {len(self.layers)} shapes, but at most {MAX_LAYERS} are taken"
            raise GsegError(message, "export masks instead, one per part")


@dataclass
class Reading:
    """What an importer has found; failures: one per picture or file that cannot be read."""

    drawings: list[Drawing] = field(default_factory=list)
    failures: list[GsegError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One picture or file: should it fail, the others are still read, so that people see all of it at once."""
        try:
            yield
        except GsegError as error:
            self.failures.append(error)
