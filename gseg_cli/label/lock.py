"""One process for each folder: a second one is refused, and told who has it."""

import fcntl
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gseg_runtime.errors import GsegError

FILE = "lock"


class FolderLock:
    """Held until `release`, or until the process is gone, however it goes."""

    def __init__(self, folder: Path) -> None:
        """GsegError when another process holds it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / FILE
        self._file = self._path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read(300).strip() or "another process"
            self._file.close()
            raise GsegError(
                f"{folder}: in use by {holder}", "end that gseg label first, or go on in its page"
            ) from error
        except OSError:  # some network drives know no locks
            pass
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()} on {platform.node()}\n")
        self._file.flush()

    @property
    def is_held(self) -> bool:
        return not self._file.closed

    def check(self) -> None:
        """GsegError when the folder was moved or removed meanwhile: another would be made of what is written then."""
        if not self._path.exists() or not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno())):
            message = f"{self._path.parent}: was moved or removed, so nothing more is saved"
            raise GsegError(message, "move it back; or end gseg label, and start it where the project is now")

    def release(self) -> None:
        self._file.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder that is there; one that is not is nobody's, and is not made."""
    lock = FolderLock(folder) if folder.is_dir() else None
    try:
        yield
    finally:
        if lock:
            lock.release()
