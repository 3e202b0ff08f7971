"""gseg.toml: how it is written, and how what people wrote into it is checked."""

import difflib
import json
import tomllib
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from gseg_runtime.class_map import IGNORED, ClassMap, Color, default_color
from gseg_runtime.errors import ConfigError, ProjectError

FILE = "gseg.toml"
# What annotation programs call these in lists of classes: labelme, and ISAT.
BACKGROUND_WORDS = {"_background_", "__background__"}
IGNORED_WORD = "__ignore__"
KEYS: dict[str, dict[str, type]] = {"project": {"name": str, "resolution": int}, "gan": {"path": str}}
TYPE_NAMES = {str: "text in quotes", int: "a whole number"}

TEMPLATE = """\
# A gseg project. This is the only file in the folder that is edited by hand.

[project]
name = {name}
resolution = {resolution}  # pixels; the side of the images the GAN makes

[gan]
# A checkpoint, relative to this folder; "builtin:toy-faces" (128 px) and "builtin:toy-faces-64" come with gseg.
path = {gan}

# The classes in index order: the first is the background (0), the next has index 1, and so on.
# Annotations and models made earlier keep the old indices, so add new classes at the end.
{classes}
"""


def format_project(*, name: str, resolution: int, gan: str, classes: ClassMap) -> str:
    """The text of a gseg.toml; ProjectError when it cannot hold these."""
    return TEMPLATE.format(
        resolution=resolution, classes=classes.to_toml().rstrip(), name=_quoted(name), gan=_quoted(gan)
    )


def _quoted(text: str) -> str:
    """A TOML string: a JSON one, in which the delete character is not escaped. ProjectError when it is not Unicode."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        hint = "rename it; or if it is the project's folder, give another --name"
        raise ProjectError(f"{text!r}: not UTF-8, so {FILE} cannot hold it", hint) from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def read_project(path: Path) -> tuple[dict[str, Any], ClassMap]:
    """The tables of a gseg.toml, checked against KEYS, and its classes; ProjectError when anything is amiss."""
    data = _read_toml(path)
    _check_keys(f"{path}", data, (*KEYS, "classes"))
    for table, keys in KEYS.items():
        if not isinstance(data.get(table), dict):
            raise ProjectError(f"{path}: no [{table}] table", hint=f"it holds {', '.join(keys)}")
        _check_keys(f"{path}: [{table}]", data[table], keys)
        for key, kind in keys.items():
            _check_value(f"{path}: [{table}] {key}", data[table].get(key), kind)
    return data, _classes_of(path, data)


def extended_project(path: Path, classes: ClassMap) -> str:
    """The text of a gseg.toml with those of `classes` at its end that stand behind its own; all else stays as it is.

    ProjectError when the file cannot be extended so.
    """
    text, known = _text_of(path), read_classes(path)
    names, colors = classes.names[len(known) :], classes.colors[len(known) :]
    if not names:
        return text
    text = f"{text.rstrip()}\n\n{ClassMap(names, colors).to_toml()}"
    try:
        if len(tomllib.loads(text)["classes"]) == len(classes):
            return text
    except ValueError:  # classes = [...] in one line cannot be extended by [[classes]]
        pass
    raise ProjectError(f"{path}: cannot add {', '.join(names)}", hint="write the classes as [[classes]] tables")


def read_classes(path: Path) -> ClassMap:
    """The [[classes]] of a TOML file, such as another project's; ProjectError when they are wrong."""
    return _classes_of(path, _read_toml(path))


def project_classes(tables: list[dict[str, Any]]) -> ClassMap:
    """From the `[[classes]]` tables: a missing colour becomes a default one, which no other class has.

    ConfigError when they are wrong.
    """
    classes = ClassMap.from_toml_classes(tables)
    given = [color if "color" in table else None for table, color in zip(tables, classes.colors, strict=True)]
    return checked_classes(ClassMap(classes.names, with_default_colors(given)))


def with_default_colors(colors: Sequence[Color | None]) -> tuple[Color, ...]:
    """A default colour in place of each None: that of its index, or the next that no other class has."""
    filled = list(colors)
    for index, color in enumerate(colors):
        filled[index] = color or next(free for free in map(default_color, count(index)) if free not in filled)
    return tuple(color for color in filled if color)


def checked_classes(classes: ClassMap) -> ClassMap:
    """ConfigError when one is called like the pixels that do not count: those of 255 would be taken for it."""
    if found := [name for name in classes.names if name.strip().casefold() == IGNORED]:
        raise ConfigError(f"classes: {found[0]!r} means pixels that do not count, and cannot be a class", "rename it")
    return classes


def parse_classes(text: str, *, of_masks: bool = False) -> ClassMap:
    """The classes that `--classes` means: "toy-faces", a protocol of `gseg dataset`, a TOML file, a text file with a
    name per line, or "name,name".

    Bare names get a background in front unless they start with one: index 0 is always the background. of_masks: not if
    they are those of the values in masks, of which the first is that of 0, whatever its name. What labelme writes for
    background and ignored pixels into such lists is no class.
    ConfigError or ProjectError when it is none of these.
    """
    path = Path(text)
    if text in (named := _named_classes()):
        return named[text]
    if path.suffix == ".toml":
        return read_classes(path)
    if "," not in text and text != "background" and not path.is_file():
        message = f"--classes: expected {', '.join(named)}, a file or names separated by commas, got {text!r}"
        raise ConfigError(message, hint="for instance --classes 'background,eyes,mouth'")
    is_list = "," in text or text == "background"  # alone: annotate-import adds the others
    names = [name.strip() for name in (_between_commas(text) if is_list else lines_of(path))]
    while names and not names[-1]:
        names.pop()
    if of_masks and "" in names:
        message = (
            f"{'--classes' if is_list else path}: expected a name for each value, got none for value {names.index('')}"
        )
        raise ConfigError(message, "name every value up to the last: those behind a blank would shift")
    names = [name for name in names if name]
    if not is_list and len(names) == 1 and "," in names[0]:  # it would be one class, and nobody would see it
        message = f"{path}: one line with commas, expected a name per line"
        raise ConfigError(message, "write each name in a line of its own, or the names themselves after --classes")
    names = ["background" if name in BACKGROUND_WORDS else name for name in names if name != IGNORED_WORD]
    has_background = bool(names) and (of_masks or names[0].casefold() == "background")
    return checked_classes(ClassMap.of_names(names if has_background else ["background", *names]))


def _between_commas(text: str) -> list[str]:
    """ConfigError for half of a name that has a comma itself, in quotes or brackets."""
    names = text.split(",")
    if halves := [name for name in names if name.count("(") != name.count(")") or name.count('"') % 2]:
        message = f"--classes: {halves[0].strip()!r} is half of a name: commas stand between names"
        raise ConfigError(message, "write names with commas into a text file, one per line, and name that file")
    return names


def _text_of(path: Path) -> str:
    """UTF-8, also behind the mark that editors on Windows put in front."""
    return path.read_text(encoding="utf-8-sig")


def lines_of(path: Path) -> list[str]:
    """Of a text file; ConfigError when it cannot be read."""
    try:
        return _text_of(path).splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise ConfigError(f"{path}: cannot be read: {reason}", "save it as plain text in UTF-8") from error


def _named_classes() -> dict[str, ClassMap]:
    """The classes of the data sets that gseg knows."""
    from gseg_cli.datasets.protocols import PROTOCOLS
    from gseg_cli.datasets.toy_faces.dataset import CLASSES

    return {"toy-faces": CLASSES, **{name: protocol.classes for name, protocol in PROTOCOLS.items()}}


def nearest(name: str, known: Iterable[str], what: str = "keys") -> str:
    """A hint for a name that is not among the known ones: the nearest of them, else all."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known {what} are {', '.join(known)}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text_of(path))
    except (FileNotFoundError, NotADirectoryError) as error:
        hint = "run gseg init to make a project, or name its folder with -C DIR"
        raise ProjectError(f"{path.parent}: no {path.name} in this folder", hint=hint) from error
    except OSError as error:
        raise ProjectError(f"{path}: {error.strerror}", hint="check the path") from error
    except ValueError as error:  # broken TOML and broken UTF-8
        raise ProjectError(f"{path}: not valid TOML: {error}", hint="correct the file") from error


def _classes_of(path: Path, data: dict[str, Any]) -> ClassMap:
    tables = data.get("classes")
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ProjectError(f"{path}: no [[classes]] tables", hint='write [[classes]] and below it name = "background"')
    for index, table in enumerate(tables):
        _check_keys(f"{path}: [[classes]] {index}", table, ("name", "color"))
    try:
        return project_classes(tables)
    except ConfigError as error:
        raise ProjectError(f"{path}: [[classes]]: {error.message}", hint=error.hint) from error


def _check_keys(where: str, table: dict[str, Any], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            raise ProjectError(f"{where}: unknown key {key!r}", hint=nearest(key, known))


def _check_value(where: str, value: Any, kind: type) -> None:
    if type(value) is not kind:  # isinstance would let true through as a number
        got = "nothing" if value is None else repr(value)
        raise ProjectError(f"{where}: expected {TYPE_NAMES[kind]}, got {got}", hint="correct it in the file")
    if isinstance(value, int) and value < 1:
        raise ProjectError(f"{where}: expected 1 or more, got {value}", hint="correct it in the file")
