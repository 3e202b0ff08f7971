"""How long `gseg --help` takes, against the bare interpreter and against an eager import of PyTorch.

python -m benchmarks.startup
"""

import resource
import subprocess
import sys
from statistics import median

from benchmarks.cells import ROOT, made

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "gseg --help": ["-m", "gseg_cli", "--help"],
    "gseg segment --help": ["-m", "gseg_cli", "segment", "--help"],
    "python -c 'import torch'": ["-c", "import torch"],
}
REPEATS = 7


def cpu_s(args: list[str]) -> float:
    """CPU seconds of one process, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *args], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    about = made()
    lines = [
        "# Start-up",
        "",
        f"CPU seconds of a whole process, median of {REPEATS}. Made by `python -m benchmarks.startup`, commit",
        f"{about['commit']}, {about['date']}, {about['hardware']}.",
        "",
        "| command | CPU s | ratio to the bare interpreter |",
        "|---|---:|---:|",
    ]
    times = {name: median(cpu_s(args) for _ in range(REPEATS)) for name, args in COMMANDS.items()}
    bare = times["python -c pass"]
    lines += [f"| `{name}` | {seconds:.2f} | {seconds / bare:.1f} |" for name, seconds in times.items()]
    (ROOT / "startup.md").write_text("\n".join([*lines, ""]))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
