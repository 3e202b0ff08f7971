"""Addresses such as s3://bucket/photos, and how they are shown: what is secret in them is not."""

import re
from urllib.parse import urlsplit, urlunsplit

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]*://", re.IGNORECASE)


def is_address(text: str) -> bool:
    """Whether this is an address, and no path."""
    return _ADDRESS.match(text) is not None


def without_credentials(address: str) -> str:
    """Without user, password, and what stands behind a question mark, where signatures are."""
    if not is_address(address):
        return address
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip("/")


def without_secrets(text: str, address: str) -> str:
    """What a library says of an address, where it may have repeated what `without_credentials` leaves out."""
    parts = urlsplit(address) if is_address(address) else None
    for secret in (parts.password, parts.query) if parts else ():
        text = text.replace(secret, "...") if secret else text
    return text.replace(address, without_credentials(address))
