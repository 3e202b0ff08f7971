"""How much memory is free, and that training does not ask the system for the same again and again."""

import os
import subprocess
import sys

import pytest

from gseg_cli import memory
from gseg_cli.memory import SETTINGS, free_bytes

# Page faults of taking and freeing 64 MB, twenty times.
COUNT = """
import resource, numpy
from gseg_cli.memory import keep_freed_memory
keep_freed_memory()
numpy.ones(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    numpy.ones(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be told")
def test_freed_memory_is_kept_unless_the_user_says_otherwise() -> None:
    def faults(**settings: str) -> int:
        environment = {name: value for name, value in os.environ.items() if name not in SETTINGS} | settings
        return int(
            subprocess.run([sys.executable, "-c", COUNT], env=environment, capture_output=True, check=True).stdout
        )

    assert faults() < 100
    assert faults(MALLOC_MMAP_THRESHOLD_="1000000") > 200


def test_free_memory_is_the_systems_or_what_a_container_may_use(tmp_path, monkeypatch) -> None:
    meminfo, limit, none = tmp_path / "meminfo", tmp_path / "memory.max", tmp_path / "none"
    monkeypatch.setattr(memory, "MEMINFO", meminfo)
    monkeypatch.setattr(memory, "LIMITS", (limit, none))
    assert free_bytes() is None
    meminfo.write_text("MemTotal:  8000 kB\nMemAvailable:   4000 kB\n")
    assert free_bytes() == 4000 * 1024
    limit.write_text("max\n")
    assert free_bytes() == 4000 * 1024
    limit.write_text("1048576\n")
    assert free_bytes() == 2**20
