"""gseg fewshot-train: a teacher from one to ten annotated samples."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.choices import Features, Schedule, TeacherModel
from gseg_cli.fewshot.config import STEPS, FewshotConfig
from gseg_cli.options import DeviceOpt, GanOpt, RunsOpt, SeedOpt, find_gan, open_project, project_dir
from gseg_runtime.errors import UsageError


def fewshot_train(
    gan: GanOpt = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Folder of the annotations.", show_default="the project's annotations/")
    ] = None,
    model: Annotated[
        TeacherModel, typer.Option(help="Network of the teacher: an MLP, or the paper's CNN in three sizes.")
    ] = FewshotConfig.model,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of training steps per network.",
            show_default=f"{STEPS['mlp']} for an MLP, {STEPS['cnn-m']} for a CNN",
        ),
    ] = FewshotConfig.steps,
    schedule: Annotated[
        Schedule,
        typer.Option(
            help="Train briefly (short), or for 1,000 epochs of single images like the published code (paper)."
        ),
    ] = FewshotConfig.schedule,
    features: Annotated[
        Features,
        typer.Option(help="Use all layers of the GAN, or those of the published code and its resizing (paper)."),
    ] = FewshotConfig.features,
    heads: Annotated[int, typer.Option(min=1, help="Number of networks in the ensemble.")] = FewshotConfig.num_heads,
    runs: RunsOpt = None,
    seed: SeedOpt = FewshotConfig.seed,
    device: DeviceOpt = "auto",
) -> None:
    """Train the teacher on one to ten annotated samples.

    Learns to label images from the GAN's features of them, and writes the teacher to runs/NNNN-fewshot/.
    """
    if steps is not None and schedule == "paper":
        raise UsageError("--steps: the paper's schedule has its own length, 1,000 epochs", "use one of the two")
    config = FewshotConfig(model=model, features=features, schedule=schedule, steps=steps, num_heads=heads, seed=seed)

    from gseg_cli.counted import counted
    from gseg_cli.device import pick_device
    from gseg_cli.fewshot.stage import run_fewshot_train
    from gseg_cli.memory import keep_freed_memory
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.threads import SharedCores

    keep_freed_memory()
    say = current_output().say
    others = _about_classes() if annotations is None else []
    source, torch_device = annotations or project_dir() / "annotations", pick_device(device)
    with progress("fewshot-train", "steps") as on_step:
        on_step = SharedCores(torch_device, say).watched(on_step)
        trained = run_fewshot_train(
            find_gan(gan), source, config, runs or project_dir() / "runs", torch_device, say=say, on_step=on_step
        )
    trained = replace(trained, warnings=[*others, *trained.warnings])
    out = current_output()
    for warning in trained.warnings:
        out.warn(warning)
    out.result(asdict(trained), f"{trained.checkpoint}: {model} from {counted(trained.annotations, 'annotation')}")
    if not (gan or annotations or runs):
        out.say_next("distill")


def _about_classes() -> list[str]:
    """A warning when the project's annotations have other classes than its gseg.toml, if it has one."""
    from gseg_cli.fewshot.outdated import about_classes
    from gseg_cli.project_file import FILE

    if not (project_dir() / FILE).is_file():
        return []
    project = open_project()
    warning = about_classes(project.annotations_dir, project.classes)
    return [warning] if warning else []
