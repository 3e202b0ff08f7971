"""Figures that are computed once: small JSON cells, keyed by the config, the code and the GAN they come from."""

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from gseg_cli import __version__
from gseg_cli.evaluate.code_key import code_key
from gseg_runtime.files import read_json, write_json
from gseg_runtime.workers import num_cores


@dataclass(frozen=True)
class ResultCache:
    """A folder of cells, NAME-KEY.json. A cell that is there is read, and not computed again.

    device: a torch device, where figures are computed; None for the one that `auto` picks.
    """

    folder: Path
    device: Any = None

    def cell(
        self, name: str, config: Mapping[str, Any], compute: Callable[[], dict[str, Any]], gan: str = "", *by: Any
    ) -> dict[str, Any]:
        """The cell of this config: {config, code, gan_sha256, date, commit, hardware, seconds, figures}.

        config: JSON values. compute: makes the figures if they are not there; its code is part of the key. gan: its
        SHA-256, "" where none is used. by: functions and classes that decide the figures, and that
        `compute` is handed.
        """
        path = self.path(name, config, compute, gan, *by)
        if not path.is_file():
            start_s = time.monotonic()
            figures = compute()
            code = code_key(compute, *by)
            about = {"config": dict(config), "code": code, "gan_sha256": gan or None, **made(self.device)}
            write_json(path, {**about, "seconds": round(time.monotonic() - start_s, 1), "figures": figures})
        return read_json(path)

    def path(
        self, name: str, config: Mapping[str, Any], compute: Callable[..., dict[str, Any]], gan: str = "", *by: Any
    ) -> Path:
        """Where that cell is kept, be it there or not."""
        content = json.dumps([config, code_key(compute, *by), gan], sort_keys=True)
        return self.folder / f"{name}-{hashlib.sha256(content.encode()).hexdigest()[:12]}.json"


def made(device: Any = None) -> dict[str, str]:
    """When, from which code and on what a figure was made."""
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": _commit(), "hardware": hardware(device)}


@cache
def _commit() -> str:
    """Of the checkout that gseg runs from, else its version: an installed package may lie in somebody's repository."""
    here = Path(__file__)
    if _git("ls-files", "--error-unmatch", here.name, cwd=here.parent):
        return _git("rev-parse", "--short", "HEAD", cwd=here.parent)
    return f"gseg {__version__}"


def _git(*args: str, cwd: Path) -> str:
    """Its answer, or "" when it has none."""
    try:
        return subprocess.run(["git", *args], capture_output=True, text=True, cwd=cwd, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def hardware(device: Any = None) -> str:
    """The hardware class of a device: a GPU's name, or the number of cores and the processor."""
    import torch

    from gseg_cli.device import pick_device

    device = device or pick_device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{num_cores()} cores, {_cpu_model()}, torch {torch.__version__.split('+')[0]}"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    if "avx512_bf16" in flags:
        return f"{model} with avx512_bf16"
    return model if not flags or {"avx_vnni", "avx512_vnni"} & {*flags} else f"{model} without VNNI"
