"""Who may speak to the server: a page that it gave out itself, to the person who started it, on this machine.

Names in Host stand against DNS rebinding, Origin against other pages of this browser, which share its cookies with any
port of 127.0.0.1. Plain ASGI, because Starlette's own base class for middleware does not let streams through.
"""

import re
from collections.abc import Mapping
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gseg_cli.label.tokens import Tokens
from gseg_runtime.serving import guard

_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?", re.ASCII)  # any port: it may be forwarded, by ssh -L
_READING = ("GET", "HEAD")
HEADERS: Mapping[str, str] = {**guard.HEADERS, "Cross-Origin-Opener-Policy": "same-origin"}


class Guard:
    """ASGI middleware. max_body: bytes that a request may bring."""

    def __init__(self, app: ASGIApp, tokens: Tokens, max_body: int) -> None:
        self.app, self.tokens, self.max_body = app, tokens, max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, guard.with_headers(send, HEADERS))
        else:  # a WebSocket: there are none
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        if answer := self._first_answer(scope):
            await answer(scope, receive, send)
        else:
            await self.app(scope, self._bounded(receive), send)

    def _first_answer(self, scope: Scope) -> Response | None:
        """What is said instead of passing the request on; None for a good one."""
        headers = Headers(scope=scope)
        host, is_reading = headers.get("host", ""), scope["method"] in _READING
        if len(headers.getlist("host")) != 1 or not _HOST.fullmatch(host):
            return guard.refusal(
                403, "this name is not one of the server's", "open the address that gseg label printed"
            )
        if not is_reading and headers.get("origin") != f"http://{host}":
            return guard.refusal(403, "only the server's own page may change something", "reload the page")
        if scope["path"] == "/" and is_reading and self.tokens.admit(_token_in(scope)):
            return self._welcome()
        cookies = HTTPConnection(scope).cookies  # as browsers mean them: http.cookies drops all for one odd one
        if not self.tokens.is_cookie(cookies.get(self.tokens.cookie_name, "")):
            return guard.refusal(403, "not admitted", "open the address that gseg label printed, with its token")
        if not _is_at_most(headers.get("content-length", "0"), self.max_body):
            return guard.refusal(413, self._limit, "send less")
        return None

    def _welcome(self) -> Response:
        """To the page, without the token in its address: neither the history nor a Referer shall hold it."""
        answer = RedirectResponse("/", status_code=303)
        answer.set_cookie(self.tokens.cookie_name, self.tokens.cookie, httponly=True, samesite="strict", path="/")
        return answer

    def _bounded(self, receive: Receive) -> Receive:
        """A body may come in parts without saying how long it gets."""
        num_bytes = 0

        async def bounded() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self.max_body:
                raise HTTPException(413, self._limit)
            return message

        return bounded

    @property
    def _limit(self) -> str:
        return f"more than {self.max_body} bytes at once"


def _token_in(scope: Scope) -> str:
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]


def _is_at_most(length: str, limit: int) -> bool:
    return re.fullmatch(r"\d{1,15}", length, re.ASCII) is not None and int(length) <= limit
