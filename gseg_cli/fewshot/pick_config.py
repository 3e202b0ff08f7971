"""How samples to label are picked. Needs no PyTorch."""

from dataclasses import dataclass

from gseg_runtime.errors import UsageError

WAYS = ("random", "diverse", "uncertain")


@dataclass(frozen=True, kw_only=True)
class PickConfig:
    """way: random, because on toy faces none was better with ten samples (benchmarks/pick.md)."""

    way: str = "random"
    count: int = 10
    truncation_psi: float = 0.7
    seed: int = 0  # of random

    def __post_init__(self) -> None:
        if self.way not in WAYS:
            raise UsageError(f"--pick: expected one of {', '.join(WAYS)}, got {self.way!r}")
