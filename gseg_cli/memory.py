"""What becomes of memory that a training frees on a CPU: it is asked for again at the next step."""

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST = 2**30  # bytes of a piece that is kept
SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")  # who sets one knows what they want


def keep_freed_memory() -> None:
    """Let this process keep what it frees, where its C library is glibc and the user has set nothing.

    By default glibc returns large pieces to the system, which must clear each page before it hands it out again: up
    to a tenth of a step.
    """
    if sys.platform != "linux" or any(name in os.environ for name in SETTINGS):
        return
    if (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
