"""The cells of the benchmarks: those of `evaluate.result_cache`, in a folder that is part of the repository."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gseg_cli.evaluate.result_cache import CellStore, code_hash, hardware, made

__all__ = ["CELLS", "ROOT", "TOY_FACES", "cell", "code_hash", "hardware", "made"]

ROOT = Path(__file__).resolve().parent
CELLS = ROOT / "cells"
# The readers of published data sets beside the toy faces decide no figure on them.
TOY_FACES = tuple(
    f"gseg_cli.datasets.{name}"
    for name in (
        "__init__",
        "splits",
        *sorted(p.stem for p in (ROOT.parent / "gseg_cli/datasets/toy_faces").glob("*.py")),
    )
)


def cell(
    name: str, config: Mapping[str, Any], code: Sequence[str], compute: Callable[[], dict[str, Any]], gan: str = ""
) -> dict[str, Any]:
    """As of `CellStore.cell`, in benchmarks/cells/NAME-KEY.json."""
    return CellStore(CELLS).cell(name, config, code, compute, gan)
