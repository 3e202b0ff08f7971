"""What the words mean that `gseg segment` is given. UsageError for those that mean nothing."""

import csv
import sys
from pathlib import Path

from PIL.ImageColor import getrgb

from gseg_runtime.class_map import Color
from gseg_runtime.errors import UsageError
from gseg_runtime.sources import Source, read_list


def read_sources(images: list[str], base: Path | None, *, null: bool) -> list[Source]:
    if null and "-" not in images:
        raise UsageError("--null only applies to a list on stdin", "use - as IMAGES to read one")
    sources: list[Source] = []
    for text in images:
        if text == "-":
            sources += read_list(sys.stdin.buffer.read(), null=null, base=base)
        else:
            sources.append(Source(Path(text), base))
    return sources


def check_one_source(images: list[str], base: Path | None, *, null: bool) -> None:
    """UsageError for more than a folder or an address."""
    if len(images) > 1 or images == ["-"] or null or base:
        what = "--base" if base else "--null" if null else "a list" if images == ["-"] else f"{len(images)} inputs"
        hint = "lists, patterns and --base are for paths on this machine, without Ray"
        raise UsageError(f"{what}: expected one folder or one address alone", hint)


def parse_parts(text: str | None) -> list[str]:
    """Names with commas between them; one that has a comma itself is in double quotes."""
    if text is None:
        return []
    names = [word.strip() for row in csv.reader([text], skipinitialspace=True) for word in row if word.strip()]
    if not names:
        raise UsageError(f"--parts: expected names of classes, got {text!r}")
    return names


def parse_shard(text: str | None) -> tuple[int, int]:
    index, _, count = (text or "0/1").partition("/")
    if not (index.isdecimal() and count.isdecimal()):
        raise UsageError(f"--shard: expected I/N, for instance 0/8, got {text}")
    return int(index), int(count)


def parse_background(text: str) -> Color:
    """Any colour that Pillow has a name for."""
    try:
        red, green, blue, *alpha = getrgb(text)
        if not alpha:
            return red, green, blue
    except ValueError:
        pass  # said below
    message = f"--background: expected a colour without transparency, got {text!r}"
    raise UsageError(message, "for instance white, #fff or rgb(255, 255, 255)")


def parse_actors(text: str) -> tuple[int, int]:
    """MIN:MAX, or one number for both."""
    least, colon, most = text.partition(":")
    if not (least.isdecimal() and (most.isdecimal() or not colon)):
        raise UsageError(f"--actors: expected MIN:MAX, for instance 2:64, got {text}")
    return int(least), int(most or least)
