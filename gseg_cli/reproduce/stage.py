"""The stage `gseg reproduce`: from what the user asks for to a subject, a size and the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from gseg_cli.project import locate_gan
from gseg_cli.reproduce import toy
from gseg_cli.reproduce.public import PublicData
from gseg_cli.reproduce.run import Report, reproduce
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.size import FULL, QUICK, Size
from gseg_cli.reproduce.subject import Subject
from gseg_cli.reproduce.tables.table import CAR, HORSE, Table
from gseg_cli.reproduce.toy import ToyFaces
from gseg_cli.steps import Say, Stage, ignore_say
from gseg_runtime.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Request:
    """None where the user said nothing. data: of CelebAMask-HQ or PASCAL-Part, else toy faces are meant."""

    table: str
    data: Path | None = None
    gan: str | None = None
    annotations: Path | None = None
    quick: bool = False
    draws: int | None = None
    photos: int | None = None
    seed: int = 0

    @property
    def command(self) -> str:
        """What a reader types to make the same; of files it says only that they are needed."""
        words = ["gseg reproduce", self.table]
        words += ["--data DIR --gan FILE --annotations DIR"] if self.data else ["--gan FILE"] if self.gan else []
        words += ["--quick"] if self.quick else []
        words += [f"--draws {self.draws}"] if self.draws else []
        words += [f"--photos {self.photos}"] if self.photos else []
        words += [f"--seed {self.seed}"] if self.seed else []
        return " ".join(words)


def open_subject(request: Request, device: torch.device) -> Subject:
    """UsageError when data, GAN and annotations were not given together."""
    if request.data is None:
        if request.annotations:
            message = "--annotations only applies to --data; the reference annotator labels toy faces"
            raise UsageError(message, "add --data, or leave out --annotations")
        return ToyFaces(locate_gan(request.gan or toy.GAN, Path(), source="--gan"), device)
    if request.gan is None or request.annotations is None:
        hint = "--gan FILE is a GAN of that kind, --annotations DIR annotated samples of it (gseg annotate-import)"
        raise UsageError("--data: expected --gan and --annotations with it", hint)
    return PublicData(request.data, locate_gan(request.gan, Path(), source="--gan"), request.annotations, device)


def size_of(request: Request, subject: Subject) -> Size:
    size = QUICK if request.quick else FULL
    if subject.name in (CAR, HORSE) and not request.quick:
        size = replace(size, num_photos=None)  # nothing is inverted there, so all of them cost little
    size = replace(size, num_photos=request.photos) if request.photos else size
    return replace(size, draws=request.draws or size.draws, first_draw=request.seed)


def fitting(tables: Sequence[Table], subject: Subject) -> list[Table]:
    """Those that can be made on this subject."""
    return [table for table in tables if subject.name in table.subjects]


def why_not(table: Table, subject: Subject) -> UsageError:
    """The error of a table that cannot."""
    message = f"{table.name}: is only measured on {' or '.join(table.subjects)}, not on {subject.name}"
    kind = "PASCAL-Part" if table.subjects[0] in (CAR, HORSE) else "CelebAMask-HQ"
    hint = f"gseg reproduce {table.name} --data DIR --gan FILE --annotations DIR: {kind} as gseg dataset reads it, a "
    hint += "StyleGAN2 of such pictures, and annotated samples of it with the classes of the protocol"
    return UsageError(message, hint)


def run_reproduce(
    tables: Sequence[Table], subject: Subject, request: Request, out: Path, stage: Stage, say: Say = ignore_say
) -> Report:
    """Make those of the tables that fit the subject."""
    setup = Setup(subject, size_of(request, subject), out)
    suffix = subject.suffix + ("-quick" if request.quick else "")
    return reproduce(fitting(tables, subject), setup, stage, command=request.command, suffix=suffix, say=say)
