"""What a run tells of all photos at once, made from the manifest: areas as CSV, masks as COCO JSON."""

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from gseg_runtime.class_map import ClassMap
from gseg_runtime.files import atomic_path, write_bytes
from gseg_runtime.manifest import Entry, read_entries, read_sorted

STATS, COCO, INSTANCES = "gseg-stats.csv", "gseg-coco.json", "gseg-instances.json"
FAILURES = "gseg-failures.txt"
_Found = Callable[[Entry], list[dict[str, Any]] | None]  # the annotations in a line of the manifest
_ABOUT = ("image", "height", "width", "confidence")


def write_stats(folder: Path, classes: ClassMap) -> None:
    """gseg-stats.csv: what `_ABOUT` names, and the pixels of each class in a column of its name."""
    # A name that is not text is written with \udcXX escapes: one of them must not make the whole table unreadable.
    with (
        atomic_path(folder / STATS) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        write_row(file, [*_ABOUT, *_class_columns(classes)])
        for entry in read_sorted(folder):
            write_row(file, [entry.name, entry.height, entry.width, entry.confidence, *(entry.areas or [])])


def write_row(file: IO[str], row: Sequence[object]) -> None:
    """A row of CSV. Before 3.13 Python quotes no lone \\r, at which readers end the row."""
    if any(isinstance(cell, str) and "\r" in cell for cell in row):
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow(row)
    else:
        csv.writer(file, lineterminator="\n").writerow(row)


def write_failures(folder: Path, names: Iterable[str]) -> None:
    """gseg-failures.txt: these names and the photos that failed, as `gseg segment -` reads them, a line each; with null
    bytes between if one has a line end."""
    failed = (entry.input for entry in read_entries(folder) if entry.status == "failed")
    listed = sorted({os.fsencode(name) for name in chain(names, failed)})
    end = b"\0" if any(set(name) & set(b"\n\r") for name in listed) else b"\n"
    write_bytes(folder / FAILURES, b"".join(name + end for name in listed))


def _class_columns(classes: ClassMap) -> list[str]:
    """A class that is named like another column is "NAME (class)": readers by name would lose one of the two."""
    columns: list[str] = []
    for name in classes.names:
        column = name
        while column in _ABOUT or (column != name and column in classes.names):
            column += " (class)"
        columns.append(column)
    return columns


def write_coco(folder: Path, classes: ClassMap) -> None:
    """gseg-coco.json: images and annotations as pycocotools loads them, one on a line, never all in memory."""
    _write_coco(folder / COCO, classes, lambda entry: entry.coco)


def write_instances(folder: Path, classes: ClassMap) -> None:
    """gseg-instances.json: the same with an annotation for each connected part."""
    _write_coco(folder / INSTANCES, classes, lambda entry: entry.instances)


def _write_coco(path: Path, classes: ClassMap, found: _Found) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        categories = json.dumps(coco_categories(classes))
        file.write(f'{{"info": {{"description": "gseg segment"}},\n"categories": {categories},\n')
        file.write('"images": [')
        _write_items(file, _images(path.parent, found))
        file.write('],\n"annotations": [')
        _write_items(file, _annotations(path.parent, found))
        file.write("]}\n")


def coco_categories(classes: ClassMap) -> list[dict[str, object]]:
    """A category's id is the class index; the background is none."""
    return [{"id": index, "name": name} for index, name in enumerate(classes.names) if index]


def _images(folder: Path, found: _Found) -> Iterator[dict[str, object]]:
    for index, (entry, _) in enumerate(_annotated(folder, found), start=1):
        yield {"id": index, "file_name": entry.name, "height": entry.height, "width": entry.width}


def _annotations(folder: Path, found: _Found) -> Iterator[dict[str, object]]:
    number = 0
    for index, (_, annotations) in enumerate(_annotated(folder, found), start=1):
        for annotation in annotations:
            number += 1
            yield {"id": number, "image_id": index, **annotation}


def _annotated(folder: Path, found: _Found) -> Iterator[tuple[Entry, list[dict[str, Any]]]]:
    """Not those of an earlier run that was not asked for it and that this one was not given: they are not empty."""
    return ((entry, annotations) for entry in read_sorted(folder) if (annotations := found(entry)) is not None)


def _write_items(file: IO[str], items: Iterator[dict[str, object]]) -> None:
    separator = "\n"
    for item in items:
        file.write(separator + json.dumps(item))
        separator = ",\n"


# How each is made from the manifest in its folder.
TABLES: dict[str, Callable[[Path, ClassMap], None]] = {STATS: write_stats, COCO: write_coco, INSTANCES: write_instances}
