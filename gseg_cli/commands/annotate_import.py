"""gseg annotate-import: what people drew on samples, with whatever tool, taken into the project."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gseg_cli.annotate.photo_config import PhotoImportConfig
from gseg_cli.choices import Fit, PhotoSpace, Unlabelled
from gseg_cli.options import DeviceOpt, OverwriteOpt, SeedOpt, is_given, open_project, settings
from gseg_runtime.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from gseg_cli.annotate.paint import Import
    from gseg_cli.annotate.photo_masks import PhotoMasks
    from gseg_cli.annotate.photos import Fit as PhotoFit
    from gseg_cli.annotate.review import Counts


def annotate_import(
    context: typer.Context,
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="File, folder or zip that the labelling tool exported.")
    ],
    samples: Annotated[
        Path | None, typer.Option(help="Folder of the samples.", show_default="the project's samples/")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write to.", show_default="the project's annotations/")
    ] = None,
    maps: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="NAME=CLASS",
            help="Import shapes called NAME, or that value of masks, as CLASS, as ignore, or not at all (-); can be "
            "repeated, or name a file of such lines.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Add unknown names to gseg.toml as classes without asking.")
    ] = False,
    unlabelled: Annotated[Unlabelled, typer.Option(help="What pixels without a label become.")] = "background",
    line_width: Annotated[
        int, typer.Option(min=1, max=1000, help="Width of drawn lines and points, in pixels of the picture.")
    ] = 10,
    scale: Annotated[
        int,
        typer.Option(
            min=1,
            help="How often the samples were enlarged to draw on them, where the export does not tell their size.",
        ),
    ] = 1,
    partial: Annotated[
        bool, typer.Option("--partial", help="Import what can be read, even if other files fail.")
    ] = False,
    add: Annotated[bool, typer.Option("--add", help="Keep the existing annotations of other samples.")] = False,
    photos: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Photos that were labelled instead of samples; they are inverted into the GAN."
        ),
    ] = None,
    invert: Annotated[
        bool,
        typer.Option(
            help="With --photos: with --no-invert they stay what they are, and are written with their label maps to "
            "the project's labelled/, for student-train and distill --labelled."
        ),
    ] = True,
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="With --photos: photo to leave out; can be repeated.")
    ] = None,
    max_error: Annotated[
        float | None,
        typer.Option(
            min=0, help="With --photos: leave out photos that the GAN draws worse than this, in levels of 255."
        ),
    ] = PhotoImportConfig.max_error,
    space: Annotated[
        PhotoSpace, typer.Option(help="With --photos: latents to search for, one per photo (w) or one per layer (w+).")
    ] = PhotoImportConfig.space,
    steps: Annotated[
        int, typer.Option(min=1, help="With --photos: optimisation steps per photo.")
    ] = PhotoImportConfig.steps,
    fit: Annotated[
        Fit, typer.Option(help="With --photos: pad photos to a square (letterbox), or cut out their centre (crop).")
    ] = PhotoImportConfig.fit,
    class_index: Annotated[
        int | None, typer.Option("--class", min=0, help="With --photos: class of the photos, for a conditional GAN.")
    ] = PhotoImportConfig.class_index,
    seed: SeedOpt = PhotoImportConfig.seed,
    device: DeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
) -> None:
    """Import label maps that were drawn with another program.

    Reads labelme, COCO, CVAT, Label Studio, Pascal VOC, CelebAMask-HQ, PNGs and more, drawn on samples or on photos.
    Writes label maps for fewshot-train, and previews of them.
    """
    from gseg_cli.annotate.annotation_set import annotated_names
    from gseg_cli.annotate.importing import (
        check_free,
        import_source,
        lost_by_overwriting,
        replaced_photos,
        unpainted,
        write_import,
    )
    from gseg_cli.annotate.names import parse_mapping
    from gseg_cli.annotate.review import review
    from gseg_cli.counted import counted
    from gseg_cli.gan.sample_set import SampleSet
    from gseg_cli.output import current_output
    from gseg_runtime.class_map import IGNORE
    from gseg_runtime.files import check_claim

    mapping = parse_mapping(maps or ())
    output, project = current_output(), open_project()
    if not invert:
        _check_no_invert(context, photos)
    folder = out or (project.annotations_dir if invert else project.labelled_dir)
    _refuse_clashes(source, folder, add, overwrite)
    if photos and scale > 1:
        raise UsageError("--scale only applies to samples", "draw on the photos themselves")
    with unpainted(project, folder):  # asked before the work, too
        if invert:
            check_free(folder, overwrite=overwrite, add=add)
        else:
            check_claim(folder, "labelled photos", overwrite=overwrite)
    how: dict[str, Any] = {
        "mapping": mapping,
        "unlabelled": IGNORE if unlabelled == "ignore" else 0,
        "line_width": line_width,
        "may_add": lambda new: yes or _confirmed(new, project.classes.names),
    }
    if photos and not invert:
        _write_photo_masks(source, photos, folder, leave_out or (), partial, overwrite, how)
        return
    sample_set: SampleSet | None = None
    fits: list[PhotoFit] = []
    if photos is None:
        sample_set = SampleSet.load(samples or project.samples_dir)
        kind, found = import_source(source, sample_set, project.classes, scale=scale, **how)
    else:
        options = {"leave_out": leave_out or (), "max_error": max_error, "space": space, "steps": steps, "fit": fit}
        kind, found, fits = _import_photos(
            source, photos, {**options, "class_index": class_index, "seed": seed}, device, partial, how
        )
    if found.annotations is None or (found.failures and not partial):
        _tell_that_nothing_was_written(found, found.annotations is not None, source)
        return
    before = annotated_names(folder) if overwrite or add else []
    replaced = replaced_photos(before, found.annotations)
    annotations, sheet = write_import(
        found.annotations, sample_set, project, folder, source=source, overwrite=overwrite, add=add
    )
    if fits:
        from gseg_cli.annotate.photos import write_fits

        sheet = write_fits(fits, annotations.classes, folder)
    lost = replaced if add else lost_by_overwriting(before, annotations)
    warnings = [*found.warnings, *lost, *review(annotations)]
    for warning in warnings:
        output.warn(warning)
    data = {
        "out": folder, "format": kind, "seeds": annotations.seeds, "pixels_per_class": annotations.pixels_per_class,
        "new_classes": annotations.classes.names[len(project.classes) :], "sheet": sheet,
        "photos": [_fit_facts(fit) for fit in fits], "warnings": warnings,
    }  # fmt: skip
    output.say(f"look at {sheet}")
    caption = f"{kind}: {counted(len(annotations.seeds), 'annotation')}"
    names, counts = annotations.classes.names, annotations.pixel_counts
    text = _table(names, counts, annotations.labels.size, "samples", caption)
    output.result(data, text, status="partial" if found.failures else "success", errors=_failures(found))
    output.say_next("fewshot-train")


def _check_no_invert(context: typer.Context, photos: Path | None) -> None:
    if photos is None:
        raise UsageError("--no-invert is about photos", "add --photos DIR")
    of_inversion = ("add", "samples", "scale", "max_error", "space", "steps", "fit", "class_index", "seed", "device")
    if idle := next((name for name in of_inversion if is_given(context, name)), None):
        name = "class" if idle == "class_index" else idle.replace("_", "-")
        raise UsageError(f"--{name} and --no-invert cannot be used together", "leave one of them out")


def _write_photo_masks(
    source: Path, photos: Path, out: Path, leave_out: Sequence[str], partial: bool, overwrite: bool, how: dict[str, Any]
) -> None:
    from gseg_cli.annotate.importing import unpainted
    from gseg_cli.annotate.photo_masks import check_photo_masks, lost, read_photo_masks, write_photo_masks
    from gseg_cli.annotate.review import review_classes
    from gseg_cli.counted import counted
    from gseg_cli.output import current_output

    output, project = current_output(), open_project()
    found = read_photo_masks(source, photos, project.classes, leave_out=leave_out, **how)
    if not found.maps or (found.failures and not partial):
        _tell_that_nothing_was_written(found, bool(found.maps), source)
        return
    toml = project.extended(found.classes)  # before anything is written, since it may not be possible
    names, counts = found.classes.names, found.pixel_counts
    doubts = review_classes(names, counts, "photo", found.names)
    warnings = [*found.warnings, *(lost(out, found) if overwrite else ()), *doubts]
    with unpainted(project, out):
        check_photo_masks(found, out, source=source, overwrite=overwrite)
        project.write_toml(toml)
        write_photo_masks(found, out, source=source)
    for warning in warnings:
        output.warn(warning)
    data = {
        "out": out, "format": found.kind, "photos": found.names, "classes": names,
        "pixels_per_class": dict(zip(names, counts.sum(axis=0).tolist(), strict=True)), "warnings": warnings,
    }  # fmt: skip
    pixels = sum(math.prod(packed.shape) for packed in found.maps.values())
    caption = f"{found.kind}: {counted(len(found.maps), 'labelled photo')}"
    status: Any = "partial" if found.failures else "success"
    output.result(data, _table(names, counts, pixels, "photos", caption), status=status, errors=_failures(found))
    output.say_next("student-train", out)


def _tell_that_nothing_was_written(found: "Import | PhotoMasks", has_good: bool, source: Path) -> None:
    from gseg_cli.output import current_output

    output = current_output()
    for warning in found.warnings:
        output.warn(warning)
    hint = "label one to ten samples, and export again"
    nothing_drawn = {"message": f"{source}: nothing is drawn on any picture", "hint": hint}
    output.result({}, status="error", errors=_failures(found) or [nothing_drawn])
    output.say("nothing was written" + ("; use --partial to import the good ones" if has_good else ""))


def _failures(found: "Import | PhotoMasks") -> list[dict[str, str | None]]:
    return [{"message": error.message, "hint": error.hint} for error in found.failures]


def _import_photos(
    source: Path, photos: Path, options: dict[str, Any], device: str, partial: bool, how: dict[str, Any]
) -> "tuple[str, Import, list[PhotoFit]]":
    from gseg_cli.annotate.photo_import import import_photos
    from gseg_cli.device import pick_device
    from gseg_cli.progress import progress

    project, chosen, where = open_project(), PhotoImportConfig(**options), pick_device(device)
    with progress("invert", "photos") as on_step:
        return import_photos(
            source, photos, project.gan_path, project.classes, chosen, where, partial=partial, on_step=on_step, **how
        )


def _fit_facts(fit: "PhotoFit") -> dict[str, Any]:
    return {"name": fit.photo.name, "error": fit.error, "distance": fit.distance, "left_out": fit.reason}


def _confirmed(new: Sequence[str], classes: Sequence[str]) -> bool:
    """Asks only where somebody can answer; else the unknown names become errors. What may be a typo is told first."""
    if settings.json or not sys.stdin.isatty():
        return False
    from gseg_cli.annotate.names import nearest_class
    from gseg_cli.output import current_output

    for name in new:
        if close := nearest_class(name, classes):
            mapping = f"{name}={close}"
            current_output().say(f"{name}: did you mean {close}? If so, answer no and use --map {mapping!r}")
    return typer.confirm(f"add {', '.join(new)} to gseg.toml as classes?", err=True)


def _refuse_clashes(source: Path, folder: Path, add: bool, overwrite: bool) -> None:
    """Of a source in the folder that is written a broken label map would be lost with --overwrite and --partial."""
    if add and overwrite:
        raise UsageError("--add and --overwrite cannot be used together", "give one of them")
    if source.resolve().is_relative_to(folder.resolve()):
        hint = "copy the label maps elsewhere, or choose another folder with -o"
        raise UsageError(f"{source}: lies inside the output folder {folder}", hint)


def _table(names: Sequence[str], counts: "Counts", pixels: int, noun: str, caption: str) -> "Table":
    """counts: of pixels, [pictures, classes]; pixels: of all pictures, ignored ones too."""
    from rich.table import Table

    table = Table("class", caption=caption)
    for title in ("pixels", "share", noun):
        table.add_column(title, justify="right")
    for name, column in zip(names, counts.T, strict=True):
        table.add_row(name, str(column.sum()), f"{column.sum() / pixels:.1%}", str((column > 0).sum()))
    ignored = pixels - counts.sum()
    table.add_section()
    table.add_row("ignored", str(ignored), f"{ignored / pixels:.1%}", "")
    return table
