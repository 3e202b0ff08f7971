"""gseg annotate-import: label maps that people drew on samples, taken into the project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.options import OverwriteOpt, open_project

if TYPE_CHECKING:
    from rich.table import Table

    from gseg_cli.annotate.annotation_set import AnnotationSet


def annotate_import(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Label PNG, or a folder of them, named by seed.")],
    samples: Annotated[Path | None, typer.Option(help="Folder of the samples, else the project's samples/.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write, else the project's annotations/.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Take the good ones, where some are not.")] = False,
    overwrite: OverwriteOpt = False,
) -> None:
    """Take in label maps drawn on samples: PNGs of class indices (indexed or greyscale; 255 = ignore)."""
    from gseg_cli.annotate.png import import_pngs
    from gseg_cli.annotate.review import review
    from gseg_cli.gan.sample_set import SampleSet
    from gseg_cli.output import current_output

    output, project = current_output(), open_project()
    folder = out or project.annotations_dir
    _refuse_own_output(source, folder)
    found = import_pngs(source, SampleSet.load(samples or project.samples_dir), project.classes)
    errors = [{"message": error.message, "hint": error.hint} for error in found.failures]
    annotations = found.annotations
    if annotations is None or (errors and not partial):
        output.result({}, status="error", errors=errors)
        output.say("nothing was written" + ("; --partial takes the good ones" if annotations else ""))
        return
    annotations.save(folder, source=str(source), overwrite=overwrite)
    warnings = [*found.warnings, *review(annotations)]
    for warning in warnings:
        output.warn(warning)
    data = {
        "out": folder,
        "seeds": annotations.seeds,
        "pixels_per_class": annotations.pixels_per_class,
        "warnings": warnings,
    }
    output.result(data, _table(annotations, folder), status="partial" if errors else "success", errors=errors)


def _refuse_own_output(source: Path, folder: Path) -> None:
    """With --overwrite and --partial a broken label map would be lost."""
    from gseg_runtime.errors import UsageError

    if source.resolve().is_relative_to(folder.resolve()):
        hint = "copy the label maps elsewhere, or choose another folder with -o"
        raise UsageError(f"{source}: lies in the folder that is written, {folder}", hint)


def _table(annotations: "AnnotationSet", folder: Path) -> "Table":
    from rich.table import Table

    counts = annotations.pixel_counts
    table = Table("class", caption=f"{folder}: {len(counts)} annotations")
    for title in ("pixels", "share", "samples"):
        table.add_column(title, justify="right")
    for name, column in zip(annotations.classes.names, counts.T, strict=True):
        share = column.sum() / annotations.labels.size
        table.add_row(name, str(column.sum()), f"{share:.1%}", str((column > 0).sum()))
    ignored = annotations.labels.size - counts.sum()
    table.add_section()
    table.add_row("ignored", str(ignored), f"{ignored / annotations.labels.size:.1%}", "")
    return table
