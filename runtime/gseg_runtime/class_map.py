"""The classes of a segmentation: names and colours in index order."""

import colorsys
import difflib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gseg_runtime.errors import ConfigError

IGNORE = 255
IGNORED = "ignore"  # what its pixels are called
IGNORE_COLOR = (224, 224, 224)
MAX_CLASSES = 255  # label maps are uint8 and 255 means "ignore"

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassMap:
    """Names and RGB colours (0..255); the position is the class index, and position 0 is the background.

    An accented letter may be one character or two, as the files of a Mac have it; names have one (Unicode's form NFC).
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MAX_CLASSES:
            raise ConfigError(f"classes: expected 1 to {MAX_CLASSES} of them, got {len(self.names)}")
        if len(self.names) != len(self.colors):
            raise ConfigError(f"classes: {len(self.names)} names but {len(self.colors)} colours")
        for name in self.names:
            _check_name(name)
        object.__setattr__(self, "names", tuple(map(composed, self.names)))
        repeated = {name for name in self.names if self.names.count(name) > 1}
        if repeated:
            raise ConfigError(f"classes: {', '.join(sorted(repeated))} appears more than once")
        for name, color in zip(self.names, self.colors, strict=True):
            if len(color) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in color):
                raise ConfigError(f"class {name}: expected a colour of three numbers from 0 to 255, got {color}")

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The class index of `name`; ConfigError with the nearest known name otherwise."""
        if (name := composed(name)) in self.names:
            return self.names.index(name)
        nearest = difflib.get_close_matches(name, self.names, n=1)
        hint = f"did you mean {nearest[0]}?" if nearest else f"the classes are {', '.join(self.names)}"
        raise ConfigError(f"unknown class {name!r}", hint)

    def palette(self) -> bytes:
        """768 bytes, RGB of the indices 0..255: the class colours, black for unused ones, light grey for ignore."""
        used = b"".join(bytes(color) for color in self.colors)
        return used.ljust(IGNORE * 3, b"\0") + bytes(IGNORE_COLOR)

    def to_json(self) -> list[dict[str, str]]:
        """[{"name", "color": "#rrggbb"}, ...] in index order."""
        return [
            {"name": name, "color": format_color(color)} for name, color in zip(self.names, self.colors, strict=True)
        ]

    @classmethod
    def from_json(cls, data: Any) -> "ClassMap":
        """The reverse of `to_json`. A missing colour gets a default one; anything else amiss is a ConfigError."""
        if not isinstance(data, list) or not all(isinstance(entry, dict) for entry in data):
            raise ConfigError("classes: expected a list of tables with name and color")
        colors = [_color_of(entry, index) for index, entry in enumerate(data)]
        return cls(names=tuple(_name_of(entry, index) for index, entry in enumerate(data)), colors=tuple(colors))

    @classmethod
    def from_toml_classes(cls, classes: Sequence[Mapping[str, Any]]) -> "ClassMap":
        """From the `[[classes]]` tables of gseg.toml, as tomllib gives them."""
        return cls.from_json(classes)

    def to_toml(self) -> str:
        """The `[[classes]]` tables of gseg.toml."""
        # JSON strings of printable characters are TOML strings.
        tables = [
            f'[[classes]]\nname = {json.dumps(entry["name"], ensure_ascii=False)}\ncolor = "{entry["color"]}"\n'
            for entry in self.to_json()
        ]
        return "\n".join(tables)

    @classmethod
    def of_names(cls, names: Sequence[str]) -> "ClassMap":
        """Classes of these names in default colours."""
        return cls(tuple(names), tuple(default_color(index) for index in range(len(names))))


def composed(name: str) -> str:
    """With each accented letter as one character."""
    return unicodedata.normalize("NFC", name)


def parse_color(text: str) -> Color:
    """RGB of "#e6bea0" or "#fa0"; ConfigError otherwise."""
    match = re.fullmatch(r"#([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"expected a colour like #e6bea0, got {text!r}")
    digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def format_color(color: Color) -> str:
    """ "#rrggbb" """
    return "#" + bytes(color).hex()


def default_color(index: int) -> Color:
    """A colour for a class without one: black for the background, then hues as far apart as they come."""
    if index == 0:
        return (0, 0, 0)
    golden = 0.618034  # steps by the golden ratio never come close to an earlier hue
    red, green, blue = colorsys.hsv_to_rgb(index * golden % 1, 0.55 + 0.15 * (index % 3), 0.95 - 0.2 * (index % 2))
    return round(red * 255), round(green * 255), round(blue * 255)


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ConfigError(f"classes: expected a name of printable characters, got {name!r}")


def _name_of(entry: Mapping[str, Any], index: int) -> str:
    if "name" not in entry:
        raise ConfigError(f"class {index}: no name", 'write name = "skin"')
    return entry["name"]


def _color_of(entry: Mapping[str, Any], index: int) -> Color:
    if "color" not in entry:
        return default_color(index)
    try:
        return parse_color(entry["color"])
    except ConfigError as error:
        raise ConfigError(f"class {index}: {error.message}") from error
