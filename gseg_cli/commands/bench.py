"""gseg bench: how fast a model segments photos on this machine, and what holds it back."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.commands.segment import BatchOpt, InferenceDeviceOpt, WorkersOpt, load_segmenter
from gseg_cli.options import ModelOpt

if TYPE_CHECKING:
    from rich.table import Table

    from gseg_runtime.bench import Bench


def bench(
    model: ModelOpt = None,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of photos.", show_default="generated ones of one megapixel"),
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Number of photos to use.")] = 40,
    seconds: Annotated[
        float, typer.Option(min=0, help="Approximate length of each run on all cores, in seconds.")
    ] = 5.0,
    device: InferenceDeviceOpt = "auto",
    batch: BatchOpt = None,
    workers: WorkersOpt = None,
) -> None:
    """Measure how fast a model segments photos on this machine.

    Times decoding, inference and encoding separately, the engine alone, and a whole folder of photos.
    """
    from gseg_cli.output import current_output
    from gseg_runtime.bench import run_bench

    output = current_output()
    with load_segmenter(model, device, batch) as segmenter:
        output.say(f"device: {segmenter.device}" + (f" ({segmenter.why})" if segmenter.why else ""))
        result = run_bench(segmenter, photos, count, seconds=seconds, workers=workers)
    output.result(result.to_json(), _table(result))


def _table(result: "Bench") -> "Table":
    from rich.table import Table

    from gseg_cli.counted import counted

    per_photo = "CPU ms per photo" if result.batch == 1 else "ms per photo"
    photos = counted(result.images, "photo")
    table = Table(title=f"{photos} of {result.megapixels:.2g} megapixels, {counted(result.workers, 'thread')}")
    for name in ("", per_photo, "photos/s", "folder / this"):
        table.add_column(name, justify="right" if name else "left")
    for name, milliseconds in (
        ("decode and letterbox", result.decode_ms),
        ("infer", result.infer_ms),
        ("encode and write", result.encode_ms),
    ):
        table.add_row(name, f"{milliseconds:.2f}", "", "")
    table.add_row("what these allow", "", f"{result.ceiling:.1f}", f"{result.of_ceiling:.2f}")
    table.add_row("the engine alone", "", f"{result.bare:.1f}", f"{result.of_bare:.2f}")
    table.add_row("the whole folder", f"{result.cpu_ms:.2f}", f"{result.end_to_end:.1f}", "")
    return table
