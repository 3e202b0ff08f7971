"""One thread, in which the newest work wins, and what somebody waits for comes before it."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
Work = Callable[[], Iterator[None]]
_log = logging.getLogger(__name__)


class Worker:
    """Goes through the work that was submitted last. Where work yields, newer work takes its place."""

    def __init__(self, name: str) -> None:
        self._changes = threading.Condition()
        self._newest: Work | None = None
        self._calls: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._is_closed = False
        # Daemon: a second Ctrl-C while `close` waits ends the process, not Python under a thread that computes.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> None:
        """For any thread."""
        with self._changes:
            self._newest = work
            self._changes.notify()

    def call(self, function: Callable[[], T]) -> T:
        """Run it in the thread where work yields next, and wait for what it returns or raises. For any other thread."""
        future: Future[T] = Future()
        with self._changes:
            if self._is_closed:
                future.cancel()
            else:
                self._calls.append((future, function))
            self._changes.notify()
        return future.result()

    def close(self) -> None:
        """Stop where the work yields next, and wait for that."""
        with self._changes:
            self._is_closed = True
            self._changes.notify()
        self._thread.join()
        for future, _ in self._calls:
            future.cancel()

    def _run(self) -> None:
        while self._wait():
            self._answer_calls()
            if work := self._take():
                self._go_through(work)

    def _wait(self) -> bool:
        """Until there is something to do; False at the end."""
        with self._changes:
            self._changes.wait_for(lambda: self._newest or self._calls or self._is_closed)
            return not self._is_closed

    def _take(self) -> Work | None:
        with self._changes:
            work, self._newest = self._newest, None
            return work

    def _go_through(self, work: Work) -> None:
        try:
            for _ in work():
                self._answer_calls()
                if self._newest or self._is_closed:
                    return
        except Exception:  # the next stroke may go well
            _log.exception("%s: failed", self._thread.name)

    def _answer_calls(self) -> None:
        while self._calls and not self._is_closed:
            future, function = self._calls.popleft()
            try:
                future.set_result(function())
            except Exception as error:  # belongs to whoever waits
                future.set_exception(error)
