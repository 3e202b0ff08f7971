"""gseg segment: folders of photos to folders of masks."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.options import ModelOpt, OutOpt, OverwriteOpt, ResumeOpt, open_project

if TYPE_CHECKING:
    from gseg_cli.output import Output, Status
    from gseg_runtime.folder import FolderReport
    from gseg_runtime.segmenter import Segmenter
    from gseg_runtime.sources import Source

InferenceDeviceOpt = Annotated[
    str, typer.Option("--device", help="auto, cpu, cuda, trt (cuda:N, trt:N for one of several), or openvino.")
]
BatchOpt = Annotated[
    int | None, typer.Option("--batch", min=1, help="Photos in the engine at once; without it what suits the device.")
]


def segment(
    images: Annotated[
        list[str], typer.Argument(metavar="IMAGES...", help="Photos, folders, globs in quotes; - for a list on stdin.")
    ],
    out: OutOpt,
    model: ModelOpt = None,
    device: InferenceDeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    full_names: Annotated[bool, typer.Option("--full-names", help="Write x.jpg.png instead of x.png.")] = False,
    overlay: Annotated[bool, typer.Option("--overlay", help="Also x.overlay.jpg: the photo in class colours.")] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also x.confidence.png: how sure the model is, in 255ths.")
    ] = False,
    coco: Annotated[bool, typer.Option("--coco", help="Also gseg-coco.json: all masks as COCO run lengths.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Also gseg-stats.csv: pixels of each class.")] = False,
    base: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Masks lie in OUT as their photos lie below DIR.")
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Names on stdin end in null bytes, as by find -print0.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Every N-th photo from the I-th on (0 to N-1), for N machines.")
    ] = None,
    fast_decode: Annotated[
        bool, typer.Option("--fast-decode", help="Decode JPEGs smaller: faster, a few labels at edges differ.")
    ] = False,
    batch: BatchOpt = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Threads; without it one per core.")] = None,
) -> None:
    """Segment photos with an exported model: one indexed PNG per photo, at the photo's size."""
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.steps import Step

    output = current_output()
    shard_numbers = _parse_shard(shard)
    sources = _sources(images, base, null=null)
    with load_segmenter(model, device, batch) as segmenter, progress("segment", "images") as on_step:
        output.say(f"device: {segmenter.device}" + (f" ({segmenter.why})" if segmenter.why else ""))
        report = segmenter.segment_files(
            sources,
            out,
            on_image=lambda state: on_step(Step(state.done, state.total)),
            overwrite=overwrite,
            resume=resume,
            full_names=full_names,
            overlay=overlay,
            confidence=confidence,
            coco=coco,
            stats=stats,
            shard=shard_numbers,
            fast_decode=fast_decode,
            workers=workers,
        )
    _show(output, report, out)


def load_segmenter(model: Path | None, device: str, batch: int | None) -> "Segmenter":
    """The model given, else the project's."""
    from gseg_runtime.segmenter import Segmenter

    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gseg" / "tensorrt"
    return Segmenter.load(model or _project_model(), device, batch=batch, cache=cache)


def _sources(images: list[str], base: Path | None, *, null: bool) -> "list[Source]":
    from gseg_runtime.errors import UsageError
    from gseg_runtime.sources import Source, read_list

    if null and "-" not in images:
        raise UsageError("--null is about a list on stdin", "give - in place of IMAGES to read one")
    sources: list[Source] = []
    for text in images:
        if text == "-":
            sources += read_list(sys.stdin.buffer.read(), null=null, base=base)
        else:
            sources.append(Source(Path(text), base))
    return sources


def _parse_shard(text: str | None) -> tuple[int, int]:
    from gseg_runtime.errors import UsageError

    index, _, count = (text or "0/1").partition("/")
    if not (index.isdecimal() and count.isdecimal()):
        raise UsageError(f"--shard: expected I/N, for instance 0/8, got {text}")
    return int(index), int(count)


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
