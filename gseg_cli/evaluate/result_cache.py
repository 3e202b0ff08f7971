"""Figures that are computed once: small JSON cells, keyed by the config, the code and the GAN they come from."""

import ast
import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gseg_cli import __version__
from gseg_runtime.files import read_json, write_json
from gseg_runtime.workers import num_cores


@dataclass(frozen=True)
class CellStore:
    """A folder of cells, NAME-KEY.json. A cell that is there is read, and not computed again.

    device: a torch device, where figures are computed; None for the one that `auto` picks.
    """

    folder: Path
    device: Any = None

    def cell(
        self, name: str, config: Mapping[str, Any], code: Sequence[str], compute: Callable[[], dict[str, Any]], gan: str
    ) -> dict[str, Any]:
        """The cell of this config: {config, code, gan_sha256, date, commit, hardware, seconds, figures}.

        config: JSON values. code: the modules and packages that decide the outcome, such as "gseg_cli.distill".
        compute: makes the figures if they are not there. gan: its SHA-256, "" where none is used.
        """
        path = self.path(name, config, code, gan)
        if not path.is_file():
            start_s = time.monotonic()
            figures = compute()
            about = {"config": dict(config), "code": code_hash(code), "gan_sha256": gan or None, **made(self.device)}
            write_json(path, {**about, "seconds": round(time.monotonic() - start_s, 1), "figures": figures})
        return read_json(path)

    def path(self, name: str, config: Mapping[str, Any], code: Sequence[str], gan: str) -> Path:
        key = hashlib.sha256(json.dumps([config, code_hash(code), gan], sort_keys=True).encode()).hexdigest()[:12]
        return self.folder / f"{name}-{key}.json"


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
    return model + (" with avx512_bf16" if any("avx512_bf16" in line for line in lines) else "")


def code_hash(modules: Sequence[str]) -> str:
    """Hash of the syntax trees, so that formatting and comments change nothing."""
    digest = hashlib.sha256()
    for module in sorted(modules):
        for file in _files_of(module):
            digest.update(_syntax(file))
    return digest.hexdigest()[:12]


def _files_of(module: str) -> list[Path]:
    """The file of a module, or all those of a package."""
    package, *rest = module.split(".")
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, module
    path = Path(spec.origin).parent.joinpath(*rest)
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


@cache
def _syntax(file: Path) -> bytes:
    return ast.dump(_without_docstrings(ast.parse(file.read_text(encoding="utf-8")))).encode()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
    return tree
