"""JSON from other programs, read with checks: a Node is a value that knows where it stands."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gseg_cli.annotate.shapes import Points
from gseg_runtime.errors import GsegError

MAX_POINTS = 100_000  # of one shape
MAX_NAME = 1000  # characters of a class or an attribute
MAX_ADDRESS = 8192  # characters of a picture's path or address: web servers take no longer one
MAX_COORDINATE = 100_000.0  # pixels; a little outside of the picture is usual, this far is broken
MAX_WHOLE = 2.0**53  # of ids, counts and orders; beyond it JSON's numbers are not exact
HINT = "correct the file, or export it again"
_TYPES = {str: "text", list: "a list", dict: "an object", bool: "true or false"}


def parse_json(data: bytes, where: str) -> Any:
    """GsegError when it is not JSON; NaN, which JSON lacks and Python takes, is refused."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except RecursionError as error:
        raise GsegError(f"{where}: not valid JSON: nested too deeply", "export it again") from error
    except ValueError as error:  # broken JSON, broken UTF-8 and numbers of thousands of digits
        raise GsegError(f"{where}: not valid JSON: {error}", "export it again; it may have been cut off") from error


@dataclass(frozen=True)
class Node:
    """A value of a JSON document. Whatever is missing or of another type is a GsegError that says where."""

    value: Any
    where: str

    def has(self, key: str) -> bool:
        """Whether it is an object in which `key` stands and is not null."""
        return isinstance(self.value, dict) and self.value.get(key) is not None

    def child(self, key: str) -> "Node":
        if not isinstance(self.value, dict):
            raise GsegError(f"{self.where}: expected an object, got {_short(self.value)}", HINT)
        if key not in self.value:
            raise GsegError(f"{self.where}: no {key!r}", HINT)
        return Node(self.value[key], f"{self.where}: {key}")

    def text(self, key: str) -> str:
        """A name; see `check_text`."""
        node = self.child(key)
        return check_text(node.of_type(str), node.where)

    def address(self, key: str) -> str:
        """A picture's path or address; see `check_address`."""
        node = self.child(key)
        return check_address(node.of_type(str), node.where)

    def nodes(self, key: str) -> "list[Node]":
        return self.child(key).items()

    def items(self) -> "list[Node]":
        return [Node(value, f"{self.where} {index}") for index, value in enumerate(self.of_type(list))]

    def number(self, key: str) -> float:
        return self.child(key).as_number()

    def whole(self, key: str) -> int:
        """An id, a count, an order or a side; see `check_whole`."""
        node = self.child(key)
        return check_whole(node.value, node.where)

    def points(self, key: str) -> Points:
        return self.child(key).as_points()

    def as_points(self) -> Points:
        """[N, 2] from [[x, y], ...]."""
        check_count(len(self.of_type(list)), self.where)
        return points_of([value for point in self.items() for value in point.pair()], self.where)

    def pair(self) -> tuple[Any, Any]:
        if not isinstance(self.value, list) or len(self.value) != 2:
            raise GsegError(f"{self.where}: expected [x, y], got {_short(self.value)}", HINT)
        return self.value[0], self.value[1]

    def as_number(self) -> float:
        return check_number(self.value, self.where)

    def of_type(self, kind: type) -> Any:
        if not isinstance(self.value, kind):
            raise GsegError(f"{self.where}: expected {_TYPES[kind]}, got {_short(self.value)}", HINT)
        return self.value


def check_text(text: str, where: str) -> str:
    """Names are shown on terminals and written to gseg.toml: no line breaks, escapes, or broken characters."""
    return _check_line(text, MAX_NAME, where)


def check_address(text: str, where: str) -> str:
    """As a name, but longer: signed addresses in a cloud have some 2000 characters."""
    return _check_line(text, MAX_ADDRESS, where)


def _check_line(text: str, most: int, where: str) -> str:
    if len(text) > most:
        raise GsegError(f"{where}: a name of {len(text)} characters; expected at most {most}", "rename it")
    if not text.isprintable() or not text.strip():
        raise GsegError(f"{where}: expected a name of printable characters, got {_short(text)}", "rename it")
    return text


def check_number(value: Any, where: str) -> float:
    """A coordinate: a finite number of at most MAX_COORDINATE, from a number or from text that is one."""
    return _bounded(value, MAX_COORDINATE, where)


def check_whole(value: Any, where: str) -> int:
    """A whole number of at most MAX_WHOLE, from a number or from text that is one."""
    number = _bounded(value, MAX_WHOLE, where)
    if number != int(number):
        raise GsegError(f"{where}: expected a whole number, got {_short(value)}", HINT)
    return int(number)


def _bounded(value: Any, most: float, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not abs(number) <= most:  # also refuses nan
        raise GsegError(f"{where}: expected a number up to {most:g}, got {_short(value)}", HINT)
    return number


def points_of(values: list[Any], where: str) -> Points:
    """[N, 2] from x, y, x, y, ..."""
    if len(values) < 2 or len(values) % 2:
        raise GsegError(f"{where}: expected x and y of each point, got {len(values)} numbers", HINT)
    check_count(len(values) // 2, where)
    return np.array([check_number(value, where) for value in values]).reshape(-1, 2)


def check_polygon(points: Points, where: str) -> Points:
    if len(points) < 3:
        raise GsegError(f"{where}: a polygon needs 3 points, got {len(points)}", HINT)
    return points


def check_count(num_points: int, where: str) -> None:
    """GsegError when a shape has more than MAX_POINTS."""
    if num_points > MAX_POINTS:
        message = f"{where}: a shape of {num_points} points; expected at most {MAX_POINTS}"
        raise GsegError(message, "simplify the shape, or export a mask instead")


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | bool | None) else type(value).__name__
    return text if len(text) <= 40 else f"{text[:40]}..."


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")
