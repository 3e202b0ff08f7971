"""gseg fewshot-segment: the teacher on real photos, by way of their latents."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.choices import Fit, Space
from gseg_cli.commands.segment import masks_in, status_of
from gseg_cli.fewshot.segment_config import PhotoSegmentConfig
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.options import (
    DeviceOpt,
    FullNamesOpt,
    GanOpt,
    OutOpt,
    OverwriteOpt,
    ResumeOpt,
    SeedOpt,
    TeacherOpt,
    find_gan,
    find_teacher,
)

if TYPE_CHECKING:
    from gseg_cli.fewshot.segment import PhotosReport


def fewshot_segment(
    photos: Annotated[
        list[str],
        typer.Argument(metavar="PHOTOS...", help="Photos, folders or quoted globs; framed like the GAN's images."),
    ],
    out: OutOpt,
    gan: GanOpt = None,
    teacher: TeacherOpt = None,
    space: Annotated[
        Space,
        typer.Option(
            help="Latents to search for: one per photo (w), one per layer (w+), or w+ and changed coarse features (f)."
        ),
    ] = InvertConfig.space,
    steps: Annotated[int, typer.Option(min=1, help="Optimisation steps per photo.")] = InvertConfig.steps,
    noise: Annotated[bool, typer.Option(help="Optimise the GAN's noise maps too.")] = InvertConfig.noise,
    fit: Annotated[
        Fit,
        typer.Option(help="Pad photos to a square (letterbox), or segment their centre square only (crop)."),
    ] = PhotoSegmentConfig.fit,
    lpips: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Weights of VGG16, to compare images by LPIPS instead of by the GAN's discriminator."
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Number of photos at once.", show_default="chosen for GAN and device"),
    ] = PhotoSegmentConfig.batch,
    full_names: FullNamesOpt = False,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    seed: SeedOpt = 0,
    device: DeviceOpt = "auto",
) -> None:
    """Segment photos with the teacher, without a student.

    This is slow: each photo's latents are found by optimisation. Writes a mask and the GAN's version of every photo.
    """
    config = InvertConfig(space=space, steps=steps, noise=noise)
    options = PhotoSegmentConfig(fit=fit, batch=batch, overwrite=overwrite, resume=resume, full_names=full_names)

    from gseg_cli.device import pick_device
    from gseg_cli.fewshot.segment_stage import run_fewshot_segment
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_runtime.sources import Source

    gan_path = find_gan(gan)
    teacher = find_teacher(teacher)
    sources = [Source(Path(text)) for text in photos]
    with progress("fewshot-segment", "photos") as on_step:
        report = run_fewshot_segment(
            sources, out, gan_path, teacher, config, options, pick_device(device),
            seed=seed, lpips=lpips, say=current_output().say, on_step=on_step,
        )  # fmt: skip
    _show(report, out)


def _show(report: "PhotosReport", out: Path) -> None:
    from gseg_cli.fewshot.segment_files import SHEET, TABLE
    from gseg_cli.output import current_output

    output = current_output()
    for path in report.far:
        output.warn(f"{path}: unlike what the GAN draws, so its mask may be useless")
    errors = [{"message": f"{failure.path}: {failure.reason}", "hint": None} for failure in report.failures]
    if report.done or report.skipped:
        output.say(f"look at {out / SHEET}")
    data = {"out": out, "sheet": out / SHEET, "table": out / TABLE, **asdict(report)}
    output.result(data, f"{out}: {masks_in(report)}", status=status_of(report), errors=errors)
