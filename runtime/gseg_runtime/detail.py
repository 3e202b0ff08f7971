"""How much is made of what the network sees: the options that decide masks beside the model."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

from gseg_runtime.errors import UsageError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.tiling import Tiling

Edges = Literal["nearest", "smooth", "guided"]


@dataclass(frozen=True)
class Detail:
    """edges: "nearest" enlarges the network's labels to the photo's size, "smooth" its logits, "guided" draws them to
    the edges of the photo. tile: photos with a longer side than this are cut into overlapping squares of so many
    pixels; None looks at all photos as a whole.

    UsageError for another word, and for what is no whole number of pixels.
    """

    edges: Edges = "nearest"
    tile: int | None = None

    def __post_init__(self) -> None:
        if self.edges not in get_args(Edges):
            raise UsageError(f"edges: expected {' or '.join(get_args(Edges))}, got {self.edges!r}")
        if self.tile is not None and not isinstance(self.tile, int):
            raise UsageError(f"tile: expected a whole number, got {self.tile!r}")
        if self.is_guided and self.tile is not None:
            raise UsageError("edges: guided does not go with tiles", "use smooth edges with them")

    @property
    def is_guided(self) -> bool:
        """Whether a mask is made of the photo itself, too."""
        return self.edges == "guided"

    @property
    def needs_logits(self) -> bool:
        """Whether labels are not enough to make the masks of."""
        return self != Detail()

    @property
    def settings(self) -> dict[str, Any] | None:
        """What the manifest says of it; None where labels alone were enlarged, as it has always been."""
        if not self.needs_logits:
            return None
        return {"edges": self.edges, **({} if self.tile is None else {"tile": self.tile})}

    def check(self, size: int) -> None:
        """UsageError when tiles have fewer pixels than the network's input of `size`: they would only be enlarged."""
        if self.tile is not None and self.tile < size:
            message = f"tile: expected at least the {size} pixels of the model's input, got {self.tile}"
            raise UsageError(
                message, "choose tiles about as large as one object; for smaller ones train with a smaller --input-size"
            )

    def num_needed(self, size: int) -> int | None:
        """The pixels of the longer side that a photo is needed with, None for all."""
        return size if self.tile is None else None

    def frame(self, height: int, width: int, size: int) -> Letterbox:
        """How a photo comes to the network."""
        if self.tile is None or max(height, width) <= self.tile:
            return Letterbox(height, width, size)
        return Tiling(height, width, size, self.tile)
