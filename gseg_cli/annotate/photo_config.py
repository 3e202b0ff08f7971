"""How labelled photos are taken into the GAN. Needs no PyTorch."""

from collections.abc import Collection
from dataclasses import dataclass

from gseg_cli.choices import Fit, PhotoSpace, check_choices


@dataclass(frozen=True, kw_only=True)
class PhotoImportConfig:
    """max_error: in levels of 255, beyond it a photo is left out; fit: framing.py. ConfigError for an unknown word."""

    leave_out: Collection[str] = ()
    max_error: float | None = None
    space: PhotoSpace = "w+"
    steps: int = 300
    fit: Fit = "letterbox"
    class_index: int | None = None  # of a conditional GAN
    seed: int = 0

    def __post_init__(self) -> None:
        check_choices(self)
