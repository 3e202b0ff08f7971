"""Figures as text: mean and spread over draws, Markdown tables, and where figures come from."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from gseg_cli.reproduce.jobs import Job

MISSING = "-"


def figure(values: Sequence[float | None], scale: float = 1.0) -> str:
    """Mean and, of several, the standard deviation; "-" without any. scale: 100 for percent."""
    there = [scale * value for value in values if value is not None]
    if not there:
        return MISSING
    digits = 1 if scale == 100 else 3
    spread = f" ± {stdev(there):.{digits}f}" if len(there) > 1 else ""
    return f"{mean(there):.{digits}f}{spread}"


def spread_of(values: Sequence[float]) -> float:
    return stdev(values) if len(values) > 1 else 0.0


def table(head: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 1) -> str:
    """The first columns hold text, the others figures, which are aligned to the right."""
    marks = ["---"] * text_columns + ["---:"] * (len(head) - text_columns)
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], f"|{'|'.join(marks)}|", *lines[1:]])


def per_class(names: Sequence[str], per_draw: Sequence[Mapping[str, Any]], scale: float = 1.0) -> list[str]:
    """A cell for each class, and the mean IoU last. per_draw: figures of `Score`."""
    columns = [[figures["per_class_iou"].get(name) for figures in per_draw] for name in names]
    return [*(figure(values, scale) for values in columns), figure([f["miou"] for f in per_draw], scale)]


def made_by(command: str, jobs: Sequence[Job]) -> str:
    """The line under every table: command, GAN, commits, dates and hardware of its figures."""
    cells = [job.cell for job in jobs]
    kept = {key: sorted({cell[key] for cell in cells}) for key in ("commit", "date", "hardware")}
    gan = jobs[0].setup.subject.gan_sha256[:12]
    commits, dates = (", ".join(kept[key]) for key in ("commit", "date"))
    return f"Made by `{command}`. GAN `{gan}`, commit {commits}, {dates}, on {' and on '.join(kept['hardware'])}."
