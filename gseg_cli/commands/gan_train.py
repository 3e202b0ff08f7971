"""gseg gan-train: a GAN from unlabelled photos of one kind of object."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.choices import Arch, Fit, GanPrecision
from gseg_cli.options import DeviceOpt, find_gan, project_dir

AUTO = "without it chosen from resolution, photos and device"


def gan_train(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder or zip of photos.")],
    arch: Annotated[Arch | None, typer.Option(help="stylegan2, unless told otherwise.")] = None,
    resolution: Annotated[
        int | None, typer.Option(min=8, help="Side of the pictures, a power of two; 64, or that of --init-from.")
    ] = None,
    kimg: Annotated[float | None, typer.Option(min=0.001, help="Length, in thousands of images shown; 200.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after this time; --resume goes on.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help=f"Images per step; {AUTO}.")] = None,
    microbatch: Annotated[
        int | None, typer.Option(min=1, help="Images computed at once, to save memory; all of a process's.")
    ] = None,
    channel_base: Annotated[
        int | None, typer.Option(min=16, help=f"Width: channels at r pixels are this / r, up to a limit; {AUTO}.")
    ] = None,
    lr: Annotated[float | None, typer.Option(help=f"Learning rate of both networks; {AUTO}.")] = None,
    r1_gamma: Annotated[float | None, typer.Option(help=f"Weight of the R1 penalty; {AUTO}.")] = None,
    augment: Annotated[
        str | None, typer.Option(help="ada, none, or a fixed probability such as 0.3; ada below 20,000 photos.")
    ] = None,
    mirror: Annotated[bool | None, typer.Option(help="Mirror the photos at random (default).")] = None,
    held_out: Annotated[
        int | None, typer.Option(min=0, help="Photos to measure against instead of training on them; 5 %.")
    ] = None,
    crop: Annotated[str | None, typer.Option(metavar="L,T,R,B", help="Box in pixels to cut from each photo.")] = None,
    fit: Annotated[
        Fit | None, typer.Option(help="crop: the centre square (default); letterbox: the whole photo.")
    ] = None,
    precision: Annotated[
        GanPrecision | None, typer.Option(help="fp16 needs CUDA; auto: bf16 where the hardware has it.")
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(help="Start from this GAN, of this size or 2, 4 ... times larger or smaller; builtin:NAME too."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest run, as it was begun.")] = False,
    fid_weights: Annotated[
        Path | None, typer.Option(help="Inception's weights, for FID and KID at the end (needs gseg[fid]).")
    ] = None,
    snapshot_minutes: Annotated[float | None, typer.Option(min=0.0, help="Time between checkpoints; 5.")] = None,
    runs: Annotated[Path | None, typer.Option(help="Folder of the runs, else the project's runs/.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of all random numbers; 0.")] = None,
    device: DeviceOpt = "auto",
) -> None:
    """Train a GAN on unlabelled photos.

    Checkpoints, metrics, curves and sample grids go to runs/NNNN-gan/. Under torchrun all its processes train together:
    torchrun --nproc-per-node 8 -m gseg_cli gan-train IMAGES.
    """
    from gseg_cli.gan.training.config import parse_augment
    from gseg_cli.gan.training.data import parse_box
    from gseg_cli.gan.training.stage import train_or_resume
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.steps import ignore_say
    from gseg_cli.world import join_world

    out = current_output()
    options = {
        "arch": arch, "resolution": resolution, "kimg": kimg, "batch": batch, "microbatch": microbatch,
        "channel_base": channel_base, "lr": lr, "r1_gamma": r1_gamma, "mirror": mirror, "held_out": held_out,
        "precision": precision, "seed": seed, "snapshot_minutes": snapshot_minutes,
        **(parse_augment(augment) if augment else {}),
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    with join_world(device) as (world, torch_device), progress("gan-train", "images") as on_step:
        trained = train_or_resume(
            images, given, runs or project_dir() / "runs", torch_device,
            resume=resume, crop=parse_box(crop) if crop else None, fit=fit,
            init_from=find_gan(init_from) if init_from else None, minutes=minutes, fid_weights=fid_weights,
            world=world, say=out.say if world.is_first else ignore_say, on_step=on_step,
        )  # fmt: skip
        if world.is_first:
            out.result(trained, f"{trained['checkpoint']}: {trained['num_images']} images shown")
