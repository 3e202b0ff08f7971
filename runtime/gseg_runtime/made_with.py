"""How masks were made, the `settings` of the manifest, as options of the command line."""

from collections.abc import Iterable
from typing import Any

Settings = dict[str, Any] | None  # as of `Entry`
_USUAL = {"edges": "nearest", "background": "black"}  # what is not told


def both(first: Settings, second: Settings) -> tuple[str, str]:
    """Where they differ, of each: "with --edges nearest", "without --tile"."""
    first, second = first or {}, second or {}
    keys = [key for key in {**first, **second} if first.get(key) != second.get(key)]
    return _told(first, keys), _told(second, keys)


def _told(settings: dict[str, Any], keys: Iterable[str]) -> str:
    return " and ".join(_option(f"--{key.replace('_', '-')}", settings.get(key, _USUAL.get(key))) for key in keys)


def _option(name: str, value: Any) -> str:
    if value is None:
        return f"without {name}"
    return f"with {name}" if value is True else f"with {name} {value}"
