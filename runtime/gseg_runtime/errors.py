"""Errors a user can cause or repair.

Whoever knows the fact raises; the command line turns them into text in one place.
"""

from numbers import Integral


class GsegError(Exception):
    """Something went wrong that is not a bug.

    message: what, which file or key, expected and got. hint: what to do about it, None when there is nothing to add.
    exit_code: what the command line ends with.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(GsegError):
    """The call itself is wrong: options that contradict each other, a value out of its range."""

    exit_code = 2


def at_least_one(name: str, number: int | None) -> None:
    """UsageError for a number of something of which there must be one; None is no number, but a default."""
    if number is None:
        return
    if not isinstance(number, Integral):  # numpy's whole numbers are some, too
        raise UsageError(f"{name}: expected a whole number, got {number!r}")
    if number < 1:
        raise UsageError(f"{name}: expected 1 or more, got {number}")


class OutputError(GsegError):
    """The output folder, or its disk, takes no more."""


class BackendUnavailable(GsegError):  # noqa: N818 (a state, said as one)
    """An inference engine or device that was asked for cannot be had on this machine."""


class CheckpointError(GsegError):
    """A weights file is broken, or of another kind than expected."""


class ConfigError(GsegError):
    """A configuration file or a value in it is wrong."""


class ImageError(GsegError):
    """A picture cannot be read."""


class AnswerError(ImageError):
    """What a model says of one picture is nothing to make a mask of."""


class ModelCardError(GsegError):
    """A model carries no card, or one that this version cannot read."""


class ProjectError(GsegError):
    """The project folder lacks what a command needs."""
