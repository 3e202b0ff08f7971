"""A folder as a store: temporary names and renaming."""

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.files import TEMPORARY_PREFIX, write_bytes
from gseg_runtime.litter import litter_kind
from gseg_runtime.photo_files import read_photo, write_error
from gseg_runtime.remote.store import Item
from gseg_runtime.walk import Search, walk_images


class DiskStore:
    """See `Store`."""

    def __init__(self, path: Path) -> None:
        self.name, self._path = str(path), path

    def photos(self, search: Search) -> Iterator[Item]:
        if not self._path.is_dir():
            raise GsegError(f"{self.name}: no such folder", "name a folder of photos, or an address")
        for name in walk_images(str(self._path), search):
            yield self._item(name)
        if self.name in search.unlisted:
            raise search.cannot_list(self.name)

    def _item(self, name: str) -> Item:
        key = name.replace(os.sep, "/")
        try:
            status = (self._path / name).stat()
        except OSError:  # whoever reads it will tell
            return Item(key)
        return Item(key, status.st_size, time=str(status.st_mtime_ns))

    def keys(self, prefix: str = "") -> Iterator[str]:
        with suppress(FileNotFoundError), os.scandir(self._path / prefix) as entries:
            for entry in entries:
                if not (entry.name.startswith(TEMPORARY_PREFIX) or litter_kind(entry.name)):
                    yield prefix + entry.name

    def read(self, key: str, size: int | None = None) -> bytes:
        path = self._path / key
        if size is None:
            return path.read_bytes()  # a photo has a size, unless it is not there
        try:
            return read_photo(path)
        except ImageError as error:  # whoever asked names the photo by its key
            raise ImageError(error.message.removeprefix(f"{path}: ")) from error

    def write(self, key: str, data: bytes) -> None:
        try:
            write_bytes(self._path / key, data, top=self._path)  # a folder that was taken away is not made again
        except GsegError as error:
            raise write_error(Path(key), error) from error

    def create(self, key: str, data: bytes) -> bool:
        path, temporary = self._path / key, f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}"
        try:
            self._path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GsegError(f"{self.name}: cannot be written to: {error.strerror}") from error
        try:
            write_bytes(path.with_name(temporary), data)
        except GsegError as error:  # not the temporary name
            raise GsegError(error.message.replace(temporary, path.name), error.hint) from error
        try:
            os.link(path.with_name(temporary), path)  # unlike renaming, never in place of another
        except FileExistsError:
            return False
        except OSError as error:
            raise GsegError(f"{path}: cannot be written: {error.strerror}") from error
        finally:
            path.with_name(temporary).unlink()
        return True
