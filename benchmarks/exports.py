"""Exports in public repositories: does `gseg annotate-import` open them, or refuse them by their right name?

python -m benchmarks.exports CLONES

exports.txt lists them: repository, commit, path. CLONES holds the repositories as OWNER/NAME, checked out there.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from benchmarks.cells import ROOT, made
from gseg_cli.annotate.drawing import PHOTOS, Reading
from gseg_cli.annotate.names import ANY, Names
from gseg_cli.annotate.paint import paint
from gseg_cli.annotate.recognise import read_source
from gseg_cli.annotate.shapes import LINE_WIDTH
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError

LIST, PAGE = ROOT / "exports.txt", ROOT / "exports.md"
NAMES = Names(ClassMap.of_names(["background", "part"]), {ANY: "part"})  # whatever the names are
VALUES = Names(ClassMap.of_names(["background", *map(str, range(1, 255))]), {ANY: "1"})  # for pictures of indices


@dataclass(frozen=True)
class Outcome:
    """kind: as which format it was read, or that it was not; told: the first thing that went wrong."""

    kind: str
    pictures: int = 0
    shapes: int = 0
    told: str = ""


def try_export(source: Path) -> Outcome:
    """Read an export, and fill every picture whose size is known."""
    try:
        kind, reading = read_source(source, VALUES, PHOTOS)
    except GsegError as error:
        return Outcome("refused", told=_short(error.message, source))
    errors = [*reading.failures, *_paint_errors(reading)]
    others = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    told = _short(errors[0].message, source) + others if errors else ""
    shapes = sum(len(drawing.layers) for drawing in reading.drawings)
    return Outcome("refused" if errors and not reading.drawings else kind, len(reading.drawings), shapes, told)


def _paint_errors(reading: Reading) -> Iterator[GsegError]:
    for drawing in reading.drawings:
        try:
            if drawing.size:
                paint(drawing, drawing.size, NAMES, 0, LINE_WIDTH)
        except GsegError as error:
            yield error


def _short(message: str, source: Path) -> str:
    """Without what is the same in every line."""
    words = message.replace(f"{source}/", "").replace(f"{source}: ", "").replace(str(source), source.name)
    return words.replace("|", "\\|")[:160]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clones", type=Path)
    clones = parser.parse_args().clones
    rows = [line.split(maxsplit=2) for line in LIST.read_text("utf-8").splitlines()]
    outcomes = {(repository, path): try_export(clones / repository / path) for repository, _, path in rows}
    PAGE.write_text(_page(rows, outcomes), "utf-8")


def _page(rows: list[list[str]], outcomes: dict[tuple[str, str], Outcome]) -> str:
    about = made()
    counts = Counter("refused" if one.kind == "refused" else "opened" for one in outcomes.values())
    whole = sum(one.kind != "refused" and not one.told for one in outcomes.values())
    opened = f"{counts['opened']} open, {whole} of them without an error"
    lines = [
        "# Exports in public repositories",
        "",
        f"Of {len(outcomes)} exports {opened}. {counts['refused']} are refused,",
        "for the reason that stands beside them; the first is told. All names are taken as one class, and every",
        "picture whose size is known is filled.",
        "",
        f"Made by `python -m benchmarks.exports CLONES`, commit {about['commit']}, {about['date']}. The list is",
        "[exports.txt](exports.txt); some are the tools' own tests, which hold broken files on purpose.",
    ]
    for (repository, commit), group in groupby(rows, key=lambda row: (row[0], row[1])):
        lines += ["", f"## {repository}", "", f"At `{commit[:12]}`.", ""]
        lines += ["| path | read as | pictures | shapes | |", "|---|---|---:|---:|---|"]
        for _, _, path in group:
            one = outcomes[repository, path]
            lines.append(f"| {path} | {one.kind} | {one.pictures} | {one.shapes} | {one.told} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
