"""How PyTorch's threads wait for one another on a CPU."""

import os

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # who sets one of them knows what they want
SPIN_COUNT = "1000"  # turns in a loop before a thread sleeps, well under a microsecond; GNU's own is 300,000


def share_cores() -> None:
    """Let threads that wait for others sleep soon; call it before PyTorch is imported, which reads this once.

    At each of thousands of barriers a second, a thread that spins takes the very core that the one waited for needs,
    where other programs run too (benchmarks/threads.md).
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
