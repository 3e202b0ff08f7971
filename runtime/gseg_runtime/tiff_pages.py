"""Whether a TIFF has more pages than the one that is read, such as slices of a stack. (TIFF 6.0.)"""

import struct
from collections.abc import Iterator

from gseg_runtime.tiff_tags import HEIGHT, WIDTH

MORE = "holds more pictures of this size, such as slices of a stack; the first is taken"
_SUBFILE = 254
_REDUCED, _MASK = 1, 4  # bits of it: a thumbnail or a level of a pyramid, and what is transparent
_TYPES = {3: "H", 4: "I", 16: "Q"}  # of a value
_MOST = 64  # directories that are looked at; nobody knows in what order thumbnails come


def holds_more(data: bytes) -> bool:
    """Whether another page is as large as the first; False of a damaged file, and of what is no TIFF."""
    if data[:2] not in (b"II", b"MM"):
        return False
    try:
        pages = _pages(data)
        first = next(pages)
        return any(_size(page) == _size(first) and not page.get(_SUBFILE, 0) & (_REDUCED | _MASK) for page in pages)
    except (struct.error, StopIteration):
        return False


def _size(page: dict[int, int]) -> tuple[int | None, int | None]:
    return page.get(WIDTH), page.get(HEIGHT)


def _pages(data: bytes) -> Iterator[dict[int, int]]:
    """The numbers of each directory that stand in it, by tag."""
    order, is_big = "<" if data[:2] == b"II" else ">", 43 in data[2:4]
    # The number of entries, an entry's tag, type and number of values, and a place in the file.
    count, entry, place = ("Q", "HHQ", "Q") if is_big else ("H", "HHI", "I")
    step, length = (20, 8) if is_big else (12, 2)
    (start,) = struct.unpack_from(order + place, data, 8 if is_big else 4)
    for _ in range(_MOST):
        (number,) = struct.unpack_from(order + count, data, start)
        page, end = {}, start + length + step * number
        for at in range(start + length, min(end, len(data)), step):
            tag, kind, values = struct.unpack_from(order + entry, data, at)
            if kind in _TYPES and values == 1:
                (page[tag],) = struct.unpack_from(order + _TYPES[kind], data, at + struct.calcsize(order + entry))
        yield page
        (start,) = struct.unpack_from(order + place, data, end)
        if not start:
            return
