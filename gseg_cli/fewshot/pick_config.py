"""How samples to label are picked. Needs no PyTorch."""

from dataclasses import dataclass

from gseg_cli.choices import Pick, check_choices


@dataclass(frozen=True, kw_only=True)
class PickConfig:
    """way: random, because on toy faces none was better with ten samples (benchmarks/pick.md).

    ConfigError for an unknown way.
    """

    way: Pick = "random"
    count: int = 10
    truncation_psi: float = 0.7
    seed: int = 0  # of random

    def __post_init__(self) -> None:
        check_choices(self)
