"""Seeds as people write them: "0-9,12,20-22"."""

import re
from collections.abc import Sequence

from gseg_runtime.errors import UsageError

MAX_SEED = 2**32 - 1  # what numpy.random.RandomState takes
MAX_COUNT = 1_000_000  # a slip of the keyboard, not a wish
HINT = "separate seeds and ranges by commas, for example 0-9,12,20-22"


def parse_seeds(text: str) -> list[int]:
    """The seeds in ascending order, each once; UsageError for anything else than numbers and ranges."""
    ranges = [_parse_range(part) for part in text.split(",")]
    count = sum(len(seeds) for seeds in ranges)
    if count > MAX_COUNT:
        raise UsageError(f"--seeds: expected at most {MAX_COUNT} seeds, got {count}", HINT)
    return sorted({seed for seeds in ranges for seed in seeds})


def format_seeds(seeds: Sequence[int]) -> str:
    """The reverse of `parse_seeds`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1][1:] = [seed]
        else:
            runs.append([seed])
    return ",".join("-".join(map(str, run)) for run in runs)


def _parse_range(part: str) -> range:
    match = re.fullmatch(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?", part, re.ASCII)
    if match is None:
        raise UsageError(f"--seeds: expected a number or a range, got {part!r}", HINT)
    first, last = int(match[1]), int(match[2] or match[1])
    if first > last:
        raise UsageError(f"--seeds: expected the smaller number first, got {part.strip()!r}", HINT)
    if last > MAX_SEED:
        raise UsageError(f"--seeds: expected numbers from 0 to {MAX_SEED}, got {last}", HINT)
    return range(first, last + 1)
