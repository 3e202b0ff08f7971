"""What every importer hands over: pictures with named shapes, in the order they are painted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from gseg_cli.annotate.shapes import Bitmap, Shape
from gseg_runtime.errors import GsegError

MAX_SIDE = 4096  # pixels; GANs of this kind make 1024
MAX_LAYERS = 10_000
MAX_PIXELS = 2**31  # shapes times pixels of one picture: 2048 shapes at 1024 x 1024
MAX_FAILURES = 20_000
MAX_READ = 2**31  # pixels of all pictures that are decoded and of all masks that are kept
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
        check_amount(self.size, len(self.layers), self.where)


def check_amount(size: tuple[int, int] | None, num_shapes: int, where: str) -> None:
    """GsegError when so many shapes on a picture of that size, (width, height), take absurdly much memory or time.

    Formats whose files hold masks ask before they decode them: a mask of 16 megapixels is written in ten bytes.
    """
    width, height = size or (1, 1)
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        message = f"{where}: expected 1 to {MAX_SIDE} pixels a side, got {width}x{height}"
        raise GsegError(message, "draw at the sample's size")
    most = min(MAX_LAYERS, MAX_PIXELS // (width * height))
    if num_shapes > most:
        message = f"{where}: {num_shapes} shapes; an image of this size can have {most} at most"
        raise GsegError(message, "export masks instead, one per part")


class TooMuchError(GsegError):
    """Reading goes no further, unlike after what is wrong with a single picture."""


@dataclass
class Reading:
    """What an importer has found; failures: one per picture or file that cannot be read."""

    drawings: list[Drawing] = field(default_factory=list)
    failures: list[GsegError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    _pixels: int = 0
    _num_counted: int = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One picture or file: should it fail, the others are still read, so that people see all of it at once."""
        try:
            yield
            self._count_masks()
        except TooMuchError:
            raise
        except GsegError as error:
            self.failures.append(error)
            if len(self.failures) > MAX_FAILURES:
                raise TooMuchError(f"{error.message}; and {MAX_FAILURES} errors before this", error.hint) from error

    def spend(self, num_pixels: int, where: str) -> None:
        """Called for each picture that is decoded; TooMuchError when all together are absurdly large."""
        self._pixels += num_pixels
        if self._pixels > MAX_READ:
            message = f"{where}: too much to read: more than {MAX_READ // 2**20} megapixels"
            raise TooMuchError(message, "export only the images that are samples, at their own size")

    def _count_masks(self) -> None:
        for drawing in self.drawings[self._num_counted :]:
            masks = [layer.shape.mask for layer in drawing.layers if isinstance(layer.shape, Bitmap)]
            self.spend(sum(mask.size for mask in masks), drawing.where)
        self._num_counted = len(self.drawings)
