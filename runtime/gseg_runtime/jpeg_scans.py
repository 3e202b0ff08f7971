"""How often a JPEG is drawn over: each of its scans goes through the whole picture once more.

A scan takes a few bytes, so a small file could keep a processor busy for hours.
"""

import re

_MOST_SCANS = 500  # as in libjpeg-turbo's own tests; programs write some ten
_SCAN = b"\xff\xda"
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)  # but those within a scan
_ALONE = b"\x01\xd8"  # second bytes of markers without a length behind them
_END = 0xD9


def check_scans(data: bytes) -> None:
    """ValueError for a JPEG of absurdly many scans."""
    # The bytes may occur by chance in what stands behind the picture, such as a phone's video, so they are only a hint.
    if data.count(_SCAN) > _MOST_SCANS and _has_too_many(data):
        raise ValueError(f"more than {_MOST_SCANS} scans, as no camera or program writes them")


def _has_too_many(data: bytes) -> bool:
    place = number = 0
    while (marker := _MARKER.search(data, place)) and data[marker.start() + 1] != _END:
        number += marker[0] == _SCAN
        if number > _MOST_SCANS:
            return True
        place = marker.end()
        if data[place - 1] not in _ALONE:
            place += int.from_bytes(data[place : place + 2])
    return False
