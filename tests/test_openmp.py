"""Training leaves cores to others, unless the user has said how threads wait."""

import os
import subprocess
import sys

import pytest

from gseg_cli.openmp import WAITING

SHOW = "import sys; sys.argv = ['gseg', '--version']; from gseg_cli.app import run; import atexit, os"
SHOW += "; atexit.register(lambda: print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)); run()"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
        ({"KMP_BLOCKTIME": "0"}, "None"),
    ],
)
def test_waiting_threads_sleep_soon_unless_the_user_says_otherwise(given: dict[str, str], expected: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in WAITING}
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-2:] == [expected, "False"]
