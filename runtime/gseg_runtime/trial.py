"""One convolution on a device, by the way that photos take: python -m gseg_runtime.trial DEVICE.

A process of its own, because a broken engine may end it. The last line on stdout is JSON: what went wrong, or "".
"""

import json
import subprocess
import sys
from pathlib import Path

from gseg_runtime.backends import choose
from gseg_runtime.errors import GsegError

MODEL = Path(__file__).with_name("trial.onnx")  # tests/runtime/test_trial.py makes it
TIMEOUT_S = 120.0  # TensorRT builds an engine


def trial(device: str) -> str:
    """Why `device` cannot run a model, or "" when it can."""
    command = [sys.executable, "-m", "gseg_runtime.trial", device]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, errors="replace")
    except subprocess.TimeoutExpired:
        return f"device {device}: one inference takes more than {TIMEOUT_S:.0f} seconds"
    if done.returncode:
        return f"device {device}: one inference ends the process (code {done.returncode})"
    return json.loads(done.stdout.splitlines()[-1])


def _problem(device: str) -> str:
    try:
        choose(MODEL, device, batch=1).close()  # which infers once
    except GsegError as error:
        return " ".join(error.message.split())
    return ""


if __name__ == "__main__":
    print("\n" + json.dumps(_problem(sys.argv[1])))
