"""gseg init: a project folder with its gseg.toml."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.builtin import DEFAULT_GAN
from gseg_cli.options import OverwriteOpt, project_dir


def init(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="The project folder; made if missing.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Project name, else the folder's.")] = None,
    gan: Annotated[str, typer.Option(help="GAN checkpoint; the default comes with gseg.")] = DEFAULT_GAN,
    resolution: Annotated[int | None, typer.Option(min=1, help="Image side in pixels, else the GAN's.")] = None,
    classes: Annotated[
        str, typer.Option(help="toy-faces, a protocol of gseg dataset, a .toml or text file, or 'name,name,...'.")
    ] = "toy-faces",
    overwrite: OverwriteOpt = False,
) -> None:
    """Start a project: gseg.toml and the folders of the stages."""
    from gseg_cli.output import current_output
    from gseg_cli.project import FILE, Project
    from gseg_cli.project_file import parse_classes

    project = Project.create(
        project_dir() / folder,
        name=name,
        resolution=resolution,
        classes=parse_classes(classes),
        gan=gan,
        overwrite=overwrite,
    )
    names = project.classes.names
    data = {"name": project.name, "resolution": project.resolution, "gan": project.gan, "classes": names}
    text = f"{project.path(FILE)}: {project.resolution} px, GAN {project.gan}, classes {', '.join(names)}"
    current_output().result({"project": project.dir, **data}, text)
