"""The members of a zip archive as views of the file.

Only what torch.save writes: stored, not compressed, so that nothing can grow on the way out. Archives of this format
stay below 4 GiB here, where the longer fields of zip64 are not needed.
Format: APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16.
"""

import struct

from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_runtime.errors import CheckpointError

_END = struct.Struct(
    "<4s3H H 2I H"
)  # signature, disks and entries on this one, entries, directory size, offset, comment
_ENTRY = struct.Struct("<4s 2H 2H 2H 3I 3H 2H 2I")
_LOCAL = struct.Struct("<4s 3H 2H 3I 2H")
_STORED, _ENCRYPTED = 0, 1
_MAX_COMMENT_BYTES = 2**16
_MAX_NAME_BYTES = 1024


def read_members(data: memoryview) -> dict[str, memoryview]:
    """Every member by name. CheckpointError when the archive is damaged, compressed or encrypted."""
    try:
        return _read_members(data)
    except struct.error as error:
        raise damaged("a zip archive that was cut short") from error


def _read_members(data: memoryview) -> dict[str, memoryview]:
    tail_start = max(0, len(data) - _END.size - _MAX_COMMENT_BYTES)
    found = bytes(data[tail_start:]).rfind(b"PK\5\6")
    if found < 0:
        raise damaged("a zip archive that was cut short: its end is missing")
    *_, num_entries, _, position, _ = _END.unpack_from(data, tail_start + found)
    members: dict[str, memoryview] = {}
    for _ in range(num_entries):  # 65535 at most
        entry = _ENTRY.unpack_from(data, position)
        signature, flags, method, size, name_bytes, offset = (
            entry[0],
            entry[3],
            entry[4],
            entry[9],
            entry[10],
            entry[16],
        )
        name = str(data[position + _ENTRY.size : position + _ENTRY.size + name_bytes], "latin1")
        if signature != b"PK\1\2" or name in members or name_bytes > _MAX_NAME_BYTES:
            raise damaged("a zip archive with a broken directory")
        _check(name, flags, method, size, compressed_size=entry[8])
        members[name] = _member(data, offset, size)
        position += _ENTRY.size + sum(entry[10:13])
    return members


def _check(name: str, flags: int, method: int, size: int, compressed_size: int) -> None:
    if method != _STORED or flags & _ENCRYPTED or compressed_size != size:
        raise CheckpointError(
            f"a zip archive with packed files in it ({shown(name)}); a checkpoint's are stored as they are",
            "unpack it and use the checkpoint inside",
        )


def _member(data: memoryview, offset: int, size: int) -> memoryview:
    signature, *_, name_bytes, extra_bytes = _LOCAL.unpack_from(data, offset)
    start = offset + _LOCAL.size + name_bytes + extra_bytes
    if signature != b"PK\3\4" or start + size > len(data):
        raise damaged("a zip archive whose directory names a file that is not there")
    return data[start : start + size]
