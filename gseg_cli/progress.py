"""Progress of long work on stderr: a Rich bar on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from gseg_cli.steps import OnStep, Step

LINE_EVERY_S = 10.0


@contextmanager
def progress(title: str, unit: str) -> Iterator[OnStep]:
    """Yield an `on_step` that shows `title`, how far, `unit`s per second, the time left and the step's values."""
    with (_bar if sys.stderr.isatty() else _lines)(title, unit) as on_step:
        yield on_step


class _Rate:
    """Units per second since the first step seen, so that resumed work is not counted."""

    def __init__(self) -> None:
        self.first: tuple[float, int] | None = None
        self.last = 0

    def __call__(self, step: Step) -> float | None:
        now = time.monotonic()
        if self.first is None or step.done < self.last:  # another piece of work began
            self.first = (now, step.done)
        self.last = step.done
        start_s, start = self.first
        return (step.done - start) / (now - start_s) if step.done > start and now > start_s else None


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def format_step(step: Step, unit: str, per_s: float | None) -> str:
    """`40/200 images, 12.5 images/s, 0:13 left, loss 0.31`."""
    unit = step.unit or unit
    parts = [f"{step.done}/{step.total} {unit}" if step.total else f"{step.done} {unit}"]
    if per_s:
        parts.append(f"{per_s:{'.3g' if per_s < 999 else ',.0f'}} {unit}/s")
        if step.done < step.total:
            left_s = (step.total - step.done) / per_s
            parts.append(f"{_clock(left_s if step.most_s is None else max(0.0, min(left_s, step.most_s)))} left")
    parts += [f"{name} {value:.4g}" for name, value in step.values.items()]
    return ", ".join(parts)


def _is_last(step: Step) -> bool:
    return 0 < step.total <= step.done


def _says_no_more(step: Step, shown: Step | None) -> bool:
    """Whether this is the last step that was shown: a part of the work and the whole often end with the same one."""
    return (
        shown is not None
        and _is_last(step)
        and (step.done, step.total, step.unit) == (shown.done, shown.total, shown.unit)
        and step.values.items() <= shown.values.items()
    )


@contextmanager
def _lines(title: str, unit: str) -> Iterator[OnStep]:
    """The first step, one line every ten seconds, and the last step."""
    rate = _Rate()
    last_line_s = float("-inf")
    unshown: Step | None = None
    shown: Step | None = None

    def show(step: Step) -> None:
        nonlocal shown
        shown = step
        print(f"{title}: {format_step(step, unit, rate(step))}", file=sys.stderr, flush=True)

    def on_step(step: Step) -> None:
        nonlocal last_line_s, unshown
        if _says_no_more(step, shown):
            return
        unshown = step
        if time.monotonic() - last_line_s >= LINE_EVERY_S or _is_last(step):
            last_line_s, unshown = time.monotonic(), None
            show(step)

    yield on_step
    if unshown is not None:
        show(unshown)


@contextmanager
def _bar(title: str, unit: str) -> Iterator[OnStep]:
    """Shown from the first step to the last, so that bars of stages that follow each other may be open together."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    rate = _Rate()
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    bar = Progress(*columns, console=Console(stderr=True))
    task = bar.add_task(title, total=None, text="")

    def on_step(step: Step) -> None:
        bar.start()
        bar.update(task, completed=step.done, total=step.total or None, text=format_step(step, unit, rate(step)))
        if _is_last(step):
            bar.stop()

    try:
        yield on_step
    finally:
        bar.stop()
