"""What libtiff complains of, which it writes to stderr by itself, without a word of which file it means.

Pillow leaves libtiff's own handler of errors in place. Ours gets the words in the thread that decodes, so no stream is
redirected and no other thread loses a line.
"""

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from PIL import _imaging

# void handler(const char* module, const char* format, va_list arguments); a va_list is passed as a pointer wherever
# Python and Pillow run.
_HANDLER = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
_MOST_BYTES = 500
_heard = threading.local()


@contextmanager
def heard_errors() -> Iterator[list[str]]:
    """The errors that libtiff reports in this thread meanwhile, each once. Empty where it cannot be asked."""
    _listen()
    errors: list[str] = []
    _heard.errors = errors
    try:
        yield errors
    finally:
        _heard.errors = None


@cache
def _listen() -> bool:
    """Once for the process. False where Pillow holds libtiff out of reach: then it goes on writing to stderr."""
    library = ctypes.CDLL(_imaging.__file__)
    if not hasattr(library, "TIFFSetErrorHandler"):
        return False
    library.TIFFSetErrorHandler.argtypes = [ctypes.c_void_p]
    library.TIFFSetErrorHandler.restype = ctypes.c_void_p
    library.TIFFSetErrorHandler(ctypes.cast(_hear, ctypes.c_void_p))
    return True


def _format(template: bytes, arguments: int) -> str:
    text = ctypes.create_string_buffer(_MOST_BYTES)
    ctypes.CDLL(None).vsnprintf(text, ctypes.c_size_t(_MOST_BYTES), template, ctypes.c_void_p(arguments))
    return text.value.decode(errors="replace")


@_HANDLER
def _hear(module: bytes | None, template: bytes, arguments: int) -> None:
    origin = (
        "" if module in (None, b"tempfile.tif") else f"{module.decode(errors='replace')}: "
    )  # Pillow's made-up name
    message = f"{origin}{_format(template, arguments)}"
    errors = getattr(_heard, "errors", None)
    if errors is None:  # somebody else's picture
        print(message, file=sys.stderr)
    elif message not in errors:
        errors.append(message)
