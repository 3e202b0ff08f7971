"""gseg convert: a foreign GAN checkpoint to gseg's own format."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import OverwriteOpt


def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="GAN of NVIDIA's or rosinality's StyleGAN2 code.")],
    out: Annotated[Path, typer.Argument(metavar="OUT.safetensors", help="File to write.")],
    overwrite: OverwriteOpt = False,
) -> None:
    """Convert a GAN of another program to a file of gseg: the same images, nothing to run in it.

    Every command also takes the foreign file itself; converted, it loads faster and what it lacked is settled.
    """
    from gseg_cli.gan.load import convert_gan
    from gseg_cli.info import describe, format_facts
    from gseg_cli.output import current_output
    from gseg_runtime.errors import GsegError, UsageError

    if out.suffix != ".safetensors":
        raise UsageError(f"{out}: expected a name that ends in .safetensors", "gseg knows its own files by it")
    if out.exists() and not overwrite:
        raise GsegError(f"{out}: exists already", "--overwrite replaces it, or choose another name")
    convert_gan(file, out)
    facts = describe(out)
    current_output().result(facts, format_facts(facts))
