"""How photos are inverted. Needs no PyTorch."""

from dataclasses import dataclass

from gseg_cli.choices import Space, check_choices
from gseg_runtime.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class InvertConfig:
    """space: see invert.py. noise: whether the noise maps are optimised too; without, the latents alone draw the image.

    ConfigError for an unknown space, or less than one step.
    """

    space: Space = "f"
    steps: int = 200
    noise: bool = True
    lr: float = 0.1
    prior: float = 0.05  # weight of a latent's distance from those of samples
    noise_weight: float = 1e5  # of the noise maps' structure, as rosinality has it
    change_lr: float = 0.02
    change_weight: float = 0.1  # of the mean square of the features' change, in their own deviations

    def __post_init__(self) -> None:
        check_choices(self)
        if self.steps < 1:
            raise ConfigError(f"steps: expected 1 or more, got {self.steps}")
