"""Which kind of store a place is."""

from pathlib import Path

from gseg_runtime.remote.address import is_address
from gseg_runtime.remote.disk import DiskStore
from gseg_runtime.remote.objects import ObjectStore
from gseg_runtime.remote.store import Store


def open_store(place: str) -> Store:
    """place: an address, or the path of a folder. GsegError when the library for it is not installed."""
    return ObjectStore(place) if is_address(place) else DiskStore(Path(place))
