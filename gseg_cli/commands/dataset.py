"""gseg dataset: a public data set as published experiments use it, as images and label maps."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import OutOpt, OverwriteOpt, ResumeOpt


def dataset(
    protocol: Annotated[
        str, typer.Argument(metavar="PROTOCOL", help="celebamask-3, celebamask-10, pascal-car or pascal-horse.")
    ],
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Folder of the data set as it is published.")],
    out: OutOpt,
    split: Annotated[
        str | None, typer.Option(help="test, val, train or all; without it the one that is scored.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first N photos.")] = None,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
) -> None:
    """Cut and merge CelebAMask-HQ or PASCAL-Part as the paper does, into OUT/images and OUT/masks."""
    from gseg_cli.datasets.protocols import find_protocol, write_protocol
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    chosen = find_protocol(protocol)
    with progress("dataset", "photos") as on_step:
        facts = write_protocol(
            chosen, source, out, split=split, limit=limit, overwrite=overwrite, resume=resume, on_step=on_step
        )
    dropped = ", ".join(f"{count} {reason}" for reason, count in facts["dropped"].items())
    text = f"{out}: {facts['examples']} examples of {facts['photos']} photos, {chosen.name} {facts['split']}"
    current_output().result({"out": out, **facts}, text + (f"; dropped: {dropped}" if dropped else ""))
