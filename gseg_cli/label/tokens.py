"""The secrets of one server."""

import secrets
import threading
from dataclasses import dataclass, field


def _secret() -> str:
    return secrets.token_urlsafe(32)


@dataclass
class Tokens:
    """token: of the address that is printed. once: of the address that a browser is started with; others on the machine
    see the arguments of programs, so it opens one time. cookie: what either earns.
    """

    cookie_name: str
    token: str = field(default_factory=_secret, repr=False)
    once: str = field(default_factory=_secret, repr=False)
    cookie: str = field(default_factory=_secret, repr=False)
    _mutex: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def admit(self, given: str) -> bool:
        """Whether this opens the page."""
        with self._mutex:
            if self.once and _same(given, self.once):
                self.once = ""
                return True
        return _same(given, self.token)

    def is_cookie(self, given: str) -> bool:
        return _same(given, self.cookie)


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), secret.encode())
