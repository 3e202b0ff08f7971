"""gseg student-train: a student from labelled photos alone."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gseg_cli.distill.config import (
    MOST_STEPS,
    PRETRAINED_STEPS,
    STEPS_PER_PHOTO,
    SUPERVISED_PRETRAINED_SIZE,
    SUPERVISED_SIZE,
    AugmentConfig,
    DistillConfig,
    StudentConfig,
    configure_supervised,
)
from gseg_cli.options import (
    BackgroundOpt,
    ColourOpt,
    DeviceOpt,
    GeometryOpt,
    LossOpt,
    MinutesOpt,
    MirrorOpt,
    ResumeRunOpt,
    RunsOpt,
    SeedOpt,
    StudentOpt,
    export_words,
    is_given,
    open_project,
    precision_trials,
    project_dir,
    with_usual_student,
)

if TYPE_CHECKING:
    import torch
    from rich.table import Table

    from gseg_cli.distill.held_out import HeldOut
    from gseg_cli.distill.supervised import SupervisedStudent
    from gseg_cli.output import Output
    from gseg_runtime.class_map import ClassMap


def student_train(
    context: typer.Context,
    labelled: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Labelled photos: DIR/images, and label PNGs of their names in DIR/masks."),
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Class names with commas between, in the order of the masks' values, or a file as for init.",
            show_default="those of DIR/dataset.json, else the project's",
        ),
    ] = None,
    student: StudentOpt = None,
    input_size: Annotated[
        int | None,
        typer.Option(
            min=8,
            help="Side of the pictures it learns from, in pixels; photos are shrunk to it.",
            show_default=f"{SUPERVISED_SIZE}; of lite0 {SUPERVISED_PRETRAINED_SIZE}",
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PIXELS",
            help="Learn from overlapping tiles of so many pixels of each photo, not from whole ones; gseg segment then "
            "looks at such tiles.",
        ),
    ] = None,
    loss: LossOpt = DistillConfig.loss,
    steps: Annotated[
        int,
        typer.Option(
            min=1,
            help="Number of training steps.",
            show_default=f"{DistillConfig.steps}; of lite0 {STEPS_PER_PHOTO} for each photo, {PRETRAINED_STEPS} to "
            f"{MOST_STEPS}",
        ),
    ] = DistillConfig.steps,
    minutes: MinutesOpt = DistillConfig.minutes,
    batch: Annotated[int, typer.Option(min=2, help="Photos per training step.")] = DistillConfig.batch,
    geometry: GeometryOpt = "aligned",
    mirror: MirrorOpt = AugmentConfig.mirror,
    colour: ColourOpt = AugmentConfig.colour,
    background: BackgroundOpt = AugmentConfig.background,
    held_out: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of photos to measure the student on, not to train it on.")
    ] = 0,
    resume: ResumeRunOpt = False,
    runs: RunsOpt = None,
    seed: SeedOpt = DistillConfig.seed,
    device: DeviceOpt = "auto",
) -> None:
    """Train a student on labelled photos alone, without a GAN.

    For whoever has labelled photos instead of samples. Writes the student to runs/NNNN-student/, for gseg export.
    """
    options = {
        "student": student, "input_size": input_size, "loss": loss, "steps": steps, "minutes": minutes, "batch": batch,
        "geometry": geometry, "mirror": mirror, "colour": colour, "background": background, "seed": seed,
        "labelled": str(labelled.absolute()), "tile": tile, "held_out": held_out,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if is_given(context, name)}
    about_usual = None if resume or student else with_usual_student(given)
    configure_supervised(given)  # before anything takes time

    from gseg_cli.device import pick_device
    from gseg_cli.distill.labelled_photos import about_labelled
    from gseg_cli.distill.supervised import resume_student_train, run_student_train
    from gseg_cli.memory import keep_freed_memory
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.project_file import parse_classes
    from gseg_cli.threads import SharedCores

    keep_freed_memory()
    out, where, runs = current_output(), pick_device(device), runs or project_dir() / "runs"
    for warning in about_labelled(labelled):
        out.warn(warning)
    with progress("student-train", "steps") as on_step:
        on_step = SharedCores(where, out.say).watched(on_step)
        if resume:
            named = parse_classes(classes, of_masks=True) if classes else None
            trained = resume_student_train(given, runs, where, named=named, say=out.say, on_step=on_step)
        else:
            out.say(about_usual or f"student: {student}")
            named = _classes(labelled, classes)
            config = _settled(given, labelled, held_out, where)
            trained = run_student_train(named, config, runs, where, held_out=held_out, say=out.say, on_step=on_step)
    _show(out, trained)
    out.say_next(*export_words(trained.checkpoint))


def _settled(given: Mapping[str, Any], labelled: Path, held_out: int, where: "torch.device") -> StudentConfig:
    """Of a new run, with what is usual for these photos and quickest here; warns of parts that are too thin for it."""
    from gseg_cli.distill.labelled_photos import labelled_photos
    from gseg_cli.distill.precision import settle_precision
    from gseg_cli.distill.thin_parts import about_thin_parts
    from gseg_cli.output import current_output

    config = configure_supervised(given, num_photos=len(labelled_photos(labelled)) - held_out)
    side = config.train.input_size
    assert side  # `configure_supervised` sets it
    for warning in [] if config.tile else about_thin_parts(labelled, side):
        current_output().warn(warning)
    return settle_precision(config, side, where, precision_trials(), current_output().say)


def _show(out: "Output", trained: "SupervisedStudent") -> None:
    from rich.console import Group

    from gseg_cli.counted import counted

    text = f"{trained.checkpoint}: trained on {counted(trained.photos, 'labelled photo')}"
    if (measured := trained.held_out) is None:
        out.result(asdict(trained), text)
    else:
        out.result(asdict(trained), Group(_table(measured), f"{text}, measured on {counted(measured.photos, 'other')}"))
        out.say("train again without --held-out, so that it learns from all of them")


def _table(held_out: "HeldOut") -> "Table":
    from rich.table import Table

    table = Table("class")
    table.add_column("IoU", justify="right")
    for name, iou in held_out.per_class_iou.items():
        table.add_row(name, f"{iou:.3f}")
    table.add_section()
    table.add_row("mean", f"{held_out.miou:.3f}")
    return table


def _classes(labelled: Path, given: str | None) -> "ClassMap":
    """As named on the command line, else by the folder, else by the project."""
    from gseg_cli.distill.labelled_photos import classes_of
    from gseg_cli.output import current_output
    from gseg_cli.project_file import parse_classes
    from gseg_runtime.errors import ProjectError

    own = classes_of(labelled)
    if given:
        named = parse_classes(given, of_masks=True)
        if not own:  # else it says what the values mean, whatever the order of `named`
            values = ", ".join(f"{index} {name}" for index, name in enumerate(named.names))
            current_output().say(f"values of the masks: {values}")
        return named
    if own:
        return own
    try:
        return open_project().classes
    except ProjectError as error:
        message = f"{labelled}: nothing names the classes of its masks"
        raise ProjectError(message, "give --classes 'background,eyes,mouth', or -C with a project's folder") from error
