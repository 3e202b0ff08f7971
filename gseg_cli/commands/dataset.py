"""gseg dataset: a public data set as published experiments use it, as images and label maps."""

from pathlib import Path
from typing import Annotated, get_args

import typer

from gseg_cli.choices import ProtocolName, Split
from gseg_cli.options import OutOpt, OverwriteOpt, ResumeOpt


def dataset(
    protocol: Annotated[
        ProtocolName, typer.Argument(metavar="PROTOCOL", help=f"One of {', '.join(get_args(ProtocolName))}.")
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of the data set, as published.")],
    out: OutOpt,
    split: Annotated[
        Split | None,
        typer.Option(help="Split to write, if the data set has it.", show_default="the one results are for"),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of photos to take.", show_default="all")] = None,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
) -> None:
    """Prepare CelebAMask-HQ or PASCAL-Part as the paper does.

    Crops the photos, merges their classes, and writes the result to OUT/images and OUT/masks.
    """
    from gseg_cli.counted import counted
    from gseg_cli.datasets.protocols import find_protocol, write_protocol
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    chosen = find_protocol(protocol)
    with progress("dataset", "photos") as on_step:
        facts = write_protocol(
            chosen, source, out, split=split, limit=limit, overwrite=overwrite, resume=resume, on_step=on_step
        )
    dropped = ", ".join(f"{count} {reason}" for reason, count in facts["dropped"].items())
    examples, photos = counted(facts["examples"], "example"), counted(facts["photos"], "photo")
    text = f"{out}: {examples} of {photos}, {chosen.name} {facts['split']}"
    current_output().result({"out": out, **facts}, text + (f"; dropped: {dropped}" if dropped else ""))
