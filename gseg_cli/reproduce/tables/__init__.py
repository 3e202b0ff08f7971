"""The tables by name, in the paper's order."""

from collections.abc import Sequence

from gseg_cli.reproduce.tables import figure6, geometry, objects, table1, table2, table3
from gseg_cli.reproduce.tables.table import Table
from gseg_runtime.errors import UsageError

_ALL = (
    table1.TABLE, table2.TABLE, table3.TABLE, figure6.TABLE, objects.TABLE_4, objects.TABLE_5, objects.TABLE_6,
    geometry.TABLE,
)  # fmt: skip
TABLES = {table.name: table for table in _ALL}
ALL = "all"


def find_tables(name: str) -> Sequence[Table]:
    """The table of this name, or all; UsageError when there is none."""
    if name == ALL:
        return _ALL
    if name not in TABLES:
        raise UsageError(f"unknown table {name!r}", f"choose from {', '.join(TABLES)} and {ALL}")
    return [TABLES[name]]
