"""gseg toy-faces: rendered faces with exact label maps."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.options import OverwriteOpt, ResumeOpt


def toy_faces(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    count: Annotated[int, typer.Option(min=1, help="Number of faces.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first face; each further face has the next one.")] = 0,
    size: Annotated[int, typer.Option(min=16, max=2048, help="Side of the images, in pixels.")] = 64,
    overwrite: OverwriteOpt = False,
    resume: ResumeOpt = False,
) -> None:
    """Render toy faces with exact label maps.

    Writes OUT/images and OUT/masks. Give a test set seeds that no training set has.
    """
    from gseg_cli.counted import counted
    from gseg_cli.datasets.toy_faces.dataset import write_dataset
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    with progress("toy faces", "faces") as on_step:
        write_dataset(out, count=count, seed=seed, size=size, overwrite=overwrite, resume=resume, on_step=on_step)
    data = {"out": out, "count": count, "seed": seed, "size": size}
    current_output().result(data, f"{out}: {counted(count, 'face')} of {size} px, seeds {seed} to {seed + count - 1}")
