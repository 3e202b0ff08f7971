"""A connection beside its requests: what is no HTTP is told so like all else, and nobody holds one for nothing."""

import asyncio
import json
import resource

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from gseg_runtime.serving.guard import HEADERS

PATIENCE_S = 30.0  # that the headers of a request may take, from the connection or the answer before on
_ROUNDS = 4  # of that, in which nothing of an answer is taken: the system has megabytes of it before it takes more
_HINT = "only HTTP/1.1 is spoken here, without TLS"


class Connection(H11Protocol):
    """uvicorn's, which waits for ever, and takes connections until no file can be opened any more."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > max_connections():
            (self._longest_idle() or self).transport.abort()
        self._watch()

    def _longest_idle(self) -> "Connection | None":
        """Of the connections that nobody uses; None when all are in use."""
        idle = [each for each in self.connections if isinstance(each, Connection) and each.is_idle]
        return min(idle, key=lambda each: each._end.when() if each._end else 0, default=None)

    @property
    def is_idle(self) -> bool:
        is_sending = self.transport.get_write_buffer_size() > 0
        return self._end is not None and not is_sending and not self.transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def handle_events(self) -> None:
        super().handle_events()
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._watch()

    def _watch(self) -> None:
        """Only while it is the other side's turn: a request that is being answered has limits of its own."""
        if self.cycle is not None and not self.cycle.response_complete and not self.flow.write_paused:
            self._forget()
        elif self._end is None:
            self._wait()

    def _wait(self, rounds: int = _ROUNDS) -> None:
        num_left = self.transport.get_write_buffer_size()
        self._end = self.loop.call_later(PATIENCE_S, self._lose_patience, num_left, rounds - 1)

    def _lose_patience(self, num_before: int, rounds: int) -> None:
        """num_before: bytes of an answer that were to be sent when it began; `close` would wait for these for ever."""
        num_left = self.transport.get_write_buffer_size()
        if not num_left:
            self.transport.close()
        elif num_left < num_before or rounds:
            self._wait(_ROUNDS if num_left < num_before else rounds)
        else:
            self.transport.abort()

    def _forget(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None

    def send_400_response(self, msg: str) -> None:
        """uvicorn's words, as JSON, unless the answer has begun: nothing that follows can be understood."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps({"error": msg, "hint": _HINT}).encode()
            told = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
            answer = h11.Response(status_code=400, reason="Bad Request", headers=list({**told, **HEADERS}.items()))
            for event in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


def max_connections() -> int:
    """Half of the files that this process may open, so that photos and models can be opened still."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if limit == resource.RLIM_INFINITY else limit // 2
