"""The memory of this machine: how much is free, and what becomes of what a training frees on a CPU."""

import ctypes
import os
import re
import sys
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST = 2**30  # bytes of a piece that is kept
SETTINGS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")  # who sets one knows what they want

# Linux's own words, and what a container may use at most, as version 2 and version 1 of its control groups say it.
MEMINFO = Path("/proc/meminfo")
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def free_bytes() -> int | None:
    """What this process may still take without swapping; None where the system does not tell as Linux does."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", MEMINFO.read_text(), re.MULTILINE)
    except OSError:
        return None
    limits = (path.read_text().strip() for path in LIMITS if path.is_file())
    return min([int(found[1]) * 1024, *map(int, filter(str.isdecimal, limits))]) if found else None


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
