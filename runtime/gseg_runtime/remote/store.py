"""Where photos lie and masks go: a bucket, or a folder used like one. Keys are names relative to it, with slashes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Protocol

from gseg_runtime.walk import Search


@dataclass(frozen=True, slots=True)
class Item:
    """A photo as a listing tells of it. etag: what the store changes with the content; where it has none, size and time
    of change tell a changed photo. size: in bytes, None where it is not told.
    """

    key: str
    size: int | None = None
    etag: str | None = None
    time: str | None = None

    @property
    def stamp(self) -> dict[str, Any]:
        """How a changed photo is told from the same one."""
        return {"etag": self.etag} if self.etag else {"size": self.size, "time": self.time}

    @property
    def is_plain(self) -> bool:
        """Whether its key is also a path: buckets have names with //, ./ and ../ in them, and folders do not."""
        path = PurePosixPath(self.key)
        return str(path) == self.key and not path.is_absolute() and ".." not in path.parts and "\0" not in self.key


class Store(Protocol):
    """May be used from several threads at once."""

    name: str  # the address or path, without secrets

    def photos(self, search: Search) -> Iterator[Item]:
        """All that is named like a picture, listed as it is asked for. What is passed over, and what cannot be listed,
        is put down in `search`. GsegError when nothing can be listed.
        """

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Keys that begin like this; "" or a name that ends in a slash. In a folder those of folders, too, not below
        them.
        """

    def read(self, key: str, size: int | None = None) -> bytes:
        """The whole content. size: how long it is by the listing. Errors are the system's or the library's own."""

    def write(self, key: str, data: bytes) -> None:
        """Whole or not at all. An ImageError is of this key alone, an OutputError is not."""

    def create(self, key: str, data: bytes) -> bool:
        """False where there is such a key; as far as the store can tell this in one step with writing."""
