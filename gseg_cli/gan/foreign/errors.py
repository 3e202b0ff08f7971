"""How the reader says no. The messages name no file: `read_foreign` puts its path in front."""

from gseg_runtime.errors import CheckpointError


def damaged(what: str) -> CheckpointError:
    return CheckpointError(
        what, "the file is damaged, or made to do harm; download it again from where it was published"
    )


def shown(name: str, most: int = 100) -> str:
    """A name from a file, fit to be printed: short, on one line, without control characters and look-alike letters."""
    return ascii(name[:most])[1:-1]
