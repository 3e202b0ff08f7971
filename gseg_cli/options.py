"""The options that commands share, and the global ones.

`-C/--project DIR`, `--json` and `--debug` are accepted anywhere on the command line. `main()` takes them out with
`take_globals` before Typer parses the rest, so that a usage error too is answered as JSON when JSON was asked for.
A command never declares them: it asks `project_dir()` or `open_project()`, and `current_output()` knows about JSON.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gseg_cli.choices import Geometry, Loss, StudentSize, check_device
from gseg_cli.distill.config import PHOTOS_GEOMETRY, PRETRAINED_LOSS, PRETRAINED_STEPS, DistillConfig, usual_student
from gseg_cli.distill.net_config import PRETRAINED
from gseg_runtime.errors import UsageError
from gseg_runtime.pip_hint import install

if TYPE_CHECKING:
    from gseg_cli.project import Project

GLOBAL_HELP = (
    "Every command also takes -C, --project DIR (project folder, by default the current one), "
    "--json (print one JSON object to stdout) and --debug (show tracebacks)."
)


def _checked(device: str) -> str:
    """Before PyTorch is imported, which takes a hundred times as long."""
    check_device(device)
    return device


DeviceOpt = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="auto|cpu|cuda|cuda:N",
        callback=_checked,
        help="Device to compute on; auto uses a GPU if there is one.",
    ),
]
SeedOpt = Annotated[int, typer.Option("--seed", min=0, help="Seed of all random numbers.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace what gseg wrote there before.")]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Continue where an earlier run stopped.")]
ResumeRunOpt = Annotated[
    bool, typer.Option("--resume", help="Continue the newest run, with the options it was started with.")
]
OutOpt = Annotated[Path, typer.Option("--out", "-o", help="Folder to write to.")]
FullNamesOpt = Annotated[bool, typer.Option("--full-names", help="Name masks x.jpg.png instead of x.png.")]
RunsOpt = Annotated[Path | None, typer.Option("--runs", help="Folder of the runs.", show_default="the project's runs/")]
GanOpt = Annotated[
    str | None, typer.Option("--gan", help="GAN checkpoint, or builtin:NAME.", show_default="the project's")
]
TeacherOpt = Annotated[
    Path | None, typer.Option("--teacher", help="Teacher checkpoint.", show_default="the project's newest")
]
ModelOpt = Annotated[
    Path | None, typer.Option("--model", help="ONNX model or TensorRT engine.", show_default="the project's model.onnx")
]

# Of the commands that train a student.
StudentOpt = Annotated[
    StudentSize | None,
    typer.Option(
        "--student",
        help="Network of the student: default has 2 million parameters, paper 17 million; lite0 knows ImageNet.",
        show_default="lite0 where the extra pretrained is installed, else default",
    ),
]
LossOpt = Annotated[
    Loss,
    typer.Option(
        "--loss",
        help="Loss: cross-entropy (ce), with Dice added (dice), with rare classes weighted up (balanced), or focal.",
        show_default=f"{DistillConfig.loss}; of lite0 {PRETRAINED_LOSS}",
    ),
]
StepsOpt = Annotated[
    int,
    typer.Option(
        "--steps",
        min=1,
        help="Number of training steps.",
        show_default=f"{DistillConfig.steps}; of lite0 {PRETRAINED_STEPS}",
    ),
]
MinutesOpt = Annotated[
    float | None, typer.Option("--minutes", min=0.001, help="Train for this many minutes, instead of --steps.")
]
GeometryOpt = Annotated[
    Geometry,
    typer.Option(
        "--geometry",
        help="Train for photos framed like those it learns from (aligned), or for any size and place (paper).",
        show_default=f"aligned; of lite0 and labelled photos {PHOTOS_GEOMETRY}",
    ),
]
MirrorOpt = Annotated[
    bool,
    typer.Option(
        "--mirror/--no-mirror", help="Mirror images at random; classes whose names tell left from right change places."
    ),
]
ColourOpt = Annotated[float, typer.Option("--colour", min=0, max=1, help="Strength of random colour changes.")]
BackgroundOpt = Annotated[
    float, typer.Option("--background", min=0, max=1, help="Share of the images that get another background.")
]


@dataclass
class Settings:
    """What the global options say. One process runs one command, so there is one of these."""

    command: str = ""
    project: Path = Path()
    json: bool = False
    debug: bool = False


settings = Settings()


def project_dir() -> Path:
    """The project folder: `-C DIR`, else the current one. It need not hold a project."""
    return settings.project


def in_project() -> bool:
    from gseg_cli.project_file import FILE

    return (project_dir() / FILE).is_file()


def export_words(checkpoint: Path) -> list[str | Path]:
    """The command that exports it; outside a project it needs a file to write to."""
    return ["export", checkpoint, *([] if in_project() else ["-o", "model.onnx"])]


def open_project() -> "Project":
    """The project the command works in; ProjectError when there is none."""
    from gseg_cli.project import Project

    return Project.open(project_dir())


def find_gan(gan: str | None, option: str = "--gan") -> Path:
    """The checkpoint that the option names (a path or builtin:NAME), else the project's."""
    from gseg_cli.project import locate_gan

    return locate_gan(gan, Path(), source=option) if gan else open_project().gan_path


def find_teacher(teacher: Path | None) -> Path:
    """The checkpoint that the option names, else the project's newest, with a warning when it is outdated."""
    if teacher:
        return teacher
    from gseg_cli.fewshot.outdated import about_teacher
    from gseg_cli.output import current_output

    project = open_project()
    newest = project.latest_checkpoint("fewshot")
    if warning := about_teacher(newest, project.annotations_dir):
        current_output().warn(warning)
    return newest


def cache_path(name: str) -> Path | None:
    """A place in the user's cache; None where nobody has a home, as a user id without an entry in a container."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gseg" / name
    except RuntimeError:
        return None


def precision_trials() -> Path | None:
    """Where `--precision auto` remembers what it measured."""
    return cache_path("precision.json")


def is_given(context: typer.Context, option: str) -> bool:
    """Whether the command line says something of this option, named like its parameter; if not, it has its default."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


def with_usual_student(given: dict[str, Any]) -> str:
    """Give the student that is usual here, and say which."""
    student = usual_student()
    given["student"] = student
    if student == PRETRAINED:
        return f"student: {student}, which knows ImageNet"
    return f"student: {student}; on photos lite0 is better: {install('pretrained')}"


def take_globals(args: Sequence[str]) -> list[str]:
    """Fill `settings` from the global options among `args` and return the other arguments.

    What stands after `--` is left alone. UsageError when `-C` has no folder after it.
    """
    settings.command, settings.project, settings.json = "", Path(), False
    settings.debug = os.environ.get("GSEG_DEBUG", "") not in ("", "0")
    end = list(args).index("--") if "--" in args else len(args)
    queue, rest = list(args[:end]), []
    missing_value = None
    while queue:
        arg = queue.pop(0)
        if arg == "--json":
            settings.json = True
        elif arg == "--debug":
            settings.debug = True
        elif arg in ("-C", "--project") and not queue:
            missing_value = arg
        elif arg in ("-C", "--project"):
            settings.project = Path(queue.pop(0))
        elif arg.startswith("--project="):
            settings.project = Path(arg.removeprefix("--project="))
        else:
            rest.append(arg)
    # No root option takes a value, so the first word is the command.
    settings.command = next((arg for arg in rest if not arg.startswith("-")), "")
    if missing_value:
        raise UsageError(f"{missing_value} needs a folder", hint=f"{missing_value} DIR names the project folder")
    return rest + list(args[end:])
