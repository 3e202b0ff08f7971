"""Asking again: what a busy server refuses now, it may give a moment later."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from gseg_runtime.errors import GsegError

T = TypeVar("T")

# The answer would be the same. Errors of wrong credentials are of the libraries' own kinds, see `is_refusal`.
_FINAL = (
    *(FileNotFoundError, PermissionError, FileExistsError, NotADirectoryError, IsADirectoryError),
    *(GsegError, ImportError, TypeError, ValueError, NotImplementedError),
)


@dataclass(frozen=True)
class Patience:
    """attempts: in all; pause_s: before the second, twice as long before each next one, less a part by chance, so that
    many processes do not come back at once. deadline_s: that one attempt may take.
    """

    attempts: int = 4
    pause_s: float = 0.5
    deadline_s: float = 60.0

    def ask(self, call: Callable[[], T]) -> T:
        """What `call` returns at last, or the error of its last attempt."""
        for attempt in range(1, self.attempts):
            try:
                return call()
            except Exception as error:  # libraries raise nearly anything when a line breaks
                if is_final(error):
                    raise
            time.sleep(self.pause_s * 2 ** (attempt - 1) * random.uniform(0.5, 1))
        return call()


def is_final(error: Exception) -> bool:
    """Whether asking again is of no use."""
    return isinstance(error, _FINAL) or is_refusal(error)


def is_refusal(error: Exception) -> bool:
    """Whether somebody may not do this at all, so that the next file would fare no better."""
    return isinstance(error, PermissionError) or "Credential" in type(error).__name__
