"""gseg distill: a small network that needs no GAN, from pairs the teacher labelled."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import DeviceOpt, GanOpt, SeedOpt, find_gan, open_project, project_dir


def distill(
    gan: GanOpt = None,
    teacher: Annotated[Path | None, typer.Option(help="Teacher checkpoint, else the project's newest one.")] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Generated pairs to train on.")] = 4000,
    steps: Annotated[int, typer.Option(min=1, help="Training steps.")] = 1000,
    batch: Annotated[int, typer.Option(min=2, help="Pairs per step.")] = 32,
    student: Annotated[str, typer.Option(help="tiny, default or paper.")] = "default",
    truncation_psi: Annotated[float, typer.Option(help="Truncation of the generated pairs.")] = 1.0,
    drop: Annotated[float, typer.Option(min=0, max=0.9, help="Share of pairs to leave out, the most doubtful.")] = 0.1,
    mirror: Annotated[bool, typer.Option(help="Mirror at random; not where left and right differ.")] = True,
    geometry: Annotated[
        str, typer.Option(help="aligned: photos framed as the GAN's; paper: any size and position in the picture.")
    ] = "aligned",
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs, else the project's runs/.")] = None,
    seed: SeedOpt = 0,
    device: DeviceOpt = "auto",
) -> None:
    """Train the student UNet on generated pairs."""
    from gseg_cli.device import pick_device
    from gseg_cli.distill.augment import find_geometry
    from gseg_cli.distill.distill import PairsConfig, StudentConfig
    from gseg_cli.distill.start import start_distill
    from gseg_cli.distill.train import DistillConfig
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    augment = replace(find_geometry(geometry), mirror=mirror)
    train = DistillConfig(student=student, steps=steps, batch=batch, drop=drop, seed=seed, augment=augment)
    config = StudentConfig(pairs=PairsConfig(count=pairs, truncation_psi=truncation_psi), train=train)
    teacher = teacher or open_project().latest_run("fewshot") / "checkpoint.safetensors"
    with progress("pairs", "pairs") as on_pairs, progress("distill", "steps") as on_step:
        done = start_distill(
            find_gan(gan), teacher, config, runs or project_dir() / "runs", pick_device(device),
            on_pairs=on_pairs, on_step=on_step,
        )  # fmt: skip
    text = f"{done['checkpoint']}: mean IoU {done['held_out_miou']:.3f} against its teacher on held-out samples"
    current_output().result(done, text)
