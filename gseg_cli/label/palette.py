"""Classes that the page adds, renames and recolours, in the gseg.toml of the project; all else in it stays."""

import json
import re
import tomllib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from gseg_cli.project_file import (
    checked_classes,
    extended_project,
    project_classes,
    read_classes,
    with_default_colors,
)
from gseg_runtime.class_map import ClassMap, format_color, parse_color
from gseg_runtime.errors import ConfigError, ProjectError, UsageError
from gseg_runtime.files import write_text

_HEADER = re.compile(r"^[ \t]*\[\[[ \t]*classes[ \t]*\]\].*$", re.MULTILINE)
_ANY_HEADER = re.compile(r"^[ \t]*\[", re.MULTILINE)


def added(classes: ClassMap, name: str, color: str | None = None) -> ClassMap:
    """With one more class at the end; ConfigError when the name or the colour is not usable."""
    new = parse_color(color) if color else None
    return checked_classes(ClassMap((*classes.names, name.strip()), with_default_colors([*classes.colors, new])))


def changed(classes: ClassMap, index: int, name: str | None = None, color: str | None = None) -> ClassMap:
    """With another name or colour of one class; UsageError when there is none of that index."""
    if not 0 <= index < len(classes):
        raise UsageError(f"there is no class {index}", f"the classes are 0 to {len(classes) - 1}")
    names, colors = list(classes.names), list(classes.colors)
    names[index] = names[index] if name is None else name.strip()
    colors[index] = colors[index] if color is None else parse_color(color)
    return checked_classes(ClassMap(tuple(names), tuple(colors)))


def are_same(own: Sequence[str], now: Sequence[str]) -> bool:
    """Whether an index means the same: new classes come behind the others, and one may have got another name."""
    others = [name for name, other in zip(own, now, strict=False) if name != other]
    return len(own) <= len(now) and len(others) <= 1 and not {*others} & {*now}


def key_of(names: Sequence[str]) -> str:
    """Stands for what each index means."""
    return f"{len(names)}-{sha256(json.dumps(names).encode()).hexdigest()[:12]}"


def write_changed(path: Path, before: ClassMap, classes: ClassMap) -> None:
    """Write those names and colours into gseg.toml, and the classes that it lacks.

    ProjectError where its classes are not `before`, or written in a way that cannot be edited.
    """
    if read_classes(path) != before:
        raise ProjectError(f"{path}: its classes were changed meanwhile", "end gseg label and start it again")
    text = extended_project(path, classes)
    starts = [match.end() for match in _HEADER.finditer(text)]
    for index, start in reversed(list(enumerate(starts[: len(before)]))):
        end = header.start() if (header := _ANY_HEADER.search(text, start)) else len(text)
        text = text[:start] + _edited(text[start:end], index, before, classes) + text[end:]
    write_text(path, _checked(path, text, classes))


def _edited(table: str, index: int, before: ClassMap, now: ClassMap) -> str:
    if before.colors[index] != now.colors[index]:
        table = _with(table, "color", format_color(now.colors[index]))
    return table if before.names[index] == now.names[index] else _with(table, "name", now.names[index])


def _checked(path: Path, text: str, classes: ClassMap) -> str:
    try:
        if project_classes(tomllib.loads(text)["classes"]) == classes:
            return text
    except (ValueError, KeyError, TypeError, ConfigError):
        pass
    raise ProjectError(f"{path}: its classes cannot be edited here", "write them as [[classes]] tables, a key per line")


def _with(table: str, key: str, value: str) -> str:
    """The lines of a table with one key set, which comes first where it is missing."""
    line = f"{key} = {json.dumps(value, ensure_ascii=False)}"
    found = re.compile(rf"^[ \t]*{key}[ \t]*=[ \t]*(\"[^\"\\\n]*\"|'[^'\n]*')", re.MULTILINE)
    if found.search(table):
        return found.sub(lambda match: line, table, count=1)
    return f"\n{line}{table}"
