"""The server's life: a socket of this machine alone, the address with the token, and a clean end."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from gseg_cli.label.tokens import Tokens
from gseg_runtime.errors import GsegError

HOST = "127.0.0.1"
_PATIENCE = 3  # seconds that requests get to end


@dataclass(frozen=True)
class Listener:
    """Takes connections as soon as it is there; they wait until `serve`."""

    socket: socket.socket
    port: int
    tokens: Tokens

    @property
    def address(self) -> str:
        """What a person opens; whoever has it may paint."""
        return f"http://{HOST}:{self.port}/?token={self.tokens.token}"

    @property
    def address_once(self) -> str:
        """The same, but it opens one time only."""
        return f"http://{HOST}:{self.port}/?token={self.tokens.once}"


def listen(port: int) -> Listener:
    """port: 0 takes a free one. GsegError when it is taken."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise GsegError(f"port {port}: {error.strerror}", "choose another --port, or leave it out") from error
    listener.listen()
    port = listener.getsockname()[1]
    return Listener(listener, port, Tokens(f"gseg-label-{port}"))  # cookies do not know of ports


def serve(app: ASGIApp, listener: Listener, on_end: Callable[[], None]) -> None:
    """Until Ctrl-C or a signal to end. on_end: is called first then, to let go of what would stay open."""
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, lifespan="off", ws="none",
        timeout_graceful_shutdown=_PATIENCE,
    )  # fmt: skip
    _Server(config, on_end).run(sockets=[listener.socket])


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
