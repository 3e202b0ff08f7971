"""A lock that several processes share."""

from types import TracebackType


class ProcessLock:
    """Of a file that all of them have open; one process that holds it may take it again. For one thread of each.

    The system frees it when its holder ends, however that happens.
    """

    def __init__(self, handle: int) -> None:
        """handle: of a file that is open for writing; a child may have inherited it."""
        self._handle, self._depth = handle, 0

    def __enter__(self) -> None:
        if not self._depth:
            self._do("LOCK_EX")
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if not self._depth:
            self._do("LOCK_UN")

    def _do(self, what: str) -> None:
        import fcntl  # not on Windows

        fcntl.lockf(self._handle, getattr(fcntl, what))
