"""Photos in an LMDB, as rosinality's prepare_data.py writes them: encoded images under keys like 256-00012.

The library of LMDB maps the file and trusts it: on a copy that was cut short the process dies (SIGBUS). Here nothing is
mapped. Every page is read at its place and looked at once, and what does not fit the file is an error. Layout: mdb.c of
LMDB 0.9 on 64-bit little-endian machines.
"""

import os
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gseg_cli.gan.training.photo_entry import MAX_PHOTO_BYTES, Photo, limited
from gseg_runtime.errors import GsegError

FILE = "data.mdb"  # in an LMDB's folder
KEY = re.compile(rb"(\d{1,5})-(\d{5,9})")  # size and index
MAGIC = struct.pack("<II", 0xBEEFC0DE, 1)  # and the version of the layout; behind the first page's header
PAGE = struct.Struct("<10xHH2x")  # header of a page: its kind, and where the list of its nodes ends
META = struct.Struct("<8s16xI84xQ8xQ")  # magic, page size, root of the main tree, number of the writing
NODE = struct.Struct("<HHHH")  # low and high half of a size or page, flags (more of a page), length of the key
BRANCH, LEAF = 1, 2  # kinds of pages; they may have other bits
HAS_PAGES, IS_NO_VALUE = 1, 6  # flags of a node: its value lies on pages of its own; it is another tree
NO_PAGE = 2**64 - 1

Entry = tuple[bytes, int, int]  # key, where its value lies in the file, and how many bytes it has


class DamageError(Exception):
    """Says what is wrong with the file."""


@dataclass(frozen=True)
class _File:
    descriptor: int
    num_bytes: int

    def read(self, offset: int, size: int) -> bytes:
        if not 0 <= offset <= self.num_bytes - size:
            raise DamageError(f"it ends at {self.num_bytes} bytes, and {size} at {offset} are missing")
        return os.pread(self.descriptor, size, offset)


def is_lmdb(path: Path) -> bool:
    """Whether a file begins like one."""
    with path.open("rb") as file:
        return file.read(PAGE.size + len(MAGIC))[PAGE.size :] == MAGIC


def photos_in_lmdb(path: Path, stack: ExitStack) -> list[Photo]:
    """In the order of their index, of several sizes the largest. GsegError for another LMDB, or a damaged one."""
    descriptor = stack.enter_context(path.open("rb")).fileno()
    try:
        entries = list(_entries(_File(descriptor, os.fstat(descriptor).st_size)))
    except (DamageError, struct.error) as error:
        raise GsegError(f"{path}: a damaged LMDB: {error}", "copy or make it again") from error
    found = [(int(match[1]), int(match[2]), *place) for key, *place in entries if (match := KEY.fullmatch(key))]
    if not found:
        some = ", ".join(repr(key[:40])[1:] for key, *_ in entries[:3]) or "none"
        hint = "gseg reads what rosinality's prepare_data.py writes; write other images to a folder, as files"
        raise GsegError(f"{path}: an LMDB without photos under keys like 256-00000; its keys are {some}", hint)
    largest = max(found)[0]
    return [
        Photo(f"{size}-{index:05d}", num_bytes, _reader(descriptor, offset, num_bytes))
        for size, index, offset, num_bytes in sorted(found)
        if size == largest
    ]


def _reader(descriptor: int, offset: int, num_bytes: int) -> Callable[[], bytes]:
    def read() -> bytes:  # at its place in the file, since many are read at once
        return limited(os.pread(descriptor, min(num_bytes, MAX_PHOTO_BYTES + 1), offset))

    return read


def _entries(file: _File) -> Iterator[Entry]:
    """Of the main tree. Two pages describe it, written in turn; the newer one counts."""
    page_size = _meta(file, 0)[1]
    if page_size not in (2**power for power in range(8, 17)):
        raise DamageError(f"pages of {page_size} bytes")
    metas = [meta for meta in (_meta(file, 0), _meta(file, page_size)) if meta[0] == MAGIC]
    if not metas:
        raise DamageError("it does not begin like one of LMDB 0.9")
    _, _, root, _ = max(metas, key=lambda meta: meta[3])
    return _walk(file, page_size, root)


def _meta(file: _File, offset: int) -> tuple[bytes, int, int, int]:
    return META.unpack(file.read(offset + PAGE.size, META.size))


def _walk(file: _File, page_size: int, root: int) -> Iterator[Entry]:
    to_do, seen = [] if root == NO_PAGE else [root], set[int]()
    while to_do:
        number = to_do.pop()
        if number in seen:
            raise DamageError(f"page {number} is used twice")
        seen.add(number)
        page = file.read(number * page_size, page_size)
        kind, end = PAGE.unpack_from(page)
        nodes = struct.unpack_from(f"<{max(0, end - PAGE.size) // 2}H", page, PAGE.size)
        if kind & BRANCH:
            to_do += [_child(page, node) for node in nodes]
        elif kind & LEAF:
            for node in nodes:
                yield from _value(file, page, node, number * page_size, page_size)
        else:
            raise DamageError(f"page {number} is of kind {kind}")


def _child(page: bytes, node: int) -> int:
    low, high, more, _ = NODE.unpack_from(page, node)
    return low | high << 16 | more << 32


def _value(file: _File, page: bytes, node: int, page_at: int, page_size: int) -> Iterator[Entry]:
    low, high, flags, length = NODE.unpack_from(page, node)
    start, num_bytes = node + NODE.size + length, low | high << 16
    offset = page_at + start
    if flags & HAS_PAGES:
        offset = struct.unpack_from("<Q", page, start)[0] * page_size + PAGE.size
    if offset + num_bytes > file.num_bytes:
        raise DamageError(f"it ends at {file.num_bytes} bytes, and a value at {offset} is missing")
    if not flags & IS_NO_VALUE:
        yield page[node + NODE.size : start], offset, num_bytes
