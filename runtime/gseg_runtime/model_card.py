"""What a model says of itself: how to feed it, what its numbers mean, and where it comes from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import ConfigError, ModelCardError

FORMAT = 1
METADATA_KEY = "gseg"  # the card's key among an ONNX file's metadata_props


@dataclass(frozen=True)
class Parent:
    """A file that something was made from. kind: "generator", "samples" ...; path: as it was given then."""

    kind: str
    path: str
    sha256: str


@dataclass(frozen=True)
class ModelCard:
    """Travels inside the ONNX file as JSON, see `to_json`."""

    classes: ClassMap
    input_size: int  # the square input's side in pixels
    parents: tuple[Parent, ...] = ()
    quality: Mapping[str, float] = field(default_factory=dict)  # for instance {"mean_iou": 0.7}, on held-out images
    resize: str = "letterbox"  # how a photo comes into the square: geometry.Letterbox, or tiling.Tiling for "tiles"
    tile: int | None = None  # of a photo, in pixels: what the square shows of a larger one
    fill: tuple[int, int, int] = (128, 128, 128)  # RGB beside the photo
    precision: str = "fp32"
    input: str = "uint8 NHWC RGB"
    output: str = "uint8 label map"
    notices: tuple[str, ...] = ()  # licences of what it was made of
    created_by: str = "gseg"
    format: int = FORMAT

    def __post_init__(self) -> None:
        if not isinstance(self.input_size, int) or self.input_size < 1:
            raise ModelCardError(f"model card: input_size: expected a number of pixels, got {self.input_size!r}")
        if not isinstance(self.precision, str):
            raise ModelCardError(f"model card: precision: expected a text, got {self.precision!r}")
        if self.resize not in ("letterbox", "tiles"):
            raise ModelCardError(f"model card: resize: expected letterbox or tiles, got {self.resize!r}", _UPGRADE)
        has_tile = isinstance(self.tile, int) and self.tile >= self.input_size
        if not (has_tile if self.resize == "tiles" else self.tile is None):
            raise ModelCardError(
                f"model card: tile: expected {self.input_size} pixels or more with resize tiles, none with letterbox, "
                f"got {self.tile!r}"
            )
        if len(self.fill) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in self.fill):
            raise ModelCardError(f"model card: fill: expected three numbers from 0 to 255, got {self.fill!r}")

    def to_json(self) -> dict[str, Any]:
        """Plain data, the format version first."""
        data = {"format": self.format, "created_by": self.created_by, **asdict(self)}
        parents = [asdict(parent) for parent in self.parents]
        data |= {"classes": self.classes.to_json(), "parents": parents, "fill": list(self.fill)}
        usual = {"notices": (), "tile": None}  # is left out
        data = {key: value for key, value in data.items() if key not in usual or value != usual[key]}
        return {**data, "notices": list(self.notices)} if self.notices else data

    @classmethod
    def from_json(cls, data: Any) -> "ModelCard":
        """The reverse of `to_json`; ModelCardError for a newer format, a missing key or a value of the wrong kind."""
        if not isinstance(data, dict):
            raise ModelCardError(f"model card: expected a JSON object, got {type(data).__name__}")
        _check_format(data)
        known = {name: data[name] for name in cls.__dataclass_fields__ if name in data}
        try:
            known["classes"] = ClassMap.from_json(known["classes"])
            known["parents"] = tuple(Parent(**parent) for parent in known.get("parents", ()))
            known["notices"] = tuple(known.get("notices", ()))
            known["fill"] = tuple(known.get("fill", cls.fill))
            return cls(**known)
        except KeyError as error:
            raise ModelCardError(f"model card: no {error.args[0]}") from error
        except (TypeError, ConfigError) as error:
            raise ModelCardError(f"model card: {error}") from error


_UPGRADE = "the model was written by a newer gseg: install that version"


def _check_format(data: dict[str, Any]) -> None:
    for key in ("format", "classes", "input_size"):
        if key not in data:
            raise ModelCardError(f"model card: no {key}")
    if not isinstance(data["format"], int) or not 1 <= data["format"] <= FORMAT:
        raise ModelCardError(f"model card: format {data['format']!r}, this version reads up to {FORMAT}", _UPGRADE)
