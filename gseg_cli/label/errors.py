"""What the page may be told besides the errors that every command knows."""

from gseg_runtime.errors import GsegError


class NotThereError(GsegError):
    """What was asked for by its id is not there, or not any more."""


class StaleError(GsegError):
    """A change was made to labels that are not the newest; rev is the newest."""

    def __init__(self, seed: int, rev: int) -> None:
        super().__init__(
            f"sample {seed}: was changed elsewhere since", "load its labels again; is it open in two tabs?"
        )
        self.rev = rev


class UnsavedError(GsegError):
    """The disk does not take a change now; it may later, as when room was made or the project was moved back."""
