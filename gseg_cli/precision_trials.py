"""Which precision is quicker on this CPU: measured once for each kind of work, and remembered in a file.

The processor's flags do not tell. Of two with AVX-512 BF16, a step of distillation in bfloat16 takes two thirds of the
time of float32 on an AMD EPYC, and a quarter more on an Intel Xeon without AMX.
"""

import hashlib
import math
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from gseg_runtime.errors import GsegError
from gseg_runtime.files import read_json, write_json

FORMAT = 2  # of the file; raised, too, when a step costs something else, so that it is measured again
ROUNDS = 3
PATIENCE_S = 0.8  # after which no further round begins
GAIN = 0.95  # of float32's time: bfloat16 must be worth its lost bits

CpuPrecision = Literal["bf16", "fp32"]
PRECISIONS: tuple[CpuPrecision, ...] = ("fp32", "bf16")
Work = Callable[[], Any]
StartWork = Callable[[CpuPrecision], Work]  # what it returns computes one step in that precision


@dataclass(frozen=True)
class Trial:
    """CPU seconds of a step of `work`, with this version of PyTorch on so many threads."""

    work: str
    torch: str
    threads: int
    bf16: float
    fp32: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(seconds) and seconds > 0 for seconds in (self.bf16, self.fp32)):
            raise ValueError(f"expected seconds, got {self.bf16} and {self.fp32}")

    @property
    def quicker(self) -> CpuPrecision:
        return "bf16" if self.bf16 < GAIN * self.fp32 else "fp32"

    def __str__(self) -> str:
        times = f"{self.fp32:.3f} CPU seconds in fp32, {self.bf16:.3f} in bf16"
        return f"{self.quicker} for {self.work} (a trial step took {times})"

    def about(self) -> str:
        return f"{self}; PyTorch {self.torch}, threads: {self.threads}"


def try_once(work: str, threads: int, start: StartWork, file: Path | None) -> Trial:
    """The trial that `file` remembers, else a new one, which it then does. None remembers nothing."""
    import torch  # here, because `gseg doctor` reads what is remembered without it

    what, known = (work, torch.__version__, threads), remembered(file)
    if found := next((trial for trial in known if (trial.work, trial.torch, trial.threads) == what), None):
        return found
    with torch.random.fork_rng(devices=[]):
        least = measure(start)
    trial = Trial(*what, bf16=least["bf16"], fp32=least["fp32"])
    if file:
        with suppress(GsegError):  # it cannot be written: then each training measures
            write_json(file, _document(file) | {machine(): [asdict(one) for one in (*known, trial)], "format": FORMAT})
    return trial


def remembered(file: Path | None) -> list[Trial]:
    """Those of this machine; none where the file is missing, damaged or of another format."""
    try:
        return [Trial(**trial) for trial in _document(file).get(machine(), [])]
    except (TypeError, ValueError):
        return []


def _document(file: Path | None) -> dict[str, Any]:
    with suppress(GsegError):
        document = read_json(file) if file else None
        if isinstance(document, dict) and document.get("format") == FORMAT:
            return document
    return {}


def measure(start: StartWork, clock: Callable[[], float] = time.process_time) -> dict[CpuPrecision, float]:
    """CPU seconds of a step in each precision, the least of some.

    They take turns, so that whatever disturbs them disturbs both.
    """
    begun_s = time.monotonic()
    steps = {precision: start(precision) for precision in PRECISIONS}
    for step in steps.values():  # first calls choose kernels
        step()
    least: dict[CpuPrecision, float] = dict.fromkeys(PRECISIONS, math.inf)
    for i in range(ROUNDS):
        if i and time.monotonic() - begun_s > PATIENCE_S:
            break
        for precision, step in steps.items():
            before = clock()
            step()
            least[precision] = min(least[precision], round(clock() - before, 6))
    return least


def machine() -> str:
    """The processor's name and the digest of what it can do: a virtual machine may hide part of the same processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.system()} {platform.processor() or platform.machine()}"
    about = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    flags = about.get("flags") or about.get("Features") or ""
    return f"{about.get('model name', platform.machine())} {hashlib.sha256(flags.encode()).hexdigest()[:12]}"
