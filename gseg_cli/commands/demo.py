"""gseg demo: the whole flow on the embedded default, measured."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gseg_cli.options import DeviceOpt, OverwriteOpt, SeedOpt, precision_trials
from gseg_cli.steps import OnStep

if TYPE_CHECKING:
    from rich.console import Group


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")] = Path("demo"),
    quick: Annotated[bool, typer.Option("--quick", help="Run for about a minute, to see that it works.")] = False,
    shots: Annotated[int, typer.Option(min=1, max=10, help="Number of annotated samples to learn from.")] = 10,
    seed: SeedOpt = 0,
    device: DeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
) -> None:
    """Run the whole flow on toy faces, and measure it.

    Starts from the GAN and the annotations that come with gseg. Ends with a model that segments faces it never saw.
    """
    from gseg_cli.builtin import Builtin
    from gseg_cli.demo import QUICK, DemoSize, run_demo, supervised_figures
    from gseg_cli.device import pick_device
    from gseg_cli.distill.precision import settle_precision
    from gseg_cli.memory import keep_freed_memory
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.project import gan_resolution
    from gseg_cli.threads import SharedCores

    keep_freed_memory()
    size, torch_device, say = QUICK if quick else DemoSize(), pick_device(device), current_output().say
    cores = SharedCores(torch_device, say)
    gan_size = gan_resolution(Builtin(size.gan).gan)
    student = settle_precision(size.student, gan_size, torch_device, precision_trials(), say)
    size = replace(size, shots=shots, student=student)

    @contextmanager
    def stage(title: str, unit: str) -> Iterator[OnStep]:
        with progress(title, unit) as on_step:
            yield cores.watched(on_step)

    measured = run_demo(out, size, torch_device, stage, seed=seed, overwrite=overwrite)
    if quick:
        say("--quick shows that everything runs, not how good it gets")
    figures = {**asdict(measured), "supervised": supervised_figures(measured)}
    current_output().result(figures, _report(figures))


def _report(figures: dict[str, Any]) -> "Group":
    from rich.console import Group
    from rich.table import Table

    stages = Table("stage", title="seconds")
    stages.add_column("s", justify="right")
    for name, seconds in figures["seconds"].items():
        stages.add_row(name, f"{seconds:.1f}")
    supervised = [_supervised(figures["supervised"])] if figures["supervised"] else []
    return Group(stages, _quality(figures), *supervised, *_ends(figures))


def _quality(figures: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("class", title="IoU of the ONNX student on fresh toy faces, exact labels")
    table.add_column("IoU", justify="right")
    for name, value in figures["per_class_iou"].items():
        table.add_row(name, "-" if value is None else f"{value:.3f}")
    table.add_section()
    table.add_row("mean", f"{figures['miou_student']:.3f}")
    return table


def _supervised(supervised: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("exact labels", title="The same UNet trained on exactly labelled toy faces")
    table.add_column("mean IoU", justify="right")
    for row in supervised["rows"]:
        table.add_row(str(row["labels"]), f"{row['miou']:.3f}")
    table.caption = f"{supervised['file']}, commit {supervised['commit']}, {supervised['hardware']}"
    return table


def _ends(figures: dict[str, Any]) -> list[str]:
    return [
        f"teacher on generated samples: {figures['miou_teacher']:.3f} against the reference annotator",
        f"segment: {figures['images_per_second']:.1f} images/s",
        f"GAN: {figures['gan_sha256'][:12]}",
        f"model: {figures['model']}",
        f"contact sheet: {figures['contact_sheet']}",
    ]
