"""Who may ask: programs, and the server's own page, under a name that is the server's.

Host stands against DNS rebinding, Origin against other pages of a browser on this machine, which can reach 127.0.0.1
too. Plain ASGI: Starlette's own base class for middleware slows every request down.
"""

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """names: those that the Host header may have, on any port; empty for any name."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app, self.names = app, {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # "lifespan": nothing to do; WebSockets there are none
            await self.app(scope, receive, send)
            return
        answer = self._refusal(Headers(scope=scope))
        await (answer or self.app)(scope, receive, with_headers(send, HEADERS))

    def _refusal(self, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or (self.names and _name(host) not in self.names):
            return refusal(403, f"Host {host!r} is not one of the server's names", "allow it with --allow-host")
        origin = headers.get("origin")
        # Only the name counts: a proxy before the server may speak https where the server speaks http.
        if origin is not None and _netloc(origin) != host.lower():
            return refusal(403, "a page of another server asks", "only the server's own page may")
        return None


def refusal(status: int, error: str, hint: str | None) -> Response:
    """An error as JSON. The connection ends with it: the rest of the body is not read."""
    return JSONResponse({"error": error, "hint": hint}, status, headers={"Connection": "close"})


def _netloc(origin: str) -> str | None:
    """Name and port; None for what is no address, such as http://[x]."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _name(host: str) -> str:
    """Without the port."""
    return re.sub(r":\d{1,5}$", "", host, flags=re.ASCII).lower()


def with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Sends the same, with these headers in every answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(headers)
        await send(message)

    return sending
