"""How long work will take, in words, for those who are about to start it."""

import time
from collections.abc import Callable

LONG_S = 120.0  # work that takes less is not announced
# A piece that takes less is timed a second time. What is made once takes a second or two, more on a busy machine, and
# would be counted as often as there are pieces.
QUICK_S = 10.0


def seconds_of(piece: Callable[[], object]) -> float:
    """Of one call, on a CPU; the piece is called once, or twice."""
    for _ in range(2):
        start_s = time.monotonic()
        piece()
        if (spent_s := time.monotonic() - start_s) > QUICK_S:
            break
    return spent_s


def told(seconds: float) -> str:
    """`40 seconds`, `5 minutes`, `3.2 hours`: as exact as a guess can be."""
    if seconds < 90:
        return f"{max(2, round(seconds))} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
