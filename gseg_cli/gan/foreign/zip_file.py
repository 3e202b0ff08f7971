"""The members of a zip archive as views of the file.

What torch.save writes is stored, not compressed, so that nothing can grow on the way out; a member that is packed is
unpacked elsewhere (archive.py), if at all. Archives stay below 4 GiB here, where the longer fields of zip64 are not
needed.
Format: APPNOTE.TXT of PKWARE, sections 4.3.7, 4.3.12 and 4.3.16.
"""

import struct
from dataclasses import dataclass

from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_runtime.errors import CheckpointError

_END = struct.Struct(
    "<4s3H H 2I H"
)  # signature, disks and entries on this one, entries, directory size, offset, comment
_ENTRY = struct.Struct("<4s 2H 2H 2H 3I 3H 2H 2I")
_LOCAL = struct.Struct("<4s 3H 2H 3I 2H")
_STORED, _DEFLATED, _ENCRYPTED = 0, 8, 1
_MAX_COMMENT_BYTES = 2**16
_MAX_NAME_BYTES = 1024


@dataclass(frozen=True)
class Member:
    """data: as it lies in the archive; size: what it has when it is unpacked, as the archive says."""

    name: str
    data: memoryview
    size: int
    method: int
    flags: int

    @property
    def is_deflated(self) -> bool:
        return self.method == _DEFLATED and not self.flags & _ENCRYPTED

    def stored(self) -> memoryview:
        """Its content. CheckpointError when it is packed or encrypted."""
        if self.method != _STORED or self.flags & _ENCRYPTED or len(self.data) != self.size:
            raise CheckpointError(
                f"a zip archive with packed files in it ({shown(self.name)}); a checkpoint's are stored as they are",
                "unpack it and use the checkpoint inside",
            )
        return self.data


def read_members(data: memoryview) -> dict[str, Member]:
    """Every member by name. CheckpointError when the archive is damaged."""
    try:
        return _read_members(data)
    except struct.error as error:
        raise damaged("a zip archive that was cut short") from error


def _read_members(data: memoryview) -> dict[str, Member]:
    tail_start = max(0, len(data) - _END.size - _MAX_COMMENT_BYTES)
    found = bytes(data[tail_start:]).rfind(b"PK\5\6")
    if found < 0:
        raise damaged("a zip archive that was cut short: its end is missing")
    *_, num_entries, _, position, _ = _END.unpack_from(data, tail_start + found)
    members: dict[str, Member] = {}
    for _ in range(num_entries):  # 65535 at most
        entry = _ENTRY.unpack_from(data, position)
        signature, flags, method, packed_bytes, size, name_bytes, offset = (entry[i] for i in (0, 3, 4, 8, 9, 10, 16))
        name = str(data[position + _ENTRY.size : position + _ENTRY.size + name_bytes], "latin1")
        if signature != b"PK\1\2" or name in members or name_bytes > _MAX_NAME_BYTES:
            raise damaged("a zip archive with a broken directory")
        members[name] = Member(name, _content(data, offset, packed_bytes), size, method, flags)
        position += _ENTRY.size + sum(entry[10:13])
    return members


def _content(data: memoryview, offset: int, size: int) -> memoryview:
    signature, *_, name_bytes, extra_bytes = _LOCAL.unpack_from(data, offset)
    start = offset + _LOCAL.size + name_bytes + extra_bytes
    if signature != b"PK\3\4" or start + size > len(data):
        raise damaged("a zip archive whose directory names a file that is not there")
    return data[start : start + size]
