"""The options of the commands that train a student."""

from typing import Annotated, Any

import typer

from gseg_cli.choices import Geometry, Loss, StudentSize
from gseg_cli.distill.config import PRETRAINED_STEPS, DistillConfig, usual_student
from gseg_cli.distill.net_config import PRETRAINED
from gseg_runtime.pip_hint import install

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
    ),
]
MirrorOpt = Annotated[
    bool,
    typer.Option("--mirror/--no-mirror", help="Mirror images at random; turn it off if classes tell left from right."),
]
ColourOpt = Annotated[float, typer.Option("--colour", min=0, max=1, help="Strength of random colour changes.")]
BackgroundOpt = Annotated[
    float, typer.Option("--background", min=0, max=1, help="Share of the images that get another background.")
]


def with_usual_student(given: dict[str, Any]) -> str:
    """Give the student that is usual here, and say which."""
    student = usual_student()
    given["student"] = student
    if student == PRETRAINED:
        return f"student: {student}, which knows ImageNet; --student default segments faster"
    return f"student: {student}; on photos lite0 is better: {install('pretrained')}"
