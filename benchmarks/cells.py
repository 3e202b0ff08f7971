"""Figures that are computed once: small JSON cells, keyed by the config, the code and the GAN they come from."""

import ast
import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gseg_runtime.files import read_json, write_json
from gseg_runtime.workers import num_cores

ROOT = Path(__file__).resolve().parent
CELLS = ROOT / "cells"
SOURCES = {"gseg_cli": ROOT.parent, "gseg_runtime": ROOT.parent / "runtime", "gseg_export": ROOT.parent / "export"}
# The readers of published data sets beside the toy faces decide no figure on them.
TOY_FACES = tuple(
    f"gseg_cli.datasets.{name}"
    for name in (
        "__init__",
        "splits",
        *sorted(p.stem for p in (ROOT.parent / "gseg_cli/datasets").glob("toy_face*.py")),
    )
)


def cell(
    name: str, config: Mapping[str, Any], code: Sequence[str], compute: Callable[[], dict[str, Any]], gan: str = ""
) -> dict[str, Any]:
    """The figures of this config, from benchmarks/cells/NAME-KEY.json, computed if they are not there.

    code: the modules and packages that decide the outcome, such as "gseg_cli.distill". gan: its SHA-256, if used.
    """
    key = hashlib.sha256(json.dumps([config, code_hash(code), gan], sort_keys=True).encode()).hexdigest()[:12]
    path = CELLS / f"{name}-{key}.json"
    if not path.is_file():
        start_s = time.monotonic()
        figures = compute()
        about = {"config": dict(config), "code": code_hash(code), "gan_sha256": gan or None, **made()}
        write_json(path, {**about, "seconds": round(time.monotonic() - start_s, 1), "figures": figures})
    return read_json(path)


def made() -> dict[str, str]:
    """When, from which commit and on what a figure was made."""
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=False)
    return {"date": f"{datetime.now(UTC):%Y-%m-%d}", "commit": git.stdout.strip() or "unknown", "hardware": hardware()}


def hardware() -> str:
    """The hardware class: a GPU's name, or the number of cores and the processor."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
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
        path = SOURCES[module.split(".")[0]] / module.replace(".", "/")
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
            digest.update(ast.dump(_without_docstrings(ast.parse(file.read_text()))).encode())
    return digest.hexdigest()[:12]


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, clean=False):
            node.body = node.body[1:]
    return tree
