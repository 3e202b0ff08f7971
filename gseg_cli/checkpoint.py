"""Checkpoints: one safetensors file, with what it is written in its header under the key "gseg".

Nothing is ever unpickled. `read_meta` needs neither torch nor safetensors, so `gseg info` works without them.
Format: https://huggingface.co/docs/safetensors (8 bytes header length, JSON header, tensor bytes).
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gseg_cli import __version__
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import atomic_path, check_no_pipe, sha256_file

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 1
MAX_HEADER_BYTES = 16 * 2**20  # a StyleGAN2's header takes about 20 kB; a wrong file may claim anything


def parent_of(path: Path, kind: str) -> dict[str, str]:
    """The entry in `parents` for a file that something was made from."""
    return {"kind": kind, "path": str(path), "sha256": sha256_file(path)}


def save_checkpoint(path: Path, tensors: Mapping[str, "Tensor"], meta: Mapping[str, Any]) -> None:
    """Write `tensors` (any device) to `path`, atomically.

    meta: must hold "kind"; "config" and "parents" (of `parent_of`) are empty unless given, more keys are kept.
    """
    from safetensors.torch import save_file

    full = {"format": FORMAT, "created_by": f"gseg {__version__}", "config": {}, "parents": [], **meta}
    if "kind" not in full:
        raise ValueError("meta lacks 'kind'")
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.touch()
        rights = temporary.stat().st_mode  # as of any new file; safetensors makes its own readable to the owner only
        save_file(ready, temporary, metadata={"gseg": json.dumps(full)})
        temporary.chmod(rights)


def load_checkpoint(path: Path, kind: str | None = None) -> tuple[dict[str, "Tensor"], dict[str, Any]]:
    """The tensors (on the CPU) and the meta of a checkpoint.

    CheckpointError when the file is missing, broken, not gseg's, or not of `kind`.
    """
    meta = read_meta(path)
    if kind is not None and meta["kind"] != kind:
        raise CheckpointError(
            f"{path}: expected a {kind} checkpoint, got a {meta['kind']} checkpoint",
            hint=f"give a checkpoint of kind {kind}; gseg info FILE tells what a file is",
        )
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path), meta
    except SafetensorError as error:
        raise CheckpointError(f"{path}: {error}", hint=_hint_for(path)) from error


def _hint_for(path: Path) -> str:
    """What helps when safetensors does not load a file whose header can be read."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return "it is whole, but safetensors takes no such name: rename the folder or the file, or call gseg inside it"
    return "the file is damaged; make or copy it again"


def read_meta(path: Path) -> dict[str, Any]:
    """What a checkpoint says of itself: format, kind, created_by, config, parents and more.

    CheckpointError when the file is missing, broken, not gseg's or of a newer format.
    """
    text = read_header(path).get("__metadata__", {}).get("gseg")
    if text is None:
        raise CheckpointError(
            f"{path}: holds tensors but no gseg metadata", hint="only checkpoints gseg wrote are read"
        )
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its gseg metadata is not JSON ({error})") from error
    if not isinstance(meta, dict) or not {"format", "kind", "config", "parents"} <= meta.keys():
        raise _damaged(path, "its gseg metadata lacks one of format, kind, config, parents")
    if not (isinstance(meta["kind"], str) and isinstance(meta["config"], dict) and isinstance(meta["parents"], list)):
        raise _damaged(path, "the kind, config or parents in its gseg metadata are of another type")
    if meta["format"] != FORMAT:
        raise CheckpointError(
            f"{path}: expected checkpoint format {FORMAT}, got {meta['format']!r}", hint="update gseg to read this file"
        )
    return meta


def is_ours(path: Path) -> bool:
    """Whether gseg wrote this file, as its header says.

    A broken .safetensors file counts, so that it is called so; not another kind of file that bears this name.
    """
    if path.exists() and not path.is_file():  # opening a pipe would wait for whoever writes to it
        return False
    try:
        return "gseg" in read_header(path).get("__metadata__", {})
    except CheckpointError:
        return path.suffix == ".safetensors" and _begins_as_safetensors(path)


def _begins_as_safetensors(path: Path) -> bool:
    """The length of a header, and a brace; true of a file that is not there or was cut before that."""
    try:
        with path.open("rb") as file:
            head = file.read(9)
    except OSError:
        return True
    return len(head) < 9 or (int.from_bytes(head[:8], "little") <= MAX_HEADER_BYTES and head[8:] == b"{")


def read_header(path: Path) -> dict[str, Any]:
    """The header of any safetensors file: {tensor name: {dtype, shape, data_offsets}, "__metadata__": ...}."""
    try:
        check_no_pipe(path)
        with path.open("rb") as file:
            file_bytes = os.fstat(file.fileno()).st_size
            num_bytes = int.from_bytes(file.read(8), "little")
            if file_bytes < 8 or not 2 <= num_bytes <= min(MAX_HEADER_BYTES, file_bytes - 8):
                raise _damaged(path, "not a safetensors file, or cut short")
            header = json.loads(file.read(num_bytes))
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}", hint="check the path") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "not a safetensors file: its header is not JSON") from error
    _check_length(path, header, file_bytes - 8 - num_bytes)
    return header


def _check_length(path: Path, header: Any, got_bytes: int) -> None:
    try:
        texts = header.get("__metadata__", {}).values()
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        expected_bytes = max(ends, default=0)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise _damaged(path, "not a safetensors file: its header lists no tensors") from error
    if not all(isinstance(text, str) for text in texts):
        raise _damaged(path, "not a safetensors file: its metadata is not text")
    if got_bytes != expected_bytes:
        raise _damaged(path, f"expected {expected_bytes} bytes of tensors, got {got_bytes}")


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path}: {what}", hint="the file is damaged or of another kind; make or copy it again")
