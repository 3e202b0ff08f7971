"""gseg init: a project folder with its gseg.toml."""

from pathlib import Path
from typing import Annotated

import typer

from gseg_cli.builtin import DEFAULT_GAN
from gseg_cli.options import OverwriteOpt, project_dir

TOY_CLASSES = "toy-faces"  # of --classes


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="[DIR]", help="Project folder; created if it does not exist.")
    ] = Path(),
    name: Annotated[
        str | None, typer.Option(help="Name of the project.", show_default="the name of the folder")
    ] = None,
    gan: Annotated[
        str, typer.Option(help="GAN checkpoint, or builtin:NAME for one that comes with gseg.")
    ] = DEFAULT_GAN,
    resolution: Annotated[
        int | None, typer.Option(min=1, help="Side of the images, in pixels.", show_default="that of the GAN")
    ] = None,
    classes: Annotated[
        str,
        typer.Option(
            help="Class names with commas between, a .toml or text file, toy-faces, or a protocol of gseg dataset."
        ),
    ] = TOY_CLASSES,
    overwrite: OverwriteOpt = False,
) -> None:
    """Create a project.

    Writes gseg.toml, and makes a folder for what each stage produces.
    """
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
    output = current_output()
    output.result({"project": project.dir, **data}, text)
    if gan == DEFAULT_GAN and classes != TOY_CLASSES:
        output.say("its GAN draws toy faces: --gan names another; photos are labelled without one")
        output.say_next("label", "--photos", "PHOTOS", project=project.dir)
    else:
        output.say_next("sample", "--count", "10", project=project.dir)
