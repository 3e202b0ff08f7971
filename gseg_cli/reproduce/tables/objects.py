"""Tables 4, 5 and 6: auto-shot on the cars and horses of PASCAL-Part, beside what others report."""

from functools import partial

from gseg_cli.reproduce import published
from gseg_cli.reproduce.jobs import Job, student
from gseg_cli.reproduce.markdown import figure
from gseg_cli.reproduce.published import Published
from gseg_cli.reproduce.setup import Setup
from gseg_cli.reproduce.tables.table import CAR, HORSE, Page, Table

GEOMETRY = "paper"  # crops are of any size and framing
TEXT = """\
IoU by class in percent on {photos} objects of PASCAL-Part (VOC 2010 val), cut out as `gseg dataset {protocol}` does.
gseg: auto-shot with `--geometry paper`; the others as published.

{table}
"""


def jobs(setup: Setup) -> list[Job]:
    return [job for shots in setup.shots for job in _students(setup, shots)]


def _students(setup: Setup, shots: int) -> list[Job]:
    return [student(setup, shots, draw, GEOMETRY) for draw in setup.size.numbers]


def page(others: Published, setup: Setup) -> Page:
    ours = [_row(setup, shots, others) for shots in setup.shots]
    photos = _students(setup, setup.shots[0])[0].figures["test"]["photos"]
    return Page(TEXT.format(photos=photos, protocol=setup.subject.name, table=others.text(ours)))


def _row(setup: Setup, shots: int, others: Published) -> list[str]:
    draws = [job.figures["test"] for job in _students(setup, shots)]
    values = [figure([f["per_class_iou"][name] for f in draws], 100) for name in others.classes]
    return ["**gseg, auto-shot**", str(shots), "this run", *values, figure([f["miou"] for f in draws], 100)]


def _table(name: str, title: str, subject: str, others: Published) -> Table:
    return Table(name, title, (subject,), jobs, partial(page, others), others)


TABLE_4 = _table("table4", "Table 4: cars", CAR, published.CAR)
TABLE_5 = _table("table5", "Table 5: horses", HORSE, published.HORSE)
TABLE_6 = _table("table6", "Table 6: horses, against methods with more labels", HORSE, published.HORSE_TABLE_6)
