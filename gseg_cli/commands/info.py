"""gseg info: what a file or folder says of itself."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import project_dir


def info(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="Checkpoint, model or folder.", show_default="the project"),
    ] = None,
) -> None:
    """Show what a checkpoint, model, project or folder holds.

    Also shows what it was made from. Checkpoints of foreign GANs are read too.
    """
    from gseg_cli.info import describe, format_facts
    from gseg_cli.output import current_output

    facts = describe(project_dir() if path is None else path)
    current_output().result(facts, format_facts(facts))
