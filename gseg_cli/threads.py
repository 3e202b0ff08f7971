"""How many threads a training computes with on a CPU that other programs use too.

Threads meet at thousands of barriers a second, and spin there. Beside another busy program one of them waits for a core
that it shares, and the others burn theirs: fewer threads get about twice as much done
(benchmarks/threads.md).
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from gseg_cli.steps import OnStep, Say, Step

STAT = Path("/proc/stat")
SETTING = "OMP_NUM_THREADS"  # who sets it knows what they want
FIRST_S, AGAIN_S = 0.3, 20.0  # how long the first look takes, and how often there is another


@dataclass(frozen=True)
class Load:
    """Seconds: of the clock, that all programs computed on this process's cores, and that it did itself."""

    clock: float
    all: float
    own: float

    @classmethod
    def now(cls) -> "Load | None":
        """None where the system does not tell. Programs of low priority are left out: they give way."""
        try:
            lines = [line.split() for line in STAT.read_text().splitlines()]
            ours = {f"cpu{core}" for core in os.sched_getaffinity(0)}
            times = [list(map(int, line[1:])) for line in lines if line and line[0] in ours]
            ticks = sum(user + system + irq + softirq for user, _, system, _, _, irq, softirq, *_ in times)
        except (OSError, ValueError):
            return None
        return cls(time.monotonic(), ticks / os.sysconf("SC_CLK_TCK"), time.process_time())

    def others_since(self, before: "Load") -> float:
        """Cores that other programs kept busy in between."""
        spent = (self.all - before.all) - (self.own - before.own)
        return max(0.0, spent / (self.clock - before.clock))


class SharedCores:
    """Computes on as many cores as other programs leave, which it looks at now and then.

    It changes nothing on a GPU, where the user has set the number of threads, or where the system does not tell.
    """

    def __init__(self, device: torch.device, say: Say) -> None:
        self.most, self.say = torch.get_num_threads(), say
        is_ours = device.type == "cpu" and self.most > 1 and SETTING not in os.environ
        self.seen = Load.now() if is_ours else None
        if self.seen:
            time.sleep(FIRST_S)
            self.look()

    def watched(self, on_step: OnStep) -> OnStep:
        """`on_step`, and a look when it is time for one."""

        def step(step: Step) -> None:
            on_step(step)
            if self.seen and time.monotonic() - self.seen.clock > AGAIN_S:
                self.look()

        return step

    def look(self) -> None:
        before, self.seen = self.seen, Load.now()
        if before is None or self.seen is None:
            return
        others, cores = self.seen.others_since(before), len(os.sched_getaffinity(0))
        threads = max(1, min(self.most, cores - round(others)))
        if threads != torch.get_num_threads():
            torch.set_num_threads(threads)
            self.say(f"threads: {threads}, for other programs keep {others:.1f} of {cores} cores busy")
