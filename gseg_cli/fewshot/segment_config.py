"""How the teacher segments photos. Needs no PyTorch."""

from dataclasses import dataclass

from gseg_cli.choices import Fit


@dataclass(frozen=True, kw_only=True)
class PhotoSegmentConfig:
    """fit: see framing.py. batch: photos at once, None what suits the GAN. The rest as of `gseg segment`."""

    fit: Fit = "letterbox"
    batch: int | None = None
    overwrite: bool = False
    resume: bool = False
    full_names: bool = False
