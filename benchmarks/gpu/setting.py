"""What a step is given, and where its figures go."""

import gc
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from gseg_cli.evaluate.result_cache import ResultCache
from gseg_runtime.files import write_text

Figures = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """minutes: what is left for this step. stylegan2_ada, photos: None where they were not given."""

    out: Path
    device: torch.device
    minutes: float
    dry_run: bool = False
    stylegan2_ada: Path | None = None
    photos: Path | None = None
    crop: str | None = None
    start_s: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        return self.minutes * 60 - (time.monotonic() - self.start_s)

    @property
    def work(self) -> Path:
        """What need not be kept: photos, runs, models."""
        return self.out / "work"

    def cell(
        self, name: str, config: Mapping[str, Any], compute: Callable[[], Figures], gan: str = ""
    ) -> Figures | None:
        """The figures of this cell, computed unless they are there; None where that failed or the time is over.

        What went wrong is kept in DIR/failed, and the next run tries again.
        """
        store = ResultCache(self.out / "cells", self.device)
        keyed = {**config, "dry_run": self.dry_run}
        path, failed = store.path(name, keyed, compute, gan), self.out / "failed" / f"{name}-{_words(config)}.txt"
        if not path.is_file() and self.left_s <= 0:
            print(f"{name} {_words(config)}: no time left", flush=True)
            return None
        try:
            figures: Figures = store.cell(name, keyed, compute, gan)["figures"]
        except Exception:  # whatever it is, the other figures are wanted
            failed.parent.mkdir(parents=True, exist_ok=True)
            write_text(failed, traceback.format_exc())
            print(f"{name} {_words(config)}: failed, see {failed}", flush=True)
            return None
        failed.unlink(missing_ok=True)
        print(f"{name} {_words(config)}: {_short(figures)}", flush=True)
        return figures


def _words(config: Mapping[str, Any]) -> str:
    return "-".join(str(value).replace("/", "_") for value in config.values())


def _short(figures: Figures) -> str:
    numbers = [f"{key} {value:.4g}" for key, value in figures.items() if isinstance(value, int | float)]
    return ", ".join(numbers)


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Wall time until the device is done with it."""
    synchronize(device)
    start_s = time.perf_counter()
    work()
    synchronize(device)
    return time.perf_counter() - start_s


def peak_gib(device: torch.device) -> float | None:
    """The most memory that tensors took since the last call, in GiB; None on a CPU."""
    if device.type != "cuda":
        return None
    gc.collect()  # a trainer and its graphs hold each other
    peak = torch.cuda.max_memory_allocated(device) / 2**30
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return peak
