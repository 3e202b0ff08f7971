"""gseg gan-train: a GAN from unlabelled photos of one kind of object."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import DeviceOpt, SeedOpt, find_gan, project_dir


def gan_train(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder or zip of photos.")],
    arch: Annotated[str, typer.Option(help="stylegan2 or dcgan.")] = "stylegan2",
    resolution: Annotated[int, typer.Option(min=8, help="Side of the pictures, a power of two.")] = 64,
    kimg: Annotated[float, typer.Option(min=0.001, help="Length, in thousands of images shown.")] = 200.0,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time; --resume goes on.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Images per step.")] = 8,
    lr: Annotated[float, typer.Option(help="Learning rate of both networks.")] = 0.0025,
    r1_gamma: Annotated[float, typer.Option(help="Weight of the R1 penalty.")] = 1.0,
    mirror: Annotated[bool, typer.Option(help="Mirror the photos at random.")] = True,
    crop: Annotated[str | None, typer.Option(metavar="L,T,R,B", help="Box in pixels to cut from each photo.")] = None,
    precision: Annotated[str, typer.Option(help="fp32, bf16, or auto: bf16 where the processor has it.")] = "auto",
    init_from: Annotated[str | None, typer.Option(help="Start from this GAN, or builtin:toy-faces.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest run, same options.")] = False,
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs, else the project's runs/.")] = None,
    seed: SeedOpt = 0,
    device: DeviceOpt = "auto",
) -> None:
    """Train a GAN on unlabelled photos.

    Checkpoints, metrics and sample grids go to runs/NNNN-gan/.
    """
    from gseg_cli.device import pick_device
    from gseg_cli.gan.data import parse_box
    from gseg_cli.gan.start import start_gan_training
    from gseg_cli.gan.train import GanTrainConfig
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    out = current_output()
    config = GanTrainConfig(
        arch=arch, resolution=resolution, kimg=kimg, batch=batch, lr=lr, r1_gamma=r1_gamma, mirror=mirror,
        precision=precision, seed=seed,
    )  # fmt: skip
    box = parse_box(crop) if crop else None
    start = find_gan(init_from) if init_from else None
    with progress("gan-train", "images") as on_step:
        trained = start_gan_training(
            images, config, runs or project_dir() / "runs", pick_device(device), crop=box, init_from=start,
            resume=resume, minutes=minutes, say=out.say, on_step=on_step,
        )  # fmt: skip
    out.result(trained, f"{trained['checkpoint']}: {trained['num_images']} images shown")
