"""The page's server: a socket of this machine alone, and the address with the token."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.types import ASGIApp

from gseg_cli.label.tokens import Tokens
from gseg_runtime.errors import GsegError
from gseg_runtime.serving import server

HOST = "127.0.0.1"
_FIRST_PORT, _NUM_PORTS = 20_000, 12_000  # below those that systems give to whoever asks for any
_PATIENCE_S = 3  # that requests get to end


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
    listener = server.listen(HOST, port)
    port = listener.getsockname()[1]
    return Listener(listener, port, Tokens(f"gseg-label-{port}"))  # cookies do not know of ports


def listen_for(project: Path) -> Listener:
    """On the same port each time, where it is free: a page that was left open sends then what waits in it, and browsers
    keep by the port what was chosen on the page.
    """
    number = int.from_bytes(sha256(os.fsencode(project.resolve())).digest()[:4])
    try:
        return listen(_FIRST_PORT + number % _NUM_PORTS)
    except GsegError:
        return listen(0)


def serve(app: ASGIApp, listener: Listener, on_end: Callable[[], None]) -> None:
    """Until Ctrl-C or a signal to end. on_end: is called first then, to let go of what would stay open."""
    server.run(app, listener.socket, on_end, patience_s=_PATIENCE_S)
