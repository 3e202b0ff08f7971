"""gseg export: a student checkpoint, or a model exported before, to a file that runs without PyTorch."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.options import OverwriteOpt, SeedOpt, is_given, open_project

if TYPE_CHECKING:
    from gseg_export.engine_file import Toolchain
    from gseg_export.exported import Exported
    from gseg_export.precision import Precision
    from gseg_export.to_engine import OnPercent
    from gseg_runtime.errors import UsageError


def export(
    context: typer.Context,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SOURCE]",
            help="Student checkpoint, or an exported .onnx to convert.",
            show_default="the project's newest student",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="File to write.", show_default="in exports/, or beside an .onnx"),
    ] = None,
    fp16: Annotated[bool, typer.Option("--fp16", help="Convert to half precision, for GPUs.")] = False,
    int8: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Quantize to 8 bits, calibrated on the photos in DIR; for CPUs, or with --trt."
        ),
    ] = None,
    trt: Annotated[bool, typer.Option("--trt", help="Build a TensorRT engine for this machine's GPU.")] = False,
    portable: Annotated[
        bool,
        typer.Option("--portable", help="With --trt: an engine for other GPUs and later versions of TensorRT, too."),
    ] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also output the probability of each label.")
    ] = False,
    logits: Annotated[
        bool,
        typer.Option(help="Also output the logits of all classes, for smooth edges and --tile."),
    ] = True,
    batch: Annotated[int, typer.Option(min=1, max=1024, help="With --trt or --triton: most pictures in a batch.")] = 32,
    triton: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Triton model repository to add the model to.")
    ] = None,
    web: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for a page that runs the model in the browser.")
    ] = None,
    verify: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photos to compare the labels of export and source on.",
            show_default="held-out pairs, else other photos of --int8, else made-up pictures",
        ),
    ] = None,
    unverified: Annotated[
        bool,
        typer.Option("--unverified", help="With --trt and TensorRT-RTX: build without a GPU, and compare nothing."),
    ] = False,
    overwrite: OverwriteOpt = False,
    seed: SeedOpt = 0,
) -> None:
    """Export a student to ONNX or TensorRT.

    The file is written only if it labels pictures as its source does.
    """
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.steps import Step
    from gseg_export.export import Options

    _check_flags(fp16, int8, trt, is_given(context, "batch"), triton, unverified, portable, web)
    precision: Precision = "fp16" if fp16 else "int8" if int8 else "fp32"
    source = source or open_project().latest_checkpoint("distill", "student")
    is_model = source.suffix.lower() == ".onnx"
    if is_model and (confidence or is_given(context, "logits")):
        raise _other_outputs(source)
    if is_model and precision == "fp32" and not trt:
        _check_unconverted(out, verify, triton, web)
    out = out or _default_out(source, precision, trt)
    options = Options(
        precision=precision, calibration=int8, verify=verify, seed=seed, batch=batch, triton=triton, web=web,
        overwrite=overwrite,
    )  # fmt: skip
    names = ["labels", *["confidence"] * confidence, *["logits"] * logits]
    output = current_output()
    with progress("building the engine", "percent") as on_step:
        toolchain = _toolchain(unverified, portable, lambda percent: on_step(Step(percent, 100))) if trt else None
        if is_model:
            from gseg_export.export import export_model

            written = export_model(source, out, options, toolchain)
        else:
            from gseg_cli.distill.deploy import export_student

            written = export_student(source, out, options, outputs=names, toolchain=toolchain, say=output.say)
    from_checkpoint = {} if is_model else {"checkpoint": source}
    output.result({**written.to_json(), **from_checkpoint}, _summary(written))
    if not (triton or web):
        output.say_next("segment", "PHOTOS", "-o", "masks", "--model", written.model)


def _check_flags(
    fp16: bool,
    int8: Path | None,
    trt: bool,
    has_batch: bool,
    triton: Path | None,
    unverified: bool,
    portable: bool,
    web: Path | None,
) -> None:
    from gseg_runtime.errors import UsageError

    if fp16 and int8:
        raise UsageError("--fp16 and --int8 cannot be used together", "give one of them")
    if has_batch and not (trt or triton):
        raise UsageError("--batch only applies to --trt and --triton", "a model.onnx takes any batch")
    if web and trt:
        raise UsageError("--web and --trt cannot be used together", "browsers run no engines: leave out --trt")
    if portable and not trt:
        raise UsageError("--portable only applies to --trt", "a model.onnx runs everywhere")
    if unverified and not trt:
        raise UsageError("--unverified only applies to --trt", "a model.onnx is always verified")


def _check_unconverted(out: Path | None, verify: Path | None, triton: Path | None, web: Path | None) -> None:
    """UsageError for what would be ignored of a model that is only put somewhere else."""
    from gseg_runtime.errors import UsageError

    hint = "leave it out, or convert the model with --fp16, --int8 DIR or --trt"
    if verify and (triton or web):
        raise UsageError("--verify: the model stays as it is, so there is nothing to verify", hint)
    if out and web and not triton:
        raise UsageError(f"{out}: the model stays as it is, and --web gives it a name of its own", hint)


def _other_outputs(source: Path) -> "UsageError":
    from gseg_runtime.errors import UsageError

    return UsageError(
        "--confidence, --logits and --no-logits change the network", f"export the checkpoint again, not {source}"
    )


def _default_out(source: Path, precision: str, trt: bool) -> Path:
    """exports/model-int8.engine, or the like beside the model it is made of."""
    kind = "" if precision == "fp32" else f"-{precision}"
    ending = f"{kind}{'.engine' if trt else '.onnx'}"
    if source.suffix.lower() == ".onnx":
        return source.with_name(source.stem + ending)
    return _exports_dir() / f"model{ending}"


def _toolchain(unverified: bool, portable: bool, on_step: "OnPercent") -> "Toolchain":
    from gseg_export.engine_file import find_toolchain

    return find_toolchain(unverified=unverified, portable=portable, on_step=on_step)


def _summary(written: "Exported") -> str:
    text = f"{written.model}: {written.bytes / 1e6:.1f} MB, {written.precision}"
    if written.proof:
        proof = written.proof
        text += f", {written.label_agreement:.4%} of the pixels of {proof.counted} labelled as by {proof.judge}"
    elif written.is_verified is False:
        text += ", NOT verified: there is no GPU to run it on"
    if written.web:
        runtime = f"npm install --prefix {written.web} onnxruntime-web"
        text += f"\n{written.web}: a page that runs it; its runtime comes by {runtime}"
    return f"{text}\n{written.triton}: a Triton model repository" if written.triton else text


def _exports_dir() -> Path:
    from gseg_runtime.errors import ProjectError

    try:
        return open_project().exports_dir
    except ProjectError as error:
        raise ProjectError(error.message, "use -o FILE.onnx to name the output file, or run it in a project") from error
