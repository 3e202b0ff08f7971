"""The cells of the benchmarks: those of `evaluate.result_cache`, in a folder that is part of the repository."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gseg_cli.evaluate.result_cache import ResultCache, hardware, made

__all__ = ["CELLS", "ROOT", "cell", "hardware", "made"]

ROOT = Path(__file__).resolve().parent
CELLS = ROOT / "cells"


def cell(
    name: str, config: Mapping[str, Any], compute: Callable[[], dict[str, Any]], gan: str = "", *by: Any
) -> dict[str, Any]:
    """As of `ResultCache.cell`, in benchmarks/cells/NAME-KEY.json."""
    return ResultCache(CELLS).cell(name, config, compute, gan, *by)
