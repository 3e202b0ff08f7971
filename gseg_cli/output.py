"""What a command shows: data on stdout, talk on stderr, and one JSON object instead of text with `--json`."""

import io
import json
import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gseg_cli.options import settings
from gseg_cli.streams import to_stdout

if TYPE_CHECKING:
    from rich.console import RenderableType

Status = Literal["success", "partial", "error"]
EXIT_CODES: dict[Status, int] = {"success": 0, "partial": 3, "error": 1}

_WIDEST = 1000  # columns
MOST_ALIKE = 10  # errors of one hint


class Output:
    """The two streams of one command. A command ends by calling `result` once."""

    def __init__(self) -> None:
        self.exit_code = 0

    def result(
        self,
        data: Mapping[str, Any],
        text: "RenderableType | None" = None,
        *,
        status: Status = "success",
        errors: Sequence[Mapping[str, str | None]] = (),
    ) -> None:
        """Show what came out: `data` as JSON with `--json`, else `text`, a string or a Rich renderable.

        status "partial" (some inputs failed) makes the exit code 3, "error" makes it 1.
        errors: one {"message", "hint"} per failed input; they also go to stderr, of many with one hint the first.
        """
        self.exit_code = EXIT_CODES[status]
        for hint, alike in groupby(errors, key=lambda error: error.get("hint")):
            self._show_errors([error["message"] or "" for error in alike], hint)
        with to_stdout():
            if settings.json:
                self.envelope(status, data, errors)
            elif text is not None:
                print_text(text)

    def say(self, text: str) -> None:
        """A line of talk, on stderr."""
        print(_by_lines(text), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        self.say(f"warning: {_on_one_line(text)}")

    def say_next(self, *words: str | Path, project: Path | None = None) -> None:
        """The command that usually follows, in the project of this one unless another is given."""
        where = project or settings.project
        options = [] if where == Path() else ["-C", where]
        self.say("next: " + shlex.join(map(str, ["gseg", *options, *words])))

    def show_error(self, message: str, hint: str | None) -> None:
        self.say(f"error: {_on_one_line(message)}")
        if hint:
            self.say(f"hint: {_on_one_line(hint)}")

    def _show_errors(self, messages: list[str], hint: str | None) -> None:
        """Of one hint, told once: hundreds of files may have the same fault."""
        if hint and len(messages) > MOST_ALIKE:
            messages[MOST_ALIKE:] = [f"{len(messages) - MOST_ALIKE:,} more like these, which --json lists"]
        for message in messages[:-1]:
            self.show_error(message, None)
        self.show_error(messages[-1], hint)

    def envelope(self, status: Status, data: Mapping[str, Any], errors: Sequence[Mapping[str, str | None]]) -> None:
        """The one object that stdout holds with `--json`."""
        rows = [{"message": error["message"], "hint": error.get("hint")} for error in errors]
        answer = {"command": settings.command, "status": status, "data": to_plain(data), "errors": rows}
        print(json.dumps(answer, indent=2, allow_nan=False))


def _on_one_line(text: str) -> str:
    """With escapes for what would end the line or steer the terminal: file names may hold anything."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _by_lines(text: str) -> str:
    """The same of each line: what a checkpoint says of itself may hold anything, too."""
    return "\n".join(map(_on_one_line, text.split("\n")))


def accept_any_name() -> None:
    """What the terminal's encoding lacks, of a file name for instance, is printed as escapes, as on stderr."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


_output = Output()


def current_output() -> Output:
    """The output of the running command."""
    return _output


def new_output() -> Output:
    """For `main()`: a fresh output for a new command."""
    global _output
    _output = Output()
    return _output


def print_text(text: "RenderableType") -> None:
    if isinstance(text, str):
        print(_by_lines(text))
        return
    from rich.console import Console

    console = Console(file=sys.stdout, highlight=False)
    # A terminal that is narrower breaks the lines; Rich would leave out the ends of words and numbers.
    needed = console.measure(text, options=console.options.update(width=_WIDEST)).maximum
    console.width = max(console.width, needed)
    console.print(text)


def to_plain(value: Any) -> Any:
    """`value` in JSON's own types: paths as text, arrays as lists, nan and infinity (which JSON lacks) as null."""
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # numpy and torch, without importing them
        return to_plain(value.tolist())
    return value
