"""gseg fewshot-train: a teacher from one to ten annotated samples."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.choices import Features, Schedule, TeacherModel
from gseg_cli.options import DeviceOpt, GanOpt, SeedOpt, find_gan, project_dir


def fewshot_train(
    gan: GanOpt = None,
    annotations: Annotated[Path | None, typer.Option(help="Folder of annotations, else the project's.")] = None,
    model: Annotated[TeacherModel, typer.Option(help="An MLP, or the paper's CNN in three sizes.")] = "mlp",
    steps: Annotated[
        int | None, typer.Option(min=1, help="Training steps per network; 400 of an MLP, 800 of a CNN.")
    ] = None,
    schedule: Annotated[
        Schedule, typer.Option(help="short, or paper: 1,000 epochs of single images, as the published code.")
    ] = "short",
    features: Annotated[
        Features,
        typer.Option(help="all layers of the GAN, or paper: those of the published code, and its way to resize."),
    ] = "all",
    heads: Annotated[int, typer.Option(min=1, help="Networks in the ensemble.")] = 1,
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs, else the project's runs/.")] = None,
    seed: SeedOpt = 0,
    device: DeviceOpt = "auto",
) -> None:
    """Train a few-shot teacher on the GAN's features of the annotated samples."""
    from gseg_cli.device import pick_device
    from gseg_cli.fewshot.start import start_fewshot
    from gseg_cli.fewshot.train import FewshotConfig
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_runtime.errors import UsageError

    if steps is not None and schedule == "paper":
        raise UsageError("--steps: the paper's schedule has its own length, 1,000 epochs", "leave one of the two out")
    config = FewshotConfig(model=model, features=features, schedule=schedule, steps=steps, num_heads=heads, seed=seed)
    source = annotations or project_dir() / "annotations"
    with progress("fewshot-train", "steps") as on_step:
        done = start_fewshot(
            find_gan(gan), source, config, runs or project_dir() / "runs", pick_device(device), on_step=on_step
        )
    out = current_output()
    for warning in done["warnings"]:
        out.warn(warning)
    out.result(done, f"{done['checkpoint']}: {model} from {done['annotations']} annotations")
