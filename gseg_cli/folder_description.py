"""Folders that say in a JSON file what they hold: claiming one, writing that file, reading it."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gseg_cli import __version__
from gseg_runtime.errors import GsegError
from gseg_runtime.files import INCOMPLETE, claim_folder, read_json, write_json

FORMAT = 1
TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "an object"}


def claim(path: Path, kind: str, *, overwrite: bool, owned: Callable[[Path], bool], extend: bool = False) -> None:
    """`claim_folder` for commands without --resume.

    extend: go on in the folder as it is; the caller has found it to be of the same making.
    """
    claim_folder(path, kind, overwrite=overwrite, resume=extend or None, owned=owned)


def check_whole(folder: Path) -> None:
    """GsegError when a command was interrupted while it wrote the folder."""
    if (folder / INCOMPLETE).is_file():
        raise GsegError(f"{folder}: left unfinished by an interrupted command", "run that again with --overwrite")


def write_description(path: Path, kind: str, facts: Mapping[str, Any]) -> None:
    """Write `facts` with the format, the kind and who wrote it in front."""
    write_json(path, {"format": FORMAT, "kind": kind, "created_by": f"gseg {__version__}", **facts})


def read_description(path: Path, kind: str, types: Mapping[str, type], *, hint: str) -> dict[str, Any]:
    """What `write_description` wrote; GsegError with `hint` when it is missing, of another kind or lacks a key.

    types: the keys that must be there, and what they hold.
    """
    if not path.is_file():
        raise GsegError(f"{path.parent}: no {path.name} in this folder", hint)
    data = read_json(path)
    if not isinstance(data, dict) or data.get("kind") != kind:
        got = repr(data.get("kind")) if isinstance(data, dict) else type(data).__name__
        raise GsegError(f"{path}: expected an object of kind {kind!r}, got {got}", hint)
    if data.get("format") != FORMAT:
        message = f"{path}: expected format {FORMAT}, got {data.get('format')!r}"
        raise GsegError(message, "update gseg to read this folder")
    for key, expected in types.items():
        if not _is_a(data.get(key), expected):
            got = repr(data[key]) if key in data else "nothing"
            raise GsegError(f"{path}: {key}: expected {TYPE_NAMES[expected]}, got {got}", hint)
    return data


def check_seeds(path: Path, seeds: list[Any], *, hint: str) -> tuple[int, ...]:
    """The seeds of a description: whole numbers from 0, each once."""
    if not all(_is_a(seed, int) and seed >= 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise GsegError(f"{path}: seeds: expected different whole numbers from 0, got {seeds!r}", hint)
    return tuple(seeds)


def read_class(path: Path, data: Mapping[str, Any], *, hint: str) -> int | None:
    """The class of a conditional GAN that a description names; None where there is none."""
    value = data.get("class")
    if value is not None and not (_is_a(value, int) and value >= 0):
        raise GsegError(f"{path}: class: expected a whole number from 0, got {value!r}", hint)
    return value


def _is_a(value: Any, expected: type) -> bool:
    """JSON writes 1.0 as it likes, and true is no number."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) if expected is float else isinstance(value, expected)
