"""The server's life: a socket, and a clean end by Ctrl-C or a signal."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from gseg_runtime.errors import GsegError
from gseg_runtime.serving.connection import Connection

# asyncio takes as many connections at once before any can be refused; each that finds no file left to open is a
# traceback in the log.
_BACKLOG = 64


def listen(host: str, port: int) -> socket.socket:
    """Takes connections from now on; they wait until `run`. port: 0 takes a free one. GsegError when it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # With its protocol: asyncio tells by it that Nagle's algorithm is to be off, which makes an answer wait 40 ms.
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise GsegError(f"host {host}: {error.strerror}", "name an address of this machine with --host") from error
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise GsegError(f"{host}, port {port}: {error.strerror}", "choose another --port") from error
    listener.listen()
    return listener


def run(app: ASGIApp, listener: socket.socket, on_end: Callable[[], None] = lambda: None, *, patience_s: int) -> None:
    """Until Ctrl-C or a signal to end. on_end: is called first then; patience_s: what requests in hand get to end."""
    _Server(configured(app, patience_s), on_end).run(sockets=[listener])


def configured(app: ASGIApp, patience_s: int) -> uvicorn.Config:
    """log_level: what uvicorn warns of, such as a client's wish for HTTP/2, is nothing that anybody here can mend."""
    return uvicorn.Config(
        app, http=Connection, ws="none", lifespan="off", log_config=None, log_level="error", access_log=False,
        server_header=False, timeout_graceful_shutdown=patience_s, backlog=_BACKLOG,
    )  # fmt: skip


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_end: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_end = on_end

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, but a signal is not sent again at the end: there is still something to put away."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
