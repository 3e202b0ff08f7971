"""gseg segment: folders of photos to folders of masks."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.options import DeviceOpt, ModelOpt, OutOpt, OverwriteOpt, ResumeOpt, open_project

if TYPE_CHECKING:
    from gseg_cli.output import Output, Status
    from gseg_runtime.folder import FolderReport


def segment(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGES...", help="Photos and folders of photos.")],
    out: OutOpt,
    model: ModelOpt = None,
    device: DeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    full_names: Annotated[bool, typer.Option("--full-names", help="Write x.jpg.png instead of x.png.")] = False,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; without it one per core.")] = None,
) -> None:
    """Segment photos with an exported model: one indexed PNG per photo, at the photo's size."""
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.steps import Step
    from gseg_runtime.segmenter import Segmenter

    output = current_output()
    with Segmenter.load(model or _project_model(), device) as segmenter, progress("segment", "images") as on_step:
        output.say(f"device: {segmenter.device}" + (f" ({segmenter.why})" if segmenter.why else ""))
        report = segmenter.segment_files(
            images,
            out,
            on_image=lambda state: on_step(Step(state.done, state.total)),
            overwrite=overwrite,
            resume=resume,
            full_names=full_names,
            workers=workers,
        )
    _show(output, report, out)


def _project_model() -> Path:
    from gseg_runtime.errors import ProjectError

    hint = "--model FILE names the model; gseg export makes one in a project"
    try:
        path = open_project().exports_dir / "model.onnx"
    except ProjectError as error:
        raise ProjectError(error.message, hint) from error
    if not path.is_file():
        raise ProjectError(f"{path}: no exported model in this project", hint)
    return path


def _show(output: "Output", report: "FolderReport", out: Path) -> None:
    earlier = f", {report.skipped} were there already" if report.skipped else ""
    failed = f", {report.failed} failed" if report.failed else ""
    text = f"{out}: {report.done} masks{earlier}{failed}, {report.images_per_second:.4g} images/s"
    errors = [{"message": f"{failure.path}: {failure.reason}", "hint": None} for failure in report.failures]
    output.result({"out": out, **report.to_json()}, text, status=_status(report), errors=errors)


def _status(report: "FolderReport") -> "Status":
    if not report.failed:
        return "success"
    return "partial" if report.done + report.skipped else "error"
