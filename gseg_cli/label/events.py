"""What listening pages are told, whatever thread has something to tell."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

_PAUSE_S = 15  # after which a comment is sent, so that a page that is gone is noticed
_MAX_WAITING = 1000  # messages; a page that takes none any more is let go

_Queue = asyncio.Queue[bytes | None]


class Events:
    """Server-sent events: every listener gets all that is published from when it began to listen."""

    def __init__(self) -> None:
        self._listeners: dict[_Queue, asyncio.AbstractEventLoop] = {}
        self._is_over = False

    def publish(self, name: str, **data: Any) -> None:
        """Tell all; for any thread."""
        self._put(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())

    def end(self) -> None:
        """Let all go, and whoever comes after."""
        self._is_over = True
        self._put(None)

    async def listen(self) -> AsyncIterator[bytes]:
        """What is published, as it goes over the wire."""
        queue: _Queue = asyncio.Queue()
        self._listeners[queue] = asyncio.get_running_loop()
        try:
            yield b": hello\n\n"
            while not self._is_over and (message := await _next(queue)) is not None:
                yield message
        finally:
            del self._listeners[queue]

    def _put(self, message: bytes | None) -> None:
        for queue, loop in list(self._listeners.items()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, message if queue.qsize() < _MAX_WAITING else None)


async def _next(queue: _Queue) -> bytes | None:
    try:
        return await asyncio.wait_for(queue.get(), _PAUSE_S)
    except TimeoutError:
        return b": still here\n\n"
