"""What a table is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gseg_cli.reproduce.jobs import Job
from gseg_cli.reproduce.published import Published
from gseg_cli.reproduce.setup import Setup
from gseg_runtime.label_map import Pixels

TOY, CELEBAMASK, CAR, HORSE = "toy-faces", "celebamask-10", "pascal-car", "pascal-horse"  # subjects
FACES = (TOY, CELEBAMASK, "celebamask-3")


@dataclass(frozen=True)
class Page:
    """text: Markdown, with the picture of a name in `pictures` as `![...](NAME.png)`."""

    text: str
    pictures: Mapping[str, Pixels] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """subjects: the names of those that it can be made on; jobs: what it needs; page: how it is written when all are
    done. published: what others report of the same task, which is shown even where the table cannot be made."""

    name: str
    title: str
    subjects: tuple[str, ...]
    jobs: Callable[[Setup], list[Job]]
    page: Callable[[Setup], Page]
    published: Published | None = None
