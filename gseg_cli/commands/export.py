"""gseg export: a student checkpoint to a model file that runs without PyTorch."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import OverwriteOpt, SeedOpt, open_project


def export(
    checkpoint: Annotated[
        Path | None,
        typer.Argument(metavar="[CHECKPOINT]", help="Student, else the project's newest."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; without it the project's exports/model.onnx.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Photos to verify on; without it made-up pictures.")
    ] = None,
    overwrite: OverwriteOpt = False,
    seed: SeedOpt = 0,
) -> None:
    """Export a student to ONNX, verified against PyTorch."""
    from gseg_cli.distill.deploy import export_student
    from gseg_cli.output import current_output

    output = current_output()
    written = export_student(
        checkpoint or _latest_student(), out or _project_model(), verify, overwrite=overwrite, seed=seed, say=output.say
    )
    agreement, count, megabytes = written["label_agreement"], written["num_verified"], written["bytes"] / 1e6
    text = f"{written['model']}: {megabytes:.1f} MB, {agreement:.4%} of {count} pictures labelled as by PyTorch"
    output.result(written, text)


def _latest_student() -> Path:
    from gseg_cli.runs import CHECKPOINT

    return open_project().latest_run("distill") / CHECKPOINT


def _project_model() -> Path:
    from gseg_runtime.errors import ProjectError

    try:
        return open_project().exports_dir / "model.onnx"
    except ProjectError as error:
        raise ProjectError(
            error.message, "-o FILE.onnx names the file to write; without it a project is needed"
        ) from error
