"""gseg gan-train: a GAN from unlabelled photos of one kind of object."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.choices import Arch, Discriminator, Fit, GanPrecision
from gseg_cli.gan.networks.config import MAX_RESOLUTION
from gseg_cli.gan.training.config import (
    DEFAULT_FIT,
    GanTrainConfig,
    check_given,
    check_square,
    parse_augment,
    parse_box,
)
from gseg_cli.options import (
    DeviceOpt,
    ResumeRunOpt,
    RunsOpt,
    SeedOpt,
    find_gan,
    in_project,
    is_given,
    precision_trials,
    project_dir,
)

AUTO = "chosen for device and resolution"
FRESH = "none"  # of --init-from


def gan_train(
    context: typer.Context,
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder, zip, tar, LMDB or Parquet of photos.")],
    arch: Annotated[
        Arch | None,
        typer.Option(help="Architecture of the GAN.", show_default=f"{GanTrainConfig.arch}, or that of --init-from"),
    ] = None,
    discriminator: Annotated[
        Discriminator | None,
        typer.Option(
            help="What the generator learns from: a StyleGAN2's own discriminator, or one on features of a network "
            "that knows ImageNet, until samples are too alike (projected, as in Projected GAN; needs the extra "
            "pretrained).",
            show_default="projected on a CPU for GANs of 64 and 128 px that go on from another, else stylegan2",
        ),
    ] = None,
    resolution: Annotated[
        int | None,
        typer.Option(
            min=8,
            max=MAX_RESOLUTION,
            help="Side of the GAN's images, in pixels; a power of two.",
            show_default=f"{GanTrainConfig.resolution}, or that of --init-from",
        ),
    ] = None,
    kimg: Annotated[
        float, typer.Option(min=0.001, help="Length of the training, in thousands of images shown.")
    ] = GanTrainConfig.kimg,
    minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this many minutes; --resume continues.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Images per training step.", show_default=AUTO)] = None,
    microbatch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Images computed at once; fewer need less memory.",
            show_default="a process's share of the batch",
        ),
    ] = None,
    channel_base: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Width of the networks: layers of R pixels have this many channels divided by R, up to a limit.",
            show_default=AUTO,
        ),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(min=0, help="Learning rate of generator and discriminator.", show_default=AUTO)
    ] = None,
    r1_gamma: Annotated[float | None, typer.Option(min=0, help="Weight of the R1 penalty.", show_default=AUTO)] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            metavar="ada|none|PROBABILITY",
            help="Augment what the discriminator sees: adaptively (ada), not at all, or with a fixed probability.",
            show_default="ada below 20,000 photos, else none",
        ),
    ] = None,
    mirror: Annotated[bool, typer.Option(help="Mirror photos at random.")] = GanTrainConfig.mirror,
    held_out: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of photos to measure against, not to train on.", show_default="5 %, at most 1,000"
        ),
    ] = None,
    conditional: Annotated[
        bool,
        typer.Option(
            "--conditional", help="Train on the photos' classes, too: of dataset.json, or a folder for each class."
        ),
    ] = False,
    alpha: Annotated[
        bool, typer.Option("--alpha", help="Train transparency as a fourth channel; photos without it are opaque.")
    ] = GanTrainConfig.alpha,
    crop: Annotated[
        str | None,
        typer.Option(
            metavar="LEFT,TOP,RIGHT,BOTTOM",
            help="Square to cut out of each photo, in pixels; any box with --fit letterbox.",
        ),
    ] = None,
    fit: Annotated[
        Fit, typer.Option(help="Cut the centre square out of each photo (crop), or pad it to a square (letterbox).")
    ] = DEFAULT_FIT,
    precision: Annotated[
        GanPrecision | None,
        typer.Option(
            help="Numerical precision; fp16 needs a GPU, auto is bf16 where it is quicker, and fp32 elsewhere.",
            show_default="chosen for the device",
        ),
    ] = None,
    init_from: Annotated[
        str | None,
        typer.Option(
            metavar="GAN|none",
            help="GAN to start from, a checkpoint or builtin:NAME; a StyleGAN2 may be 2, 4 ... times smaller or "
            "larger. none: start with networks that know nothing.",
            show_default="on a CPU at 64 and 128 px builtin toy faces, else none",
        ),
    ] = None,
    resume: ResumeRunOpt = False,
    fid_weights: Annotated[
        Path | None, typer.Option(help="Weights of Inception, to measure FID and KID at the end; needs the extra fid.")
    ] = None,
    snapshot_minutes: Annotated[
        float, typer.Option(min=0, help="Minutes between two checkpoints.")
    ] = GanTrainConfig.snapshot_minutes,
    runs: RunsOpt = None,
    seed: SeedOpt = GanTrainConfig.seed,
    device: DeviceOpt = "auto",
) -> None:
    """Train a GAN on unlabelled photos.

    The photos should show one kind of object. Checkpoints, metrics, curves and sample grids go to runs/NNNN-gan/. To
    train on several GPUs, use torchrun: torchrun --nproc-per-node 8 -m gseg_cli gan-train IMAGES.
    """
    options = {
        "arch": arch, "discriminator": discriminator, "resolution": resolution, "kimg": kimg, "batch": batch,
        "microbatch": microbatch, "channel_base": channel_base, "lr": lr, "r1_gamma": r1_gamma, "mirror": mirror,
        "held_out": held_out, "alpha": alpha, "precision": precision, "seed": seed,
        "snapshot_minutes": snapshot_minutes,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if is_given(context, name)}
    given |= {} if augment is None else parse_augment(augment)
    box = None if crop is None else parse_box(crop)
    if box and not resume:  # which goes on as the run was begun
        check_square(box, fit)
    check_given(given)

    # PyTorch is imported from here on: what is wrong has been refused.
    from gseg_cli.gan.training.auto import usual_start
    from gseg_cli.gan.training.fid import load_inception
    from gseg_cli.gan.training.stage import run_or_resume_gan_train
    from gseg_cli.memory import keep_freed_memory
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.steps import ignore_say
    from gseg_cli.threads import SharedCores
    from gseg_cli.world import join_world

    keep_freed_memory()
    out = current_output()
    with join_world(device) as (world, torch_device), progress("gan-train", "images") as on_step:
        say = out.say if world.is_first else ignore_say
        on_step = SharedCores(torch_device, say).watched(on_step)
        start = find_gan(init_from, "--init-from") if init_from not in (None, FRESH) else None
        if init_from is None and not resume and not conditional and (usual := usual_start(given, torch_device)):
            say(f"training goes on from the toy faces of gseg, which learns sooner; --init-from {FRESH} starts anew")
            start = usual.start
        if fid_weights and world.is_first:
            load_inception(fid_weights, torch_device)  # tells of a wrong file before there is a run
        trained = run_or_resume_gan_train(
            images, given, runs or project_dir() / "runs", torch_device,
            resume=resume, conditional=conditional, crop=box, fit=fit if is_given(context, "fit") else None,
            init_from=start, is_fresh=init_from == FRESH, minutes=minutes, fid_weights=fid_weights,
            world=world, trials=precision_trials(), say=say, on_step=on_step,
        )  # fmt: skip
        if world.is_first:
            out.result(asdict(trained), f"{trained.checkpoint}: {trained.num_images} images shown")
            if not in_project():
                out.say_next("init", "--gan", trained.checkpoint, "--classes", "background,NAME,NAME")
