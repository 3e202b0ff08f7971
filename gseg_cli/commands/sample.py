"""gseg sample: images of the GAN to label."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import DeviceOpt, GanOpt, OverwriteOpt, find_gan, open_project


def sample(
    gan: GanOpt = None,
    seeds: Annotated[str, typer.Option(help="Seeds and ranges, such as 0-9,12; one image each.")] = "0-15",
    truncation_psi: Annotated[
        float, typer.Option(help="Towards the mean image: 0 is the mean itself, 1 leaves all variety.")
    ] = 0.7,
    class_index: Annotated[
        int | None, typer.Option("--class", min=0, help="Class to draw, of a conditional GAN.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder to write, else the project's samples/.")
    ] = None,
    device: DeviceOpt = "auto",
    overwrite: OverwriteOpt = False,
) -> None:
    """Generate images by seed, with the latents that make them again; a folder of samples is extended."""
    from gseg_cli.gan.seeds import format_seeds, parse_seeds

    wanted = parse_seeds(seeds)  # before PyTorch is loaded: a slip is answered at once
    gan_path = find_gan(gan)
    folder = out or open_project().samples_dir

    from gseg_cli.device import pick_device
    from gseg_cli.gan.networks import load_generator
    from gseg_cli.gan.sample import write_samples
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    generator = load_generator(gan_path, pick_device(device), class_index)
    with progress("sample", "images") as on_step:
        samples = write_samples(
            generator, gan_path, wanted, truncation_psi, folder, overwrite=overwrite, on_step=on_step
        )
    data = {
        "out": folder,
        "seeds": samples.seeds,
        "truncation_psi": truncation_psi,
        "class_index": samples.class_index,
        "resolution": samples.resolution,
        "gan": {"path": gan_path, "sha256": samples.gan_sha256},
    }
    size = f"{samples.resolution} px, truncation_psi {truncation_psi:g}"
    current_output().result(
        data, f"{folder}: {len(samples.seeds)} samples of {size}, seeds {format_seeds(samples.seeds)}"
    )
