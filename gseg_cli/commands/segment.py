"""gseg segment: folders of photos to folders of masks."""

import os
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.choices import Edges, Engine
from gseg_cli.options import FullNamesOpt, ModelOpt, OverwriteOpt, ResumeOpt, cache_path, open_project

if TYPE_CHECKING:
    from gseg_cli.fewshot.segment import PhotosReport
    from gseg_cli.output import Output, Status
    from gseg_runtime.folder import FolderReport, Progress
    from gseg_runtime.mask_folder import Failure
    from gseg_runtime.on_ray.engine import RayEngine
    from gseg_runtime.remote.parts import Row
    from gseg_runtime.segmenter import Segmenter

InferenceDeviceOpt = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|trt|openvino|triton://HOST/MODEL",
        help="Device, engine or server to run on; cuda:N and trt:N name one of several GPUs.",
    ),
]
BatchOpt = Annotated[
    int | None, typer.Option("--batch", min=1, help="Photos per inference.", show_default="chosen for the device")
]
WorkersOpt = Annotated[
    int | None, typer.Option("--workers", min=1, help="Photos worked on at once.", show_default="one per core")
]


def segment(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="IMAGES...",
            help="Photos, folders or quoted globs; - reads a list from stdin; or an address such as s3://BUCKET/PHOTOS.",
        ),
    ],
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="PATH", help="Folder to write to, or an address such as s3://...")
    ],
    model: ModelOpt = None,
    device: InferenceDeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
    full_names: FullNamesOpt = False,
    overlay: Annotated[
        bool, typer.Option("--overlay", help="Also write x.overlay.jpg, the photo in class colours.")
    ] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write x.confidence.png, how sure the model is, from 0 to 255.")
    ] = False,
    cutout: Annotated[
        bool, typer.Option("--cutout", help="Also write x.cutout.png, the parts of the photo on a transparent ground.")
    ] = False,
    binary: Annotated[
        bool, typer.Option("--binary", help="Also write x.binary-NAME.png, a black and white mask for each class.")
    ] = False,
    layers: Annotated[
        bool, typer.Option("--layers", help="Also write x.layer-NAME.png, a cut-out of each class alone.")
    ] = False,
    parts: Annotated[
        str | None,
        typer.Option(
            metavar="CLASSES",
            help="Which classes --cutout, --binary and --layers show, with commas between.",
            show_default="all but the background",
        ),
    ] = None,
    polygons: Annotated[
        bool,
        typer.Option("--polygons", help="Also write outlines: labelme/x.json to correct, and yolo/labels/x.txt."),
    ] = False,
    coco: Annotated[
        bool, typer.Option("--coco", help="Also write gseg-coco.json, all masks as COCO run lengths.")
    ] = False,
    instances: Annotated[
        bool,
        typer.Option("--instances", help="Also write gseg-instances.json, COCO with each connected part by itself."),
    ] = False,
    stats: Annotated[
        bool,
        typer.Option("--stats", help="Also write gseg-stats.csv, the pixels of each class and how sure the model is."),
    ] = False,
    failures: Annotated[
        bool, typer.Option("--failures", help="Also write gseg-failures.txt, which gseg segment - reads again.")
    ] = False,
    edges: Annotated[
        Edges | None,
        typer.Option(
            help="nearest enlarges labels, which is faster and leaves stairs; smooth enlarges logits; guided draws "
            "them to the edges of the photo.",
            show_default="smooth, if the model has logits",
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="PIXELS",
            help="Segment larger photos in overlapping tiles of so many pixels; needs a model with logits.",
            show_default="those that the model learned from, if it did",
        ),
    ] = None,
    base: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Arrange masks in OUT as their photos are arranged in DIR.")
    ] = None,
    null: Annotated[
        bool, typer.Option("--null", "-0", help="Split the list on stdin at null bytes, as find -print0 writes them.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="I/N",
            help="Segment every N-th photo from the I-th on (0 to N-1), to share a folder among N machines.",
        ),
    ] = None,
    fast_decode: Annotated[
        bool,
        typer.Option("--fast-decode", help="Decode JPEGs at reduced size: faster, but a few labels at edges differ."),
    ] = False,
    background: Annotated[
        str,
        typer.Option(metavar="COLOUR", help="What transparent areas are shown over, for instance white or #f8f8f8."),
    ] = "black",
    allow_truncated: Annotated[
        bool, typer.Option("--allow-truncated", help="Read files that end early as far as they go, with a warning.")
    ] = False,
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Refuse photos of more pixels.", show_default="Pillow's 179 million"),
    ] = None,
    batch: BatchOpt = None,
    workers: WorkersOpt = None,
    engine: Annotated[
        Engine, typer.Option(help="Who does the work: this process, or actors of Ray, on this machine or a cluster.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address of the Ray cluster: auto, HOST:PORT or ray://HOST:PORT.",
            show_default="a new one on this machine",
        ),
    ] = None,
    actors: Annotated[
        str | None,
        typer.Option(metavar="MIN:MAX", help="Least and largest number of Ray actors.", show_default="2:64"),
    ] = None,
) -> None:
    """Segment photos with an exported model.

    Writes an indexed PNG per photo, as large as the photo, and a report. Photos that cannot be read are reported, and
    the others are segmented all the same.
    """
    from gseg_cli.commands.segment_words import (
        check_one_source,
        parse_background,
        parse_parts,
        parse_shard,
        read_sources,
    )
    from gseg_cli.interruption import sigterm_as_ctrl_c
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.steps import Step
    from gseg_cli.streams import open_closed_streams, unheard
    from gseg_runtime.remote.address import is_address, without_credentials

    def on_image(state: "Progress") -> None:
        with unheard():
            if state.entry.remark:
                output.warn(f"{state.entry.input}: {state.entry.remark}")
            on_step(Step(state.done, state.total))

    def on_rows(done: int, rows: "list[Row]") -> None:
        with unheard():
            for row in rows:
                if row.remark:
                    output.warn(f"{row.key}: {row.remark}")
            on_step(Step(done, 0))

    open_closed_streams()
    output = current_output()
    shard_numbers, ground, shown = parse_shard(shard), parse_background(background), parse_parts(parts)
    ray = _ray_engine(engine, model, device, batch, address, actors)
    is_remote = ray is not None or any(map(is_address, (*images, out)))
    if is_remote:
        check_one_source(images, base, null=null)
    sources = [] if is_remote else read_sources(images, base, null=null)
    loaded = load_segmenter(model, "cpu" if ray else device, None if ray else batch)
    with loaded as segmenter, progress("segment", "images") as on_step, sigterm_as_ctrl_c():
        with unheard():
            output.say(f"device: {ray or segmenter.device}" + (f" ({segmenter.why})" if segmenter.why else ""))
        into = (
            partial(segmenter.segment_remote, images[0], out, engine=ray, on_rows=on_rows, warn=output.warn)
            if is_remote
            else partial(segmenter.segment_files, sources, out, on_image=on_image, sheet=True)
        )
        report = into(
            overwrite=overwrite,
            resume=resume,
            full_names=full_names,
            overlay=overlay,
            confidence=confidence,
            cutout=cutout,
            binary=binary,
            layers=layers,
            parts=shown,
            polygons=polygons,
            coco=coco,
            instances=instances,
            stats=stats,
            failures=failures,
            edges=edges,
            tile=tile,
            shard=shard_numbers,
            fast_decode=fast_decode,
            background=ground,
            allow_truncated=allow_truncated,
            max_pixels=max_pixels,
            workers=workers,
        )
    with unheard():
        _show(output, report, without_credentials(out) if is_address(out) else os.fspath(Path(out)))
        sys.stdout.flush()


def _ray_engine(
    engine: str, model: Path | None, device: str, batch: int | None, address: str | None, actors: str | None
) -> "RayEngine | None":
    """None for this process itself."""
    from gseg_cli.output import current_output
    from gseg_runtime.errors import UsageError

    if engine == "local":
        if address or actors:
            raise UsageError(f"{'--address' if address else '--actors'} is about Ray", "add --engine ray")
        return None
    from gseg_cli.commands.segment_words import parse_actors
    from gseg_runtime.on_ray.engine import RayEngine

    path, say = model or _project_model(), current_output().say
    return RayEngine(path, device, batch, address=address, actors=parse_actors(actors or "2:64"), say=say)


def load_segmenter(model: Path | None, device: str, batch: int | None) -> "Segmenter":
    """The model given, else the project's; one on a server where the device is one."""
    from gseg_runtime.backends.triton import is_triton
    from gseg_runtime.errors import UsageError
    from gseg_runtime.segmenter import Segmenter

    if is_triton(device):
        if model:
            raise UsageError(f"--device {device} names the model on the server", "leave out --model")
        return Segmenter.connect(device, batch=batch)

    return Segmenter.load(model or _project_model(), device, batch=batch, cache=cache_path("tensorrt"))


def _project_model() -> Path:
    from gseg_runtime.errors import ProjectError

    hint = "name one with --model FILE, or run gseg export in a project"
    try:
        path = open_project().exports_dir / "model.onnx"
    except ProjectError as error:
        raise ProjectError(error.message, hint) from error
    if not path.is_file():
        raise ProjectError(f"{path}: no exported model in this project", hint)
    return path


def _show(output: "Output", report: "FolderReport", out: str) -> None:
    from gseg_runtime.sheet import NUM_PHOTOS, SHEET
    from gseg_runtime.sources import passed_over_text

    passed_over = passed_over_text(report.passed_over)
    sheet = Path(out, SHEET)
    if report.done and sheet.is_file():
        is_all = report.done + report.skipped + report.failed <= NUM_PHOTOS
        doubtful = ", and those the model is least sure of" if report.least_sure and not is_all else ""
        output.say(f"look at {sheet}: {'the' if is_all else 'some of the'} photos beside their masks{doubtful}")
    text = f"{out}: {masks_in(report)}, {report.images_per_second:.4g} images/s"
    text += f"; {passed_over}" if passed_over else ""
    errors = list(_failed(report.failures))
    output.result({"out": out, **report.to_json()}, text, status=status_of(report), errors=errors)


def _failed(failures: Iterable["Failure"]) -> Iterator[dict[str, str | None]]:
    """What is said of each; a hint once."""
    from gseg_runtime.pillow import is_too_large
    from gseg_runtime.truncated import is_truncated

    hints = {
        is_truncated: "add --allow-truncated to read such files as far as they go",
        is_too_large: "a larger --max-pixels lets such photos in; count on 16 bytes of memory per pixel",
    }
    for failure in failures:
        kind = next((kind for kind in hints if kind(failure.reason)), None)
        hint = hints.pop(kind) if kind else None
        yield {"message": f"{failure.path}: {failure.reason}", "hint": hint}


def masks_in(report: "FolderReport | PhotosReport") -> str:
    """In words, how many there are and how many are not."""
    from gseg_cli.counted import counted

    earlier = f", {report.skipped} were there already" if report.skipped else ""
    failed = f", {report.failed} failed" if report.failed else ""
    return counted(report.done, "mask") + earlier + failed


def status_of(report: "FolderReport | PhotosReport") -> "Status":
    if not report.failed:
        return "success"
    return "partial" if report.done + report.skipped else "error"
