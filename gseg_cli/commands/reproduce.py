"""gseg reproduce: the paper's tables, measured again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.builtin import PREFIX, SMALL
from gseg_cli.choices import TableName
from gseg_cli.options import DeviceOpt
from gseg_cli.reproduce.size import FULL, QUICK

if TYPE_CHECKING:
    from gseg_cli.reproduce.tables.table import Table
    from gseg_runtime.errors import UsageError


def reproduce(
    table: Annotated[
        TableName,
        typer.Argument(
            metavar="TABLE", help="One of table1 to table6, figure6 and geometry, or all that the data allow."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to write to; figures that it already holds are kept.")
    ] = Path("reproduce"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Run for about ten minutes, to see what the tables look like.")
    ] = False,
    draws: Annotated[
        int | None,
        typer.Option(min=1, help="Number of repetitions.", show_default=f"{FULL.draws}, or {QUICK.draws} with --quick"),
    ] = None,
    photos: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of test photos.",
            show_default=f"{FULL.num_photos}, all of PASCAL-Part, or {QUICK.num_photos} with --quick",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of CelebAMask-HQ or PASCAL-Part.", show_default="toy faces"),
    ] = None,
    gan: Annotated[
        str | None,
        typer.Option("--gan", help="GAN checkpoint, or builtin:NAME.", show_default=PREFIX + SMALL),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Annotated samples of the GAN, with the protocol's classes.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=1000, help="Number of the first draw.")] = 0,
    device: DeviceOpt = "auto",
) -> None:
    """Measure the paper's tables again.

    Uses toy faces, or the paper's data if you have them and a GAN for them. Prints an estimate of the time first, and
    continues where an earlier run stopped.
    """
    from dataclasses import asdict

    from gseg_cli.device import pick_device
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.reproduce.stage import Request, fitting, open_subject, run_reproduce, why_not
    from gseg_cli.reproduce.tables import find_tables

    output, tables = current_output(), find_tables(table)
    request = Request(
        table=table, data=data, gan=gan, annotations=annotations, quick=quick, draws=draws, photos=photos, seed=seed
    )
    subject = open_subject(request, pick_device(device))
    left_out = [t for t in tables if t not in fitting(tables, subject)]
    if len(left_out) == len(tables):
        _show_published(left_out[0], why_not(left_out[0], subject))
    for other in left_out:
        output.say(f"left out: {why_not(other, subject).message}")
    report = run_reproduce(tables, subject, request, out, progress, output.say)
    data_out = {key: value for key, value in asdict(report).items() if key != "text"}
    output.result({"out": out, **data_out}, report.text)


def _show_published(table: "Table", error: "UsageError") -> None:
    """The figures of others, the error, and the exit code of wrong usage."""
    from gseg_cli.output import current_output

    published = f"## {table.title}\n\n{table.published.text()}" if table.published else None
    errors = [{"message": error.message, "hint": error.hint}]
    current_output().result({"published": published}, published, status="error", errors=errors)
    raise typer.Exit(error.exit_code)
