"""latents.safetensors: the latents of some seeds, beside the images or label maps that belong to them.

Needs no PyTorch: N seeds, L = num_ws, W = w_dim.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_cli import __version__
from gseg_cli.checkpoint import FORMAT, read_meta
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import write_bytes

FILE = "latents.safetensors"
KIND = "latents"

Latents = npt.NDArray[np.float32]  # [N, L, W], after truncation


def save_latents(path: Path, ws: Latents, seeds: Sequence[int]) -> None:
    """Write {"w": float32 [N, L, W], "seeds": int64 [N]}, atomically."""
    from safetensors.numpy import save

    tensors: dict[str, npt.NDArray[Any]] = {
        "w": np.ascontiguousarray(ws, np.float32),
        "seeds": np.array(seeds, np.int64),
    }
    meta = {"format": FORMAT, "kind": KIND, "created_by": f"gseg {__version__}", "config": {}, "parents": []}
    write_bytes(path, save(tensors, metadata={"gseg": json.dumps(meta)}))


def load_latents(path: Path, seeds: Sequence[int], *, hint: str) -> Latents:
    """The latents of `seeds`, in their order; the file may hold more.

    CheckpointError with `hint` when the file is missing, broken or lacks a seed.
    """
    tensors = _read(path, hint)
    ws, known = tensors.get("w"), tensors.get("seeds")
    if ws is None or known is None or ws.dtype != np.float32 or ws.ndim != 3 or known.shape != ws.shape[:1]:
        found = ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in tensors.items())
        raise CheckpointError(f"{path}: expected w float32 [N, L, W] and seeds int64 [N], got {found}", hint)
    row_of = {int(seed): row for row, seed in enumerate(known)}
    missing = [seed for seed in seeds if seed not in row_of]
    if missing:
        raise CheckpointError(f"{path}: has no latent for seed {missing[0]}", hint)
    return ws[[row_of[seed] for seed in seeds]]


def _read(path: Path, hint: str) -> dict[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    kind = read_meta(path)["kind"]
    if kind != KIND:
        raise CheckpointError(f"{path}: expected {KIND}, got a {kind} checkpoint", hint)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: {error}", hint) from error
