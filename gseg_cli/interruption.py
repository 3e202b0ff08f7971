"""Ctrl-C and SIGTERM: a training finishes and saves the step in hand, so that the run can be gone on with."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gseg_runtime.errors import GsegError

EXIT_CODE = 130  # of a shell's program that Ctrl-C ended
ONCE_S = 1.0  # torchrun and `uv run` pass on a signal that the terminal sent to all: that is one Ctrl-C, not two


class Interrupted(GsegError):  # noqa: N818 (no error: somebody asked for it)
    """Somebody ended the training; what it had learned is saved."""

    exit_code = EXIT_CODE

    def __init__(self) -> None:
        super().__init__("interrupted", "what was trained is saved: --resume goes on from there")


class Interruption:
    """Whether somebody asked a training to end."""

    def __init__(self) -> None:
        self._asked_s: float | None = None

    @property
    def is_asked(self) -> bool:
        return self._asked_s is not None

    def ask(self, number: int, frame: FrameType | None) -> None:
        """A handler of signals. The second Ctrl-C does not wait for anything."""
        now_s = time.monotonic()
        if self._asked_s is not None and now_s - self._asked_s >= ONCE_S:
            raise KeyboardInterrupt
        self._asked_s = self._asked_s or now_s


@contextmanager
def put_off(*, is_saved: bool = True) -> Iterator[Interruption]:
    """Ctrl-C, and SIGTERM as schedulers send it, only asks here; a second one raises KeyboardInterrupt.

    What the process ignores, as under nohup, it still ignores. Nothing changes where nothing is saved, and outside the
    main thread, which alone gets signals.
    """
    interruption = Interruption()
    is_of_use = is_saved and threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM) if is_of_use}
    changed = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in changed:
        signal.signal(number, interruption.ask)
    try:
        yield interruption
    finally:
        for number, handler in changed.items():
            signal.signal(number, handler)


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """SIGTERM, as schedulers send it, raises KeyboardInterrupt here, so that locks are let go.

    Without a handler it would end the process on the spot, and be ignored by the first process of a container.
    """
    is_usual = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if not is_usual or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
