"""gseg reproduce: the paper's tables, measured again."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.options import DeviceOpt

if TYPE_CHECKING:
    from gseg_cli.reproduce.tables.table import Table
    from gseg_runtime.errors import UsageError


def reproduce(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="table1 to table6, figure6, geometry, or all that the data allow.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder of figures and tables; figures that are there are kept.")
    ] = Path("reproduce"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Ten minutes: shows what the tables are like, not how good it gets.")
    ] = False,
    draws: Annotated[int | None, typer.Option(min=1, help="Repetitions; without it three, with --quick one.")] = None,
    photos: Annotated[
        int | None, typer.Option(min=1, help="Test photos; without it 200, of PASCAL-Part all, with --quick 24.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="CelebAMask-HQ or PASCAL-Part, instead of toy faces.")
    ] = None,
    gan: Annotated[
        str | None, typer.Option("--gan", help="GAN checkpoint or builtin:NAME; without it the 64-px one of toy faces.")
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Annotated samples of the GAN, with the classes of the protocol.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=1000, help="Number of the first draw.")] = 0,
    device: DeviceOpt = "auto",
) -> None:
    """Measure the paper's tables again: on toy faces, or on the paper's data where you have them and a GAN.

    It goes on where an earlier run was stopped. The estimated time is printed first.
    """
    from dataclasses import asdict

    from gseg_cli.device import pick_device
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress
    from gseg_cli.reproduce.stage import Request, fitting, open_subject, start_reproduce, why_not
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
    report = start_reproduce(tables, subject, request, out, progress, output.say)
    data_out = {key: value for key, value in asdict(report).items() if key != "text"}
    output.result({"out": out, **data_out}, report.text)


def _show_published(table: "Table", error: "UsageError") -> None:
    """The figures of others, the error, and the exit code of wrong usage."""
    from gseg_cli.output import current_output

    published = f"## {table.title}\n\n{table.published.text()}" if table.published else None
    errors = [{"message": error.message, "hint": error.hint}]
    current_output().result({"published": published}, published, status="error", errors=errors)
    raise typer.Exit(error.exit_code)
