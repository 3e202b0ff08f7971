"""Step `tests`: the tests that carry the marker gpu."""

import re
import subprocess
import sys

from benchmarks.cells import made
from benchmarks.gpu.setting import Figures, Setting


def measure(s: Setting) -> None:
    s.cell("tests", {"marker": "gpu", "commit": made(s.device)["commit"]}, lambda: run_marked(s))


def run_marked(s: Setting) -> Figures:
    """How many passed, failed and were skipped; the log is kept in DIR/tests.log. RuntimeError when one fails."""
    # Other versions of PyTorch than the pinned one may warn of other things.
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-W", "default", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, capture_output=True, text=True)
    (s.out / "tests.log").write_text(done.stdout + done.stderr)
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", done.stdout)}
    figures = {word: found.get(word, 0) for word in ("passed", "failed", "skipped", "error")}
    if figures["failed"] or figures["error"] or done.returncode not in (0, 5):
        raise RuntimeError(f"{figures}, exit code {done.returncode}: see {s.out / 'tests.log'}")
    return figures
