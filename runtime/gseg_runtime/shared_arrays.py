"""Arrays for another process, in a file that both have open: through a pipe a megabyte of logits takes 3 ms."""

import mmap
import os
import pickle
import tempfile
from collections.abc import Sequence
from typing import IO, Any

Message = tuple[bytes, Sequence[int]]  # pickled, and how many bytes each of its arrays has
_ALIGN = 64  # bytes, of where an array begins


def file_without_name() -> IO[bytes]:
    """Where there is a choice in no folder: in a container none but that for the masks may be writable."""
    return os.fdopen(os.memfd_create("gseg"), "wb") if hasattr(os, "memfd_create") else tempfile.TemporaryFile()


def pack(value: Any, file: IO[bytes]) -> Message:
    """Whatever can be pickled; its arrays go into the file, in place of those before. OSError when it is full."""
    buffers: list[pickle.PickleBuffer] = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    arrays = [buffer.raw() for buffer in buffers]
    file.seek(0)
    for array in arrays:
        file.write(array)
        file.write(bytes(-array.nbytes % _ALIGN))
    file.flush()
    return data, [array.nbytes for array in arrays]


def unpack(message: Message, handle: int) -> Any:
    """What `pack` was given; its arrays cannot be written to, and hold until the next message.

    handle: of the file. The message is of the process that started this one, and of nobody else.
    """
    data, sizes = message
    if not any(sizes):
        return pickle.loads(data, buffers=[b""] * len(sizes))
    memory = memoryview(mmap.mmap(handle, 0, access=mmap.ACCESS_READ))
    buffers, start = [], 0
    for size in sizes:
        buffers.append(memory[start : start + size])
        start += size + -size % _ALIGN
    return pickle.loads(data, buffers=buffers)
