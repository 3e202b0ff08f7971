"""Streams that the caller closed, before the program began or while it ran: talk that nobody hears ends no run."""

import errno
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gseg_runtime.errors import OutputError


def open_closed_streams() -> None:
    """Point to nothing what was closed: the next file that is opened would have its number, and get its text."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number and _is_closed(number):
                os.dup2(nothing, number)
            setattr(sys, name, os.fdopen(nothing, mode))


def _is_closed(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError as error:
        return error.errno == errno.EBADF
    return False


@contextmanager
def unheard() -> Iterator[None]:
    """Go on where stdout or stderr leads to a program that has ended, as `head` does; what is said later is lost."""
    try:
        yield
    except BrokenPipeError:
        for number in (1, 2):
            if _is_broken(number):
                _give_up(number)


@contextmanager
def to_stdout() -> Iterator[None]:
    """For a result: OutputError when stdout leads to a full disk. Who stopped listening lost nothing."""
    try:
        with unheard():
            yield
            sys.stdout.flush()  # later, Python would say it in words of its own
    except OSError as error:
        _give_up(1)
        message = f"standard output: {error.strerror}"
        raise OutputError(message, "what the command says could not be written; its work is done") from error


def is_stdout_full() -> bool:
    """Whether something waits there that it does not take; it is given up then."""
    try:
        sys.stdout.flush()
    except OSError:
        _give_up(1)
        return True
    return False


@contextmanager
def as_far_as_heard() -> Iterator[None]:
    """For the last words: what stdout does not take, on a full disk for instance, was said on stderr."""
    try:
        yield
        sys.stdout.flush()
    except OSError:
        _give_up(1)


def _is_broken(number: int) -> bool:
    poll = select.poll()
    poll.register(number, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _give_up(number: int) -> None:
    """Point it to nothing: Python would try again to write what could not be written, at the latest when it ends."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, number)
    os.close(nothing)
