"""How the library tells of its progress. It knows nothing of terminals; `gseg_cli.progress` draws the bar."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Step:
    """`done` of `total` units are finished; `values` are the figures to show beside it, such as the loss.

    total: 0 while nobody knows it. unit: what is counted, where it is not what the stage counts. most_s: seconds after
    which the work ends, finished or not.
    """

    done: int
    total: int
    values: dict[str, float] = field(default_factory=dict)
    unit: str | None = None
    most_s: float | None = None


OnStep = Callable[[Step], None]


def ignore_step(step: Step) -> None:
    """The default of every `on_step` argument."""


# Opens a piece of work by its title and the unit that it counts; yields where its progress goes.
Stage = Callable[[str, str], AbstractContextManager[OnStep]]


Say = Callable[[str], None]


def ignore_say(text: str) -> None:
    """The default of every `say` argument: a place for lines of talk."""
