"""gseg annotate-import: what people drew on samples, with whatever tool, taken into the project."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.options import OverwriteOpt, open_project, settings

if TYPE_CHECKING:
    from rich.table import Table

    from gseg_cli.annotate.annotation_set import AnnotationSet


class Unlabelled(StrEnum):
    """What pixels become that nobody drew on."""

    background = "background"
    ignore = "ignore"


def annotate_import(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="What the tool exported: a file, a folder, or the zip as it came.")
    ],
    samples: Annotated[Path | None, typer.Option(help="Folder of the samples, else the project's samples/.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write, else the project's annotations/.")
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="NAME=CLASS", help="Take shapes called NAME as CLASS, ignore, or - (left out)."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Add unknown names to gseg.toml as classes, unasked.")] = False,
    unlabelled: Annotated[
        Unlabelled, typer.Option(help="What pixels become that nobody drew on.")
    ] = Unlabelled.background,
    line_width: Annotated[
        float, typer.Option(min=1, max=1000, help="Width of drawn lines and points, in pixels of the picture.")
    ] = 10,
    partial: Annotated[bool, typer.Option("--partial", help="Take the good ones, where some are not.")] = False,
    overwrite: OverwriteOpt = False,
) -> None:
    """Take in what was drawn on samples: labelme, COCO, CVAT, Label Studio, Pascal VOC, CelebAMask-HQ, PNGs."""
    from gseg_cli.annotate.names import Names, parse_mapping, unknown_labels, with_classes
    from gseg_cli.annotate.paint import tie
    from gseg_cli.annotate.preview import write_previews
    from gseg_cli.annotate.recognise import read_source
    from gseg_cli.annotate.review import review
    from gseg_cli.gan.sample_set import SampleSet
    from gseg_cli.output import current_output
    from gseg_runtime.class_map import IGNORE

    mapping = parse_mapping(maps or ())
    output, project = current_output(), open_project()
    folder = out or project.annotations_dir
    _refuse_own_output(source, folder)
    sample_set = SampleSet.load(samples or project.samples_dir)
    names = Names(project.classes, mapping)
    kind, reading = read_source(source, names)
    new = [names.class_name(label) for label in unknown_labels(reading.drawings, names)]
    if new and (yes or _confirmed(new)):
        names = Names(with_classes(project.classes, new), mapping)
    rest = IGNORE if unlabelled is Unlabelled.ignore else 0
    found = tie(reading, sample_set, names, unlabelled=rest, line_width=line_width)
    errors = [{"message": error.message, "hint": error.hint} for error in found.failures]
    annotations = found.annotations
    if annotations is None or (errors and not partial):
        output.result({}, status="error", errors=errors or [_nothing_drawn(source)])
        output.say("nothing was written" + ("; --partial takes the good ones" if annotations else ""))
        return
    toml = project.extended(names.classes)  # before anything is written, since it may not be possible
    annotations.save(folder, source=str(source), overwrite=overwrite)
    project.write_toml(toml)
    sheet = write_previews(annotations, sample_set, folder)
    warnings = [*found.warnings, *review(annotations)]
    for warning in warnings:
        output.warn(warning)
    data = {
        "out": folder,
        "format": kind,
        "seeds": annotations.seeds,
        "pixels_per_class": annotations.pixels_per_class,
        "new_classes": names.classes.names[len(project.classes) :],
        "sheet": sheet,
        "warnings": warnings,
    }
    output.say(f"look at {sheet}")
    text = _table(annotations, f"{kind}: {len(annotations.seeds)} annotations")
    output.result(data, text, status="partial" if errors else "success", errors=errors)


def _confirmed(new: list[str]) -> bool:
    """Asks only where somebody can answer; else the unknown names become errors."""
    if settings.json or not sys.stdin.isatty():
        return False
    return typer.confirm(f"add {', '.join(dict.fromkeys(new))} to gseg.toml as classes?", err=True)


def _nothing_drawn(source: Path) -> dict[str, str | None]:
    return {
        "message": f"{source}: nothing is drawn on any picture",
        "hint": "label one to ten samples, and export again",
    }


def _refuse_own_output(source: Path, folder: Path) -> None:
    """With --overwrite and --partial a broken label map would be lost."""
    from gseg_runtime.errors import UsageError

    if source.resolve().is_relative_to(folder.resolve()):
        hint = "copy the label maps elsewhere, or choose another folder with -o"
        raise UsageError(f"{source}: lies in the folder that is written, {folder}", hint)


def _table(annotations: "AnnotationSet", caption: str) -> "Table":
    from rich.table import Table

    counts = annotations.pixel_counts
    table = Table("class", caption=caption)
    for title in ("pixels", "share", "samples"):
        table.add_column(title, justify="right")
    for name, column in zip(annotations.classes.names, counts.T, strict=True):
        share = column.sum() / annotations.labels.size
        table.add_row(name, str(column.sum()), f"{share:.1%}", str((column > 0).sum()))
    ignored = annotations.labels.size - counts.sum()
    table.add_section()
    table.add_row("ignored", str(ignored), f"{ignored / annotations.labels.size:.1%}", "")
    return table
