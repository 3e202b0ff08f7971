"""A lock on a folder, which holds on network drives too: a file that says whose it is, touched while they live.

The file is reached through a handle of the folder, so whatever becomes of its path, no other folder is touched.
"""

import json
import os
import platform
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from gseg_runtime.errors import GsegError, OutputError
from gseg_runtime.files import LOCK, TEMPORARY_PREFIX, parse_json

BEAT_S = 15.0
STALE_S = 180.0  # without a beat; a drive may tell other hosts of one a minute later


@dataclass(frozen=True)
class Holder:
    """A process. place: where its number means something, as one boot of a machine; start: when it began, in words of
    the system, because numbers are used again."""

    host: str = "an unknown host"
    pid: int = 0
    place: str = ""
    start: str = ""
    since: str = "an unknown time"

    @classmethod
    def me(cls) -> "Holder":
        pid = os.getpid()
        since = datetime.now().astimezone().isoformat(timespec="seconds")
        return cls(platform.node(), pid, _place(), _start_of(pid) or "", since)

    @classmethod
    def of(cls, text: str) -> "Holder":
        """The one that a lock names; one unknown where it says nothing, as when it is just being written."""
        try:
            data = parse_json(text)
            return cls(**{name: type(default)(data[name]) for name, default in vars(cls()).items()})
        except (ValueError, TypeError, KeyError):
            return cls()

    @property
    def is_near(self) -> bool:
        """Whether this process can ask the system about it."""
        return self.place == _place()

    def lives(self) -> bool:
        """Of one that is near."""
        start = _start_of(self.pid)
        return start is not None and start in (self.start, "")

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class FolderLock:
    """path: the folder's, for messages; handle: the open folder itself."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle
        self._text = json.dumps(asdict(Holder.me())) + "\n"
        self._lost_to: Holder | None = None
        self._end = threading.Event()
        self._heart = threading.Thread(target=self._live, daemon=True)

    def check_free(self) -> None:
        """GsegError when a living process holds the folder. Nothing is changed."""
        self._dead_text()

    def take(self) -> None:
        """Hold the folder until `release`; GsegError as of `check_free`. The lock of a dead process is taken over."""
        while not self._create():
            if (text := self._dead_text()) is not None:
                self._remove_dead(text)
        self._heart.start()

    def check(self) -> None:
        """OutputError when another process took the folder over, as it may where this one slept for long."""
        if self._lost_to is not None:
            message = f"{self._path}: {self._lost_to} took it over while this one gave no sign of life"
            raise OutputError(message, "let that one finish; then run it again with --resume")

    def release(self) -> None:
        self._end.set()
        self._heart.join(1)
        with suppress(OSError):
            if self._read() == self._text:
                os.unlink(LOCK, dir_fd=self._handle)

    def _dead_text(self) -> str | None:
        """What the lock of a dead process says, None when there is no lock; GsegError for that of a living one."""
        if (text := self._written()) is not None and self._is_held(holder := Holder.of(text)):
            hint = "wait until it has finished, or choose another folder"
            if not holder.is_near:
                hint += f"; if it is dead, its lock counts for {STALE_S:.0f} s after its last sign of life"
            raise GsegError(f"{self._path}: in use by {holder}, since {holder.since}", hint)
        return text

    def _written(self) -> str | None:
        """What the lock says; one that was just created may say it a moment later."""
        for _ in range(20):
            text = self._read()
            if text is None or Holder.of(text).pid:
                break
            time.sleep(0.02)
        return text

    def _is_held(self, holder: Holder) -> bool:
        return holder.lives() if holder.is_near else self._age_s() < STALE_S

    def _age_s(self) -> float:
        """Seconds since the last beat, by the clock of the drive: those of two hosts may differ."""
        name = TEMPORARY_PREFIX + secrets.token_hex(6)
        file = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, dir_fd=self._handle)
        try:
            return os.fstat(file).st_mtime - os.stat(LOCK, dir_fd=self._handle).st_mtime
        except FileNotFoundError:  # released meanwhile
            return STALE_S
        finally:
            os.close(file)
            with suppress(FileNotFoundError):  # the holder removes what a killed process was writing
                os.unlink(name, dir_fd=self._handle)

    def _create(self) -> bool:
        """False when there is a lock. Exclusive creation is what network drives have, too."""
        try:
            file = os.open(LOCK, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666, dir_fd=self._handle)
        except FileExistsError:
            return False
        try:
            with os.fdopen(file, "w") as stream:
                stream.write(self._text)
        except BaseException:  # the disk is full; a lock that says nothing would hold the folder for STALE_S
            with suppress(OSError):
                os.unlink(LOCK, dir_fd=self._handle)
            raise
        return True

    def _read(self, name: str = LOCK) -> str | None:
        try:
            file = os.open(name, os.O_RDONLY, dir_fd=self._handle)
        except FileNotFoundError:
            return None
        try:
            return os.read(file, 10_000).decode(errors="replace")
        finally:
            os.close(file)

    def _remove_dead(self, text: str) -> None:
        """Aside first: since it was read, another process may have put its own lock in its place."""
        aside = TEMPORARY_PREFIX + secrets.token_hex(6)
        with suppress(FileNotFoundError):
            os.rename(LOCK, aside, src_dir_fd=self._handle, dst_dir_fd=self._handle)
            if self._read(aside) != text:
                with suppress(OSError):  # where it cannot be put back, its holder's next beat writes another
                    os.link(aside, LOCK, src_dir_fd=self._handle, dst_dir_fd=self._handle)
            os.unlink(aside, dir_fd=self._handle)

    def _live(self) -> None:
        while not self._end.wait(BEAT_S):
            with suppress(OSError):  # a drive that is away for a moment is back at another beat
                self._beat()

    def _beat(self) -> None:
        text = self._read()
        if text == self._text:
            os.utime(LOCK, dir_fd=self._handle)
        elif text is None:  # somebody tidied up
            self._create()
        else:
            self._lost_to = Holder.of(text)


def _place() -> str:
    """One boot of a machine and its table of processes, of which a container has its own; elsewhere than on Linux the
    name of the machine."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node()


def _start_of(pid: int) -> str | None:
    """When a process of this place began, "" where the system does not tell; None when it does not live."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:  # somebody else's
        pass
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return ""
    return None if state in (b"Z", b"X") else fields[18].decode()  # Z: dead, but nobody has asked how it ended
