"""The folder that a run writes to: made once, held by one process, and never another one that took its place."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from gseg_runtime.errors import GsegError, OutputError
from gseg_runtime.files import write_bytes
from gseg_runtime.folder_lock import FolderLock


class OpenFolder:
    """A folder that is held by an open handle, and written to by its path as long as that leads to it.

    An unmounted disk leaves an empty folder behind, and somebody may move or delete a folder while it is filled.
    What is written then would lie where nobody looks for it, beside a report that says that all is well.
    """

    def __init__(self, path: Path, handle: int) -> None:
        """handle: while it is open, the folder's number is not given to another one."""
        self.path, self._handle = path, handle

    def check(self) -> None:
        """OutputError when `path` leads to this folder no more."""
        try:
            is_same = os.path.samestat(self.path.stat(), os.fstat(self._handle))
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error
        if not is_same:
            raise self._gone("another folder is in its place")

    def _gone(self, why: str) -> OutputError:
        hint = "was a drive unmounted, or the folder moved? bring it back and run it again with --resume"
        return OutputError(f"{self.path}: disappeared during the run: {why}", hint)

    def write(self, name: Path, data: bytes) -> None:
        """A file below it, atomically; folders between are made, but never the folder itself.

        OutputError as of `check`; any other GsegError is caused by the OSError that the system gave.
        """
        self.check()
        try:
            write_bytes(self.path / name, data, top=self.path)
        except GsegError as error:
            if not isinstance(error.__cause__, FileNotFoundError):
                raise
            self.check()  # else somebody took away a folder in it just now
            write_bytes(self.path / name, data, top=self.path)


class OutputFolder(OpenFolder):
    """The folder of a run: made once, and held by one process."""

    def __init__(self, path: Path, check_claim: Callable[[], None] = lambda: None) -> None:
        """Make the folder if it is not there.

        check_claim: raises if it may not be written to; asked before anything is changed. GsegError when another
        process holds it, or it cannot be made.
        """
        self.path, self.is_new = path, not path.is_dir()
        try:
            if not self.is_new:
                check_free(path)
            check_claim()
            path.mkdir(parents=True, exist_ok=True)
            super().__init__(path, os.open(path, os.O_RDONLY))
            self._lock = _take_lock(path, self._handle)
        except OSError as error:
            self._remove_new()
            raise GsegError(f"{path}: cannot be written to: {error.strerror}") from error

    @property
    def handle(self) -> int:
        """For `OpenFolder`, in this process or one that inherits it."""
        return self._handle

    def check(self) -> None:
        """OutputError also when another process has taken it over."""
        super().check()
        self._lock.check()

    @property
    def is_deleted(self) -> bool:
        """Whether it is nowhere any more, and all in it lost."""
        try:
            return os.fstat(self._handle).st_nlink == 0
        except OSError:
            return True

    def leave(self) -> None:
        """Close it as it was found: one that was made and is empty is taken away again."""
        self.close()
        self._remove_new()

    def _remove_new(self) -> None:
        if self.is_new:
            with suppress(OSError):
                self.path.rmdir()

    def close(self) -> None:
        self._lock.release()
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _take_lock(path: Path, handle: int) -> FolderLock:
    lock = FolderLock(path, handle)
    try:
        lock.take()
    except BaseException:
        os.close(handle)
        raise
    return lock


def check_free(path: Path) -> None:
    """GsegError when a living process holds the folder. Nothing is changed."""
    handle = os.open(path, os.O_RDONLY)
    try:
        FolderLock(path, handle).check_free()
    finally:
        os.close(handle)
