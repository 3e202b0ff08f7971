"""gseg fewshot-segment: the teacher on real photos, by way of their latents."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.choices import Fit, Space
from gseg_cli.options import DeviceOpt, GanOpt, OutOpt, OverwriteOpt, ResumeOpt, SeedOpt, find_gan, open_project

if TYPE_CHECKING:
    from gseg_cli.fewshot.segment import PhotosReport
    from gseg_cli.output import Status

SpaceOpt = Annotated[
    Space, typer.Option(help="w: one latent per photo; w+: one per layer; f: w+ and a change of the coarse features.")
]
StepsOpt = Annotated[int, typer.Option(min=1, help="Steps of the optimisation.")]
FitOpt = Annotated[
    Fit, typer.Option(help="letterbox: all of the photo; crop: its middle, as gan-train; the rest of the mask is 255.")
]
LpipsOpt = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Weights of VGG16, to compare by LPIPS and not by the GAN's discriminator."),
]


def fewshot_segment(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTOS...", help="Photos, folders, globs in quotes; framed as the GAN's.")
    ],
    out: OutOpt,
    gan: GanOpt = None,
    teacher: Annotated[Path | None, typer.Option(help="Teacher checkpoint, else the project's newest one.")] = None,
    space: SpaceOpt = "f",
    steps: StepsOpt = 200,
    noise: Annotated[bool, typer.Option(help="Optimise the GAN's noise maps too.")] = True,
    fit: FitOpt = "letterbox",
    lpips: LpipsOpt = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Photos at once; without it what suits the GAN.")] = None,
    full_names: Annotated[bool, typer.Option("--full-names", help="Write x.jpg.png instead of x.png.")] = False,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    seed: SeedOpt = 0,
    device: DeviceOpt = "auto",
) -> None:
    """Segment photos with the teacher itself: slow, and without a student. Also shows how the GAN sees each photo."""
    from gseg_cli.device import pick_device
    from gseg_cli.fewshot.segment import PhotoSegmentOptions
    from gseg_cli.fewshot.start_segment import load_photo_segmenter
    from gseg_cli.gan.inversion.invert import InvertConfig
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_runtime.sources import Source

    config = InvertConfig(space=space, steps=steps, noise=noise)
    options = PhotoSegmentOptions(fit=fit, batch=batch, overwrite=overwrite, resume=resume, full_names=full_names)
    gan_path = find_gan(gan)
    teacher = teacher or open_project().latest_run("fewshot") / "checkpoint.safetensors"
    current_output().say("drawing samples to compare with")
    segmenter = load_photo_segmenter(gan_path, teacher, config, pick_device(device), seed=seed, lpips=lpips)
    with progress("fewshot-segment", "photos") as on_step:
        report = segmenter.segment([Source(Path(text)) for text in photos], out, options, on_step)
    _show(report, out)


def _show(report: "PhotosReport", out: Path) -> None:
    from dataclasses import asdict

    from gseg_cli.fewshot.segment_files import SHEET, TABLE
    from gseg_cli.output import current_output

    output = current_output()
    for path in report.far:
        output.warn(f"{path}: unlike what the GAN draws, so its mask may be worth nothing")
    errors = [{"message": f"{f['path']}: {f['reason']}", "hint": None} for f in report.failures]
    earlier = f", {report.skipped} were there already" if report.skipped else ""
    failed = f", {report.failed} failed" if report.failed else ""
    is_any_good = report.done or report.skipped
    if is_any_good:
        output.say(f"look at {out / SHEET}")
    status: Status = ("partial" if is_any_good else "error") if report.failed else "success"
    data = {"out": out, "sheet": out / SHEET, "table": out / TABLE, **asdict(report)}
    output.result(data, f"{out}: {report.done} masks{earlier}{failed}", status=status, errors=errors)
