"""Whether values that come back from a file are of the types that a config declares; somebody may have edited them."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from gseg_cli.runs import EDITED
from gseg_runtime.errors import ConfigError

Range = tuple[float, float]  # the least and the most
COUNT, SHARE, ANY_LENGTH = (1, math.inf), (0, 1), (0, math.inf)

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", NoneType: "null"}


def check_values(kind: type, values: Mapping[str, Any], where: Path, prefix: str = "") -> None:
    """ConfigError when a value is of another type than the field of that name in a dataclass, which may hold others.

    where: the file. prefix: what leads to these values in it. What is missing and what is no field is passed over.
    """
    hints = get_type_hints(kind)
    for field in fields(kind):
        if field.name not in values:
            continue
        hint, value, name = hints[field.name], values[field.name], prefix + field.name
        if not _fits(value, hint):
            raise ConfigError(f"{where}: {name}: expected {_said(hint)}, got {value!r:.60}", EDITED)
        if isinstance(hint, type) and is_dataclass(hint):
            check_values(hint, value, where, f"{name}.")


def check_ranges(values: Mapping[str, Any], ranges: Mapping[str, Range], where: Path, prefix: str = "") -> None:
    """ConfigError when a number is outside of its range, as nan is of every one. Otherwise as `check_values`."""
    for name, (least, most) in ranges.items():
        value = values.get(name)
        if value is not None and not least <= value <= most:
            expected = f"{least} or more" if most == math.inf else f"{least} to {most}"
            raise ConfigError(f"{where}: {prefix}{name}: expected {expected}, got {value}", EDITED)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if isinstance(hint, UnionType):
        return any(_fits(value, one) for one in get_args(hint))
    if get_origin(hint) is tuple:  # JSON makes a list of it
        return isinstance(value, list) and len(value) == len(get_args(hint)) and all(map(_fits, value, get_args(hint)))
    if is_dataclass(hint):
        return isinstance(value, Mapping)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _said(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(str, get_args(hint)))}"
    if isinstance(hint, UnionType):
        return " or ".join(map(_said, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"{len(get_args(hint))} numbers"
    return _NAMES.get(hint, "an object")
