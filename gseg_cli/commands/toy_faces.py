"""gseg toy-faces: rendered faces with exact label maps."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import OverwriteOpt, ResumeOpt


def toy_faces(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write: OUT/images and OUT/masks.")],
    count: Annotated[int, typer.Option(min=1, help="How many faces.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first face; face i has the seed SEED + i.")] = 0,
    size: Annotated[int, typer.Option(min=16, max=2048, help="Image side in pixels.")] = 64,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
) -> None:
    """Render toy faces with exact label maps; test sets need seeds that no training set has."""
    from gseg_cli.datasets.toy_faces.dataset import write_dataset
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    with progress("toy faces", "faces") as on_step:
        write_dataset(out, count=count, seed=seed, size=size, overwrite=overwrite, resume=resume, on_step=on_step)
    data = {"out": out, "count": count, "seed": seed, "size": size}
    current_output().result(data, f"{out}: {count} faces of {size} px, seeds {seed} to {seed + count - 1}")
