"""The one checkpoint in an archive, as checkpoints are published: .zip, .tar, .gz and .tar.gz.

Nothing is written to the disk. What is packed is unpacked in memory, up to a limit that the archive's size sets:
weights hardly shrink when they are packed, so what grows more than a few times holds something else.
Formats: APPNOTE.TXT of PKWARE, POSIX.1-1988 (ustar), RFC 1951 and 1952.
"""

import re
import zlib
from collections.abc import Mapping

from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_cli.gan.foreign.recognise import unknown_archive
from gseg_cli.gan.foreign.zip_file import Member, read_members
from gseg_runtime.errors import CheckpointError

MAX_GROWTH, FREE_BYTES = 4, 16 * 2**20
MAX_MEMBERS = 10_000
_BLOCK = 512  # bytes of a tar
_MAX_NAME = 4096  # bytes
_DEFLATE, _GZIP = -15, 31  # how zlib calls the two
# Nothing hidden, as a Mac's ._gan.pt is; but ./gan.pt, as tar writes a folder that it is called in.
_CHECKPOINT = re.compile(r"(?i)(?!(.*/)?(\.(?!\.?/)|__MACOSX/)).*\.(pkl|pt|pth|ckpt|safetensors|pdparams|tar|gz)")


def limit_of(num_bytes: int) -> int:
    """What may be unpacked of a file of so many bytes, all in all."""
    return max(FREE_BYTES, MAX_GROWTH * num_bytes)


def unpack(data: memoryview, limit: int) -> memoryview | None:
    """The content of the one checkpoint inside; None when `data` is no archive, or a zip of torch.save itself.

    limit: how many bytes it may have. CheckpointError when an archive holds none, several, or a larger one.
    """
    if data[:2] == b"\x1f\x8b":
        return _inflate(data, _GZIP, limit)
    if bytes(data[257:262]) == b"ustar":
        files = _read_tar(data)
        return files[_only_checkpoint(files, "tar")]
    if data[:4] not in (b"PK\3\4", b"PK\5\6"):
        return None
    members = read_members(data)
    if any(name.endswith(("/data.pkl", "/constants.pkl")) for name in members):
        return None
    return _unpack_member(members[_only_checkpoint(members, "zip")], limit)


def _only_checkpoint(files: Mapping[str, object], kind: str) -> str:
    found = [name for name in files if _CHECKPOINT.fullmatch(name)]
    if len(found) != 1:
        raise unknown_archive(kind, list(files), found)
    return found[0]


def _unpack_member(member: Member, limit: int) -> memoryview:
    if not member.is_deflated:
        return member.stored()
    data = _inflate(member.data, _DEFLATE, limit)
    if len(data) != member.size:
        raise damaged(f"a zip archive that declares {member.size} bytes of {shown(member.name)}, and holds {len(data)}")
    return data


def _inflate(data: memoryview, kind: int, limit: int) -> memoryview:
    unpacker = zlib.decompressobj(kind)
    try:
        unpacked = unpacker.decompress(data, max(1, limit))  # 0 would be no limit
    except zlib.error as error:
        raise damaged("an archive that cannot be unpacked") from error
    if not unpacker.eof and len(unpacked) >= limit:
        raise damaged(
            f"an archive that unpacks to more than {limit // 2**20} MiB, which no checkpoint of its size does"
        )
    if not unpacker.eof:
        raise damaged("an archive that was cut short")
    return memoryview(unpacked)


def _read_tar(data: memoryview) -> dict[str, memoryview]:
    """The files by name, as views."""
    files: dict[str, memoryview] = {}
    position, num_entries, long_name = 0, 0, None
    while position + _BLOCK <= len(data) and data[position]:
        header = bytes(data[position : position + _BLOCK])
        size = _octal(header[124:136])
        start = position + _BLOCK
        num_entries += 1
        if start + size > len(data) or num_entries > MAX_MEMBERS:
            raise damaged("a tar archive that was cut short, or holds more files than any with a checkpoint")
        kind, content = header[156:157], data[start : start + size]
        if kind in (b"0", b"\0"):
            name = long_name or header[:100].partition(b"\0")[0]
            files[name.decode("latin1")] = content
        long_name = _long_name(kind, content)
        position = start + -(-size // _BLOCK) * _BLOCK
    return files


def _long_name(kind: bytes, content: memoryview) -> bytes | None:
    """What an entry of GNU's or POSIX's tar says that the next one is called; None when it says nothing of that."""
    if kind == b"L":
        return bytes(content[:_MAX_NAME]).partition(b"\0")[0]
    if kind == b"x" and (found := re.search(rb"(?:^|\n)\d+ path=([^\n]+)\n", bytes(content[:_MAX_NAME]))):
        return found[1]
    return None


def _octal(digits: bytes) -> int:
    if not re.fullmatch(rb"[ 0]*[0-7]{1,11}[ \0]*", digits):
        raise CheckpointError(
            "a tar archive whose files are too large, or that is damaged", "unpack it and use the file"
        )
    return int(digits.strip(b" \0"), 8)
