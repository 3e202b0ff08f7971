"""What decides the shape of a student."""

from dataclasses import dataclass

from gseg_cli.choices import StudentSize
from gseg_runtime.class_map import MAX_CLASSES
from gseg_runtime.errors import ConfigError

STRIDES = {"tiny": 8, "default": 16, "paper": 16, "lite0": 32}  # input pixels per pixel of the lowest level
PRETRAINED: StudentSize = "lite0"
ENLARGED = 2  # input pixels of a pretrained student for each of the GAN's: its features are coarse
LEAST_SIZE, ENLARGED_SIZE = 128, 256  # below the one they say little; beyond the other the GAN draws the detail itself


@dataclass(frozen=True, kw_only=True)
class NetConfig:
    """ConfigError for an unknown size, too few or too many classes, or an input the levels cannot halve evenly."""

    size: str = "default"  # one of STRIDES
    num_classes: int  # background included
    input_size: int  # side of the square input in pixels

    def __post_init__(self) -> None:
        if self.size not in STRIDES:
            raise ConfigError(f"student: expected one of {', '.join(STRIDES)}, got {self.size!r}")
        if not 2 <= self.num_classes <= MAX_CLASSES:
            raise ConfigError(f"student: expected 2 to {MAX_CLASSES} classes, got {self.num_classes}")
        if self.input_size < self.stride or self.input_size % self.stride:
            message = f"input_size: a {self.size} student needs a multiple of {self.stride}, got {self.input_size}"
            raise ConfigError(message, hint=f"the nearest is {self._nearest_size()}")

    @property
    def stride(self) -> int:
        return STRIDES[self.size]

    def _nearest_size(self) -> int:
        # Rounds half up: of two sizes as near as each other the one that loses no detail.
        return max(1, (2 * self.input_size + self.stride) // (2 * self.stride)) * self.stride


def usual_input_size(student: str, gan_size: int) -> int:
    """The side of a student's input for a GAN's images of that side."""
    if student != PRETRAINED:
        return gan_size
    size = max(LEAST_SIZE, gan_size, min(ENLARGED * gan_size, ENLARGED_SIZE))
    return -(-size // STRIDES[student]) * STRIDES[student]
