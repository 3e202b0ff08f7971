"""gseg convert: a foreign GAN checkpoint to gseg's own format."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import OverwriteOpt
from gseg_runtime.errors import GsegError, UsageError


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Checkpoint of another program's GAN.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="File to write.")],
    bgr: Annotated[
        bool, typer.Option("--bgr", help="Its colours are blue, green, red, as where MMGeneration trained; turn them.")
    ] = False,
    overwrite: OverwriteOpt = False,
) -> None:
    """Convert a GAN checkpoint of another program to gseg's format.

    The GAN draws the same images, with --bgr in their true colours. Every command also takes the original file; the
    converted one loads faster, holds nothing but weights, and has what the original lacked.
    """
    if out.suffix != ".safetensors":
        raise UsageError(
            f"{out}: expected a name that ends in .safetensors", "gseg recognises its own files by that ending"
        )
    from gseg_cli.checkpoint import is_ours

    if out.exists():
        if not is_ours(out):  # perhaps FILE itself, which holds more than is converted
            raise GsegError(f"{out}: exists already, and gseg did not write it", "choose another name")
        if not overwrite:
            raise GsegError(f"{out}: exists already", "use --overwrite to replace it, or choose another name")

    from gseg_cli.gan.load import convert_gan
    from gseg_cli.info import describe, format_facts
    from gseg_cli.output import current_output

    convert_gan(file, out, is_bgr=bgr)
    facts = describe(out)
    current_output().result(facts, format_facts(facts))
