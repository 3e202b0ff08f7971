"""What every importer hands over: pictures with named shapes, in the order they are painted."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from gseg_cli.annotate.shapes import Bitmap, PackedBitmap, Shape, cropped
from gseg_runtime.errors import GsegError

MAX_LAYERS = 10_000
MAX_PIXELS = 2**31  # masks times pixels of one picture: 2048 masks at 1024 x 1024
MAX_FAILURES = 20_000
MAX_READ = 2**34  # pixels of all pictures that are decoded, and bits of all masks that wait: time, and 2 GiB
BACKGROUND = "background"  # a label that every project knows, as it does IGNORED


@dataclass(frozen=True)
class Bounds:
    """How large a picture may be, in pixels a side and in all; and what to do with a larger one."""

    width: int
    height: int
    pixels: int
    hint: str = "draw at the sample's size"

    def hold(self, size: tuple[int, int]) -> bool:
        """size: (width, height)"""
        width, height = size
        return 1 <= width <= self.width and 1 <= height <= self.height and width * height <= self.pixels

    @property
    def megapixels(self) -> str:
        """For messages: the limit of all pixels, where it is not that of the sides."""
        return f" and {self.pixels // 2**20} megapixels" if self.pixels < self.width * self.height else ""


SAMPLES = Bounds(4096, 4096, 4096**2)  # GANs of this kind make 1024
# Cameras take up to 61 megapixels; to read a label map in colours takes about 45 bytes for each of its pixels.
PHOTOS = Bounds(16_384, 16_384, 2**26, "draw on a smaller copy of the photo")


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
    is_share: coordinates are shares of the width and height, not pixels; all shapes are polygons then.
    times: how often the picture is larger than what it shows, a sample; the shapes are painted at the sample's size.
    """

    where: str
    names: tuple[str, ...]
    size: tuple[int, int] | None
    layers: Sequence[Layer]
    picture: Callable[[], bytes | None] = no_picture
    is_share: bool = False
    times: int = 1


class TooMuchError(GsegError):
    """Reading goes no further, unlike after what is wrong with a single picture."""


@dataclass
class Reading:
    """What an importer has found; failures: one per picture or file that cannot be read.

    listed: all labels in the tool's own order, where its file has a list of them. bounds: of the pictures that are
    drawn on.
    """

    drawings: list[Drawing] = field(default_factory=list)
    failures: list[GsegError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    listed: list[str] = field(default_factory=list)
    bounds: Bounds = SAMPLES
    _pixels: int = 0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """One picture or file: should it fail, the others are still read, so that people see all of it at once."""
        try:
            yield
        except TooMuchError:
            raise
        except GsegError as error:
            self.failures.append(error)
            if len(self.failures) > MAX_FAILURES:
                raise TooMuchError(f"{error.message}; and {MAX_FAILURES} errors before this", error.hint) from error

    def add(self, drawing: Drawing) -> None:
        """Keep it, its masks cut to what they cover and packed. GsegError when it is too large; see `check_amount`."""
        masks = [layer.shape for layer in drawing.layers if isinstance(layer.shape, Bitmap)]
        self.check_amount(drawing.size, len(drawing.layers), len(masks), drawing.where)
        layers = [replace(layer, shape=_compact(layer.shape)) for layer in drawing.layers]
        kept = sum(len(layer.shape.data) for layer in layers if isinstance(layer.shape, PackedBitmap))
        self.spend(8 * kept, drawing.where)
        self.drawings.append(replace(drawing, layers=layers))

    def check_amount(self, size: tuple[int, int] | None, num_shapes: int, num_masks: int, where: str) -> None:
        """GsegError when so many shapes on a picture of that size, (width, height), take absurdly much memory or time.

        num_masks: how many of the shapes are masks. Importers ask before they decode them: a mask of 16 megapixels is
        written in ten bytes.
        """
        width, height = size or (1, 1)
        if not self.bounds.hold((width, height)):
            most = f"{self.bounds.width} pixels a side{self.bounds.megapixels}"
            raise GsegError(f"{where}: expected 1 to {most}, got {width}x{height}", self.bounds.hint)
        if num_shapes > MAX_LAYERS:
            message = f"{where}: {num_shapes} shapes; an image can have {MAX_LAYERS} at most"
            raise GsegError(message, "export masks instead, one per part")
        if num_masks * width * height > MAX_PIXELS:
            most_masks = MAX_PIXELS // (width * height)
            message = f"{where}: {num_masks} masks; an image of this size can have {most_masks} at most"
            raise GsegError(message, "export one mask per part")

    def spend(self, num_pixels: int, where: str) -> None:
        """Called for each picture that is decoded; TooMuchError when all together are absurdly large."""
        self._pixels += num_pixels
        if self._pixels > MAX_READ:
            message = f"{where}: too much to read: more than {MAX_READ // 2**20} megapixels"
            raise TooMuchError(message, "export only the pictures that you labelled, or smaller ones")


def _compact(shape: Shape) -> Shape:
    return PackedBitmap.of(cropped(shape)) if isinstance(shape, Bitmap) else shape
