"""The manifest in parts: each block of photos that is done puts one file, which nobody changes afterwards."""

import hashlib
import json
import secrets
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gseg_runtime.errors import GsegError, ImageError, OutputError
from gseg_runtime.files import parse_json
from gseg_runtime.manifest import RESUME_HINT
from gseg_runtime.remote.store import Item, Store

PARTS = "_gseg/parts/"
_READERS = 16  # parts in hand at once
_FAILED = 0  # in place of a stamp


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a photo. stamp: see `Item`; status: "done" or "failed", and the reason; remark: see `Photo`;
    confidence: see `Entry`.
    """

    key: str
    stamp: dict[str, Any]
    status: str
    reason: str | None = None
    remark: str | None = None
    confidence: float | None = None

    @property
    def name(self) -> str:
        return self.key

    def to_line(self) -> str:
        told = {"confidence": self.confidence, "reason": self.reason, "remark": self.remark}
        told = {name: value for name, value in told.items() if value is not None}
        return json.dumps({"key": self.key, **self.stamp, "status": self.status, **told}) + "\n"


def write_part(out: Store, rows: Iterable[Row]) -> None:
    """Under a name of its own, by the time: what is said later of a photo counts. OutputError when it cannot be."""
    name = f"{PARTS}{time.time_ns():016x}-{secrets.token_hex(4)}.jsonl"
    try:
        out.write(name, "".join(row.to_line() for row in rows).encode())
    except ImageError as error:
        raise OutputError(f"{out.name}: {error.message}", RESUME_HINT) from error


class Done:
    """What the parts say is done: 16 bytes for each photo, however long its name."""

    def __init__(self, pairs: list[npt.NDArray[np.uint64]] | None = None) -> None:
        """pairs: [N, 2], keys and stamps as numbers, those of older parts first; emptied, because there may be many."""
        table = np.concatenate([np.empty((0, 2), np.uint64), *(pairs or ())])
        if pairs:
            pairs.clear()
        order = np.argsort(table[:, 0], kind="stable")
        keys, stamps = table[order, 0], table[order, 1]
        del table, order
        is_last = np.ones(len(keys), bool)
        is_last[:-1] = keys[1:] != keys[:-1]
        self._keys, self._stamps = keys[is_last], stamps[is_last]

    @classmethod
    def read(cls, out: Store) -> Self:
        """The union of all parts there are. GsegError when one cannot be read."""
        names = iter(sorted(out.keys(PARTS)))
        pairs: list[npt.NDArray[np.uint64]] = []
        with ThreadPoolExecutor(_READERS) as pool:
            while some := list(islice(names, 8 * _READERS)):
                pairs += pool.map(lambda name: _pairs(out, name), some)
        return cls(pairs)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._stamps))

    def holds(self, item: Item) -> bool:
        """Whether the photo is done, as it is now."""
        key, stamp = _numbers(item.key, item.stamp)
        place = int(np.searchsorted(self._keys, key))
        return place < len(self._keys) and bool(self._keys[place] == key and self._stamps[place] == stamp)


def _pairs(out: Store, name: str) -> npt.NDArray[np.uint64]:
    try:
        lines = out.read(name).splitlines()
    except Exception as error:
        raise GsegError(f"{out.name}/{name}: cannot be read: {error}", "try again, or take the part away") from error
    return np.array(list(filter(None, map(_parse, lines))), np.uint64).reshape(-1, 2)


def _parse(line: bytes) -> tuple[np.uint64, np.uint64] | None:
    """None for what is no row: that photo is done again."""
    try:
        row = parse_json(line)
        key, stamp = _numbers(row["key"], {name: row[name] for name in ("etag", "size", "time") if name in row})
        return key, stamp if row["status"] == "done" else np.uint64(_FAILED)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _numbers(key: str, stamp: dict[str, Any]) -> tuple[np.uint64, np.uint64]:
    """Of 64 bits each. The second is of both: all 128 would have to meet for a photo to be taken for another."""
    name = key.encode(errors="surrogatepass")
    both = name + b"\0" + json.dumps(stamp, sort_keys=True).encode()
    first, second = (hashlib.blake2b(text, digest_size=8).digest() for text in (name, both))
    return np.uint64(int.from_bytes(first)), np.uint64(max(1, int.from_bytes(second)))
