"""A photo as training finds it, before it is decoded."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_PHOTO_BYTES = 200_000_000  # of one photo in an archive, whatever its header says


@dataclass(frozen=True)
class Photo:
    """A file named like a photo, or one within another. num_bytes: as its place says."""

    name: str
    num_bytes: int
    read: Callable[[], bytes]


def limited(data: bytes) -> bytes:
    """ValueError for more than any photo has."""
    if len(data) > MAX_PHOTO_BYTES:
        raise ValueError(f"a photo of more than {MAX_PHOTO_BYTES // 1_000_000} MB")
    return data
