"""A foreign safetensors file as a dictionary of stored tensors.

Format: https://huggingface.co/docs/safetensors (8 bytes header length, JSON header, tensor bytes).

Not read by the safetensors library: from memory it only takes a copy of the whole file and makes a second one of every
tensor (8 GB for the largest file that is read), and a header of 16 MB, all names, keeps it busy for seconds. Here
nothing is copied before it is known to be wanted. As there, the tensors must fill the file one after the other.
"""

import json
import math
import re
from typing import Any

from gseg_cli.checkpoint import MAX_HEADER_BYTES
from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_cli.gan.foreign.stored import Storage, StoredTensor, check_counts, contiguous
from gseg_runtime.errors import CheckpointError

_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}


def is_safetensors(data: memoryview) -> bool:
    num_bytes = int.from_bytes(data[:8], "little")
    return 2 <= num_bytes <= min(len(data) - 8, MAX_HEADER_BYTES) and data[8:9] == b"{"


def read_safetensors(data: memoryview) -> dict[str, StoredTensor]:
    """The tensors by name. CheckpointError when the file is damaged, or one of gseg's own."""
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        header = json.loads(bytes(data[8:start]), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        raise damaged("its safetensors header is not JSON") from error
    _refuse_own(header.pop("__metadata__", None))
    tensors = {name: _tensor(name, entry, data[start:]) for name, entry in header.items()}
    _check_filled([tuple(entry["data_offsets"]) for entry in header.values()], len(data) - start)
    return tensors


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The fields of one JSON object. Readers disagree on which of two with the same name counts."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise damaged("its safetensors header says something twice")
    return fields


def _check_filled(spans: list[tuple[int, int]], num_bytes: int) -> None:
    """The tensors, one after the other, are all that the file holds: nothing is shared, and nothing hidden."""
    spans.sort()
    if [0, *(end for _, end in spans)] != [*(start for start, _ in spans), num_bytes]:
        raise damaged("its tensors lie over each other, or do not fill the file")


def _tensor(name: str, entry: Any, data: memoryview) -> StoredTensor:
    match entry:
        case {"dtype": dtype, "shape": [*shape], "data_offsets": [start, end]}:
            check_counts((start, end))
            check_counts(tuple(shape))
            if isinstance(dtype, str) and dtype in _DTYPES and start <= end <= len(data):
                storage = Storage(_DTYPES[dtype], math.prod(shape))
                storage.bind(data[start:end])
                return contiguous(storage, tuple(shape))
    raise damaged(f"its tensor {shown(name)} has a type that is not read, or lies outside the file")


def _refuse_own(metadata: Any) -> None:
    if isinstance(metadata, dict) and "gseg" in metadata:
        found = re.search(r'"kind": ?"([a-z0-9-]{1,40})"', str(metadata["gseg"]))
        kind = f" of kind {found[1]}" if found else ""
        raise CheckpointError(
            f"a checkpoint of gseg itself{kind}, expected a GAN", "gseg info FILE tells what a file is"
        )
