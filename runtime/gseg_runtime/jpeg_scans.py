"""How often a JPEG is drawn over: each of its scans goes through the whole picture once more.

A scan takes a few bytes, so a small file could keep a processor busy for hours.
"""

import re
from collections.abc import Iterator
from itertools import islice

_MOST_SCANS = 500  # as in libjpeg-turbo's own tests; programs write some ten
_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # but those within a scan
_ALONE = b"\x01\xd8"  # second bytes of markers without a length behind them
_END = 0xD9
_SEQUENTIAL = (0xC0, 0xC1)  # frames that need not be progressive to be whole


def check_scans(data: bytes) -> None:
    """ValueError for a JPEG of absurdly many scans."""
    if _has_one(data):  # nearly all; to look through whole files takes a fifth of a millisecond for each, under the GIL
        return
    # The bytes may occur by chance in what stands behind the picture, such as a phone's video, so they are only a hint.
    if data.count(_SCAN) > _MOST_SCANS and sum(1 for _ in islice(_scans(data), _MOST_SCANS + 1)) > _MOST_SCANS:
        raise ValueError(f"more than {_MOST_SCANS} scans, as no camera or program writes them")


def _has_one(data: bytes) -> bool:
    """Whether its first scan has all components at full precision: libjpeg reads no further ones then."""
    num_components = None
    for start in _markers(data):
        if data[start + 1] in _SEQUENTIAL:
            num_components = data[start + 9 : start + 10]
        if data[start : start + 2] == _SCAN:
            return data[start + 4 : start + 5] == num_components
    return False


def _scans(data: bytes) -> Iterator[int]:
    return (start for start in _markers(data) if data[start : start + 2] == _SCAN)


def _markers(data: bytes) -> Iterator[int]:
    """Where they stand, up to the end of the picture."""
    place = 0
    while (marker := _MARKER.search(data, place)) and data[marker.start() + 1] != _END:
        yield marker.start()
        place = marker.end()
        if data[place - 1] not in _ALONE:
            place += int.from_bytes(data[place : place + 2])
