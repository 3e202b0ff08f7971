"""Tables beside masks that say which value or colour means which class: they decide, not the project's own order."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from gseg_cli.annotate.drawing import BACKGROUND
from gseg_cli.annotate.fields import HINT, check_text, parse_json
from gseg_cli.annotate.source_files import Files, base_name
from gseg_runtime.class_map import IGNORE, IGNORED, ClassMap, Color
from gseg_runtime.errors import ConfigError, GsegError

BY_ORDER = ("class_names.txt", "codes.txt")  # names and nothing else: labelme's, and fastai's CamVid
NAMES = ("_classes.csv", "classification.txt", "label_classes.json", "label_colors.txt", *BY_ORDER)
# What gseg itself writes beside label maps; other programs use these names, too.
OWN = ("annotations.json", "dataset.json", "gseg-report.json", "toy-faces.json")
_IS_OWN = re.compile(rb'\{\s*"format": \d+,\s*"kind": "(?:annotations|dataset|segment|toy-faces)"')
MAX_ROWS = 256  # values of a byte
MAX_LINE = 1100  # a name and some numbers
_NAME_KEYS = ("name", "title", "label", "class_name", "class")
_VALUE_KEYS = ("value", "pixel_value", "index", "id")
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class ClassTable:
    """where: the file. values: names by the value of a pixel; colors: names by its colour. One of them may be empty."""

    where: str
    values: dict[int, str]
    colors: dict[Color, str]

    def name(self, value: int, where: str) -> str:
        """Of the class that a pixel of that value has; GsegError when the table lacks it."""
        if value == IGNORE and value not in self.values:
            return IGNORED
        if value not in self.values:
            raise GsegError(f"{where}: value {value} is not in {self.where}", "add it there, or export both again")
        return self.values[value]


def by_number(mapping: Mapping[str, str]) -> ClassTable | None:
    """That of `--map 41=hair`, for masks whose values no file names: the name of each value is its number.

    0 and 255 mean background and ignore, unless they are mapped, too. None where no number is mapped.
    """
    mapped = {label for label in mapping if label.isdecimal()}
    names = {0: BACKGROUND, IGNORE: IGNORED}
    values = {value: str(value) for value in range(MAX_ROWS) if value not in names or str(value) in mapped}
    return ClassTable("--map", names | values, {}) if mapped else None


@dataclass(frozen=True)
class Tables:
    """The tables of an export, by the folder they stand in; the classes of what gseg wrote are as in a project."""

    by_folder: Mapping[str, ClassTable | ClassMap]

    @classmethod
    def of(cls, files: Files) -> "Tables":
        """GsegError when one of them is broken."""
        own = {name: _own_classes(name, files) for name in files.names if base_name(name) in OWN}
        found = {name: read_table(name, files) for name in files.names if base_name(name) in NAMES}
        tables = {name: table for name, table in {**own, **found}.items() if table is not None}
        return cls({name.rpartition("/")[0]: table for name, table in reversed(tables.items())})

    def of_picture(self, name: str) -> ClassTable | ClassMap | None:
        """The table in the folder of a picture or in one above it; None when there is none."""
        folder = name.rpartition("/")[0]
        while folder and folder not in self.by_folder:
            folder = folder.rpartition("/")[0]
        return self.by_folder.get(folder)


def is_own(data: bytes) -> bool:
    """Whether a file begins as those do that gseg writes beside label maps."""
    return _IS_OWN.match(data) is not None


def _own_classes(name: str, files: Files) -> ClassMap | None:
    """None when the file is another program's, or names no classes; GsegError when they are broken."""
    data, where = files.read(name), files.where(name)
    classes = parse_json(data, where).get("classes") if is_own(data) else None
    try:
        return None if classes is None else ClassMap.from_json(classes)
    except ConfigError as error:
        raise GsegError(f"{where}: {error.message}", HINT) from error


def read_table(name: str, files: Files) -> ClassTable:
    """GsegError when a row makes no sense, or two rows say different things of the same value or colour."""
    where, data = files.where(name), files.read(name)
    is_by_order = base_name(name) in BY_ORDER
    rows = _json_rows(parse_json(data, where)) if name.endswith(".json") else _text_rows(data, is_by_order, where)
    values: dict[int, str] = {}
    colors: dict[Color, str] = {}
    next_value = 0
    for label, value, color in rows:
        label = check_text(label, where)
        if value is None and color is None and label == "__ignore__":  # labelme's -1
            value = IGNORE
        elif value is None and color is None:
            value, next_value = next_value, next_value + 1
        if value is not None and values.setdefault(value, label) != label:
            raise GsegError(f"{where}: value {value} is {values[value]} and {label}", HINT)
        if color is not None and colors.setdefault(color, label) != label:
            raise GsegError(f"{where}: one colour is {colors[color]} and {label}", HINT)
        if len(values) > MAX_ROWS or len(colors) > MAX_ROWS:
            raise GsegError(f"{where}: more than {MAX_ROWS} classes", HINT)
    if not values and not colors:
        raise GsegError(f"{where}: names no class", HINT)
    return ClassTable(where, values, colors)


Row = tuple[str, int | None, Color | None]  # name, value, colour


def _text_rows(data: bytes, is_by_order: bool, where: str) -> Iterable[Row]:
    """Lines such as "3, hair", "hair 3", "64 128 64<tab>hair", "hair:64,128,64" or just "hair".

    is_by_order: they are names and nothing else, which may end in a number.
    """
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise GsegError(f"{where}: not UTF-8 text: {error}", HINT) from error
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if len(lines) > MAX_ROWS + 1 or any(len(line) > MAX_LINE for line in lines):
        raise GsegError(f"{where}: expected at most {MAX_ROWS} lines of {MAX_LINE} characters", HINT)
    if is_by_order:
        return [(line, None, None) for line in lines]
    rows = [_text_row(line, where) for line in lines]
    is_head = len(rows) > 1 and rows[0][1:] == (None, None) and all(row[1:] != (None, None) for row in rows[1:])
    return rows[is_head:]


def _text_row(line: str, where: str) -> Row:
    words = re.split(r"[\s,;:]+", line.strip(" \t,;:"))
    before = list(takewhile(str.isdecimal, words))
    after = list(takewhile(str.isdecimal, reversed(words)))[::-1]
    if len(before) == len(words) or not (before or after):
        return line, None, None
    numbers, name = (before, words[len(before) :]) if before else (after, words[: -len(after)])
    value, color = _meaning([int(number[:9]) for number in numbers], where)
    return " ".join(name), value, color


def _meaning(numbers: list[int], where: str) -> tuple[int | None, Color | None]:
    """One number is a value, three are a colour, four are both."""
    if len(numbers) not in (1, 3, 4) or max(numbers) > 255:
        raise GsegError(f"{where}: expected a value or a colour of each class, got {numbers[:6]}", HINT)
    value = numbers[0] if len(numbers) != 3 else None
    return value, (numbers[-3], numbers[-2], numbers[-1]) if len(numbers) > 1 else None


def _json_rows(content: Any) -> Iterable[Row]:
    """A list of names or of objects, or an object: names to values or colours, or values to names."""
    if isinstance(content, dict) and len(content) == 1 and isinstance(next(iter(content.values())), list | dict):
        inner = next(iter(content.values()))
        if not _color_in(inner):
            content = inner
    if isinstance(content, list):
        return [_json_row(row) for row in content]
    if isinstance(content, dict):
        return [_pair(key, value) for key, value in content.items()]
    return []


def _json_row(row: Any) -> Row:
    if not isinstance(row, dict):
        return str(row), None, None
    fields = {str(key).lower().replace(" ", "_"): value for key, value in row.items()}
    label = next((fields[key] for key in _NAME_KEYS if isinstance(fields.get(key), str)), "")
    value = next((fields[key] for key in _VALUE_KEYS if type(fields.get(key)) is int), None)
    color = next((found for key in ("color", "rgb", "colour") if (found := _color_in(fields.get(key)))), None)
    return label, value, color


def _pair(key: str, value: Any) -> Row:
    if isinstance(value, str) and key.isdecimal():
        return value, int(key[:9]), None
    if isinstance(value, dict):
        return _json_row({"name": key, **value})
    return key, value if type(value) is int else None, _color_in(value)


def _color_in(value: Any) -> Color | None:
    if isinstance(value, str) and (match := _HEX.fullmatch(value)):
        red, green, blue = bytes.fromhex(match[1])
        return red, green, blue
    if (
        isinstance(value, list)
        and len(value) in (3, 4)
        and all(type(level) is int and 0 <= level < 256 for level in value)
    ):
        return value[0], value[1], value[2]
    return None
