"""The figures that are missing, one after the other, and every table as soon as its figures are there."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gseg_cli.charts import require_matplotlib
from gseg_cli.folder_description import write_description
from gseg_cli.picture_files import write_picture
from gseg_cli.reproduce.jobs import PAIRS, Job
from gseg_cli.reproduce.markdown import made_by
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.tables.table import Table
from gseg_cli.reproduce.timing import estimate, seconds_per_unit, total_work
from gseg_cli.reproduce.words import duration
from gseg_cli.steps import Say, Stage, ignore_say
from gseg_runtime.errors import GsegError
from gseg_runtime.files import claim_folder, finish_folder, write_text

FILE, KIND = "reproduce.json", "reproduce"


@dataclass(frozen=True)
class Report:
    """pages: by table its Markdown file; computed, kept: figures of this run, and those that were there."""

    pages: dict[str, Path]
    pictures: list[Path]
    computed: int
    kept: int
    seconds: float
    text: str = field(repr=False, default="")  # all pages


def reproduce(
    tables: Sequence[Table], setup: Setup, stage: Stage, *, command: str, suffix: str = "", say: Say = ignore_say
) -> Report:
    """Make the tables in the setup's folder; cells that stand there are not computed again.

    command: what a reader types to make the same; suffix: of the files' names, so that different runs in one folder
    do not replace each other's tables. GsegError when the folder holds something else.
    """
    require_matplotlib()
    start_s = time.monotonic()
    _claim(setup.folder, command)
    jobs = {job.path: job for table in tables for job in table.jobs(setup)}
    missing = [job for job in jobs.values() if not job.is_done]
    clock = _Clock(setup, missing, len(jobs), say)
    pages, pictures, texts = {}, [], []
    for table in tables:
        for job in table.jobs(setup):
            if not job.is_done:
                _run(job, stage, clock)
        pages[table.name], shown, text = _write(table, setup, command, suffix)
        pictures += shown
        texts.append(text)
    shutil.rmtree(setup.folder / PAIRS, ignore_errors=True)  # a killed run may have left some of another config
    finish_folder(setup.folder)
    seconds = round(time.monotonic() - start_s, 1)
    return Report(pages, pictures, len(missing), len(jobs) - len(missing), seconds, "\n".join(texts))


def _claim(folder: Path, command: str) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / FILE).is_file():
        raise GsegError(f"{folder}: not empty, and not a folder of gseg reproduce", "choose another folder with --out")
    claim_folder(folder, "tables", resume=folder.is_dir() and any(folder.iterdir()))
    write_description(folder / FILE, KIND, {"command": command})


class _Clock:
    """Tells how much is to do, and after each job what is left, by how the earlier ones took against the estimate."""

    def __init__(self, setup: Setup, missing: Sequence[Job], num_jobs: int, say: Say) -> None:
        self.say, self.done, self.count = say, 0, len(missing)
        self.expected_s = self.spent_s = 0.0
        say(f"{len(missing)} of {num_jobs} figures to compute")
        if missing:
            say("timing a few steps of each kind of work")
        self.costs = seconds_per_unit(setup, total_work(missing))
        self.left_s = estimate(missing, self.costs)
        if missing:
            say(f"estimated time on this machine: {duration(self.left_s)}")

    def took(self, job: Job, seconds: float, cell: dict[str, Any]) -> None:
        expected = estimate([job], self.costs)
        self.done, self.left_s = self.done + 1, max(0.0, self.left_s - expected)
        self.expected_s, self.spent_s = self.expected_s + expected, self.spent_s + seconds
        pace = self.spent_s / self.expected_s if self.expected_s else 1.0
        left = f"; about {duration(self.left_s * pace)} left" if self.done < self.count else ""
        self.say(f"{self.done}/{self.count} {job.title}: {_headline(cell['figures'])}{duration(seconds)}{left}")


def _headline(figures: dict[str, Any]) -> str:
    return f"mean IoU {figures['test']['miou']:.3f}, " if "test" in figures else ""


def _run(job: Job, stage: Stage, clock: _Clock) -> None:
    start_s = time.monotonic()
    with stage(job.title, "photos" if job.kind == "inversion" else "steps") as on_step:
        cell = job.run(on_step)
    clock.took(job, time.monotonic() - start_s, cell)


def _write(table: Table, setup: Setup, command: str, suffix: str) -> tuple[Path, list[Path], str]:
    """The Markdown file, the pictures beside it, and its text."""
    page, pictures = table.page(setup), []
    text = page.text
    for name, pixels in page.pictures.items():
        path = setup.folder / f"{name}{suffix}.png"
        write_picture(path, pixels)
        pictures.append(path)
        text = text.replace(f"({name}.png)", f"({path.name})")
    draws = setup.size.draws
    about = f"{setup.subject.title[0].upper()}{setup.subject.title[1:]}, " + (
        f"mean and standard deviation of {draws} draws." if draws > 1 else "one draw."
    )
    parts = [f"## {table.title}", about, text.strip(), made_by(command, table.jobs(setup))]
    text = "\n\n".join(parts) + "\n"
    path = setup.folder / f"{table.name}{suffix}.md"
    write_text(path, text)
    return path, pictures, text
