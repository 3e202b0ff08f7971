"""What a GAN training is: every number of it. Needs no PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from gseg_cli.choices import Arch, Augment, Discriminator, Fit, GanPrecision, check_choices
from gseg_cli.gan.networks.config import make_config
from gseg_cli.saved_values import ANY_LENGTH, COUNT, SHARE, check_ranges, check_values
from gseg_runtime.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from gseg_cli.gan.load import GanFile

Box = tuple[int, int, int, int]  # left, top, right, bottom, in pixels
DEFAULT_FIT: Fit = "crop"
CLAMP = 256.0  # of activations in half precision, as in stylegan2-ada-pytorch
SMALLEST_PROJECTED = 16  # pixels: the features of a larger picture are those of 32
NUM_FP16_RES = 4  # the highest resolutions; the others stay in single precision
# Of the numbers that the options check; no others are saved.
RANGES = {
    **dict.fromkeys(("batch", "microbatch", "r1_interval", "pl_interval"), COUNT),
    **dict.fromkeys(("kimg", "lr", "r1_gamma", "pl_weight", "ema_kimg", "ada_kimg"), ANY_LENGTH),
    **dict.fromkeys(("num_classes", "held_out", "seed", "snapshot_minutes"), ANY_LENGTH),
    **dict.fromkeys(("style_mixing", "ema_rampup", "augment_p"), SHARE),
    "ada_target": (-1, 1),  # a mean of signs
}


@dataclass(frozen=True, kw_only=True)
class GanTrainConfig:
    """A resolved configuration; lengths are in thousands of real images shown (kimg). `auto_config` makes one.

    The defaults are those of runs that were saved before a key existed, so that they go on as they began.
    """

    arch: Arch = "stylegan2"
    discriminator: Discriminator = "stylegan2"  # projected: on features of a network that knows ImageNet
    resolution: int = 64
    channel_base: int = 1024
    channel_max: int = 128
    z_dim: int = 128
    mapping_layers: int = 2
    num_classes: int = 0  # of a conditional GAN
    alpha: bool = False  # a fourth channel, how opaque each pixel is
    kimg: float = 200.0
    batch: int = 16  # images per step, over all processes
    microbatch: int | None = None  # images computed at once; None: all of a step
    lr: float = 0.0025
    r1_gamma: float = 1.0
    r1_interval: int = 16  # steps between R1 penalties
    pl_weight: float = 0.0
    pl_interval: int = 4
    style_mixing: float = 0.9
    ema_kimg: float = 5.0  # half-life of the weight average
    ema_rampup: float | None = 0.05  # at most this share of the images shown so far
    mirror: bool = True
    augment: Augment = "none"
    augment_p: float = 0.0  # of fixed
    ada_target: float = 0.6  # of the mean sign of D's logits of reals
    ada_kimg: float = 500.0  # in which ADA's p can go from 0 to 1
    held_out: int = 0  # photos not trained on, to measure against
    precision: GanPrecision = "auto"
    seed: int = 0
    snapshot_minutes: float = 5.0

    def __post_init__(self) -> None:
        check_choices(self)
        if not 0 <= self.augment_p <= 1:
            raise ConfigError(f"augment_p: expected 0 to 1, got {self.augment_p}")
        if self.microbatch is not None and (self.microbatch < 1 or self.batch % self.microbatch):
            raise ConfigError(f"microbatch: expected a divisor of the batch of {self.batch}, got {self.microbatch}")
        for name in ("num_classes", "alpha"):
            if getattr(self, name) and self.arch != "stylegan2":
                raise ConfigError(f"{name}: a {self.arch} has none", "leave out --conditional and --alpha, or --arch")
        if self.discriminator == "projected":
            _check_projected(self)
        make_config(self.arch, self.network())  # raises before anything is read or written

    def network(self) -> dict[str, Any]:
        """The arguments of the generator's own config."""
        names = {"img_resolution": self.resolution, "channel_base": self.channel_base, "channel_max": self.channel_max}
        mapping = {"w_dim": self.z_dim, "mapping_layers": self.mapping_layers} if self.arch == "stylegan2" else {}
        half = self.arch == "stylegan2" and self.precision == "fp16"
        clamp = {"conv_clamp": CLAMP, "discriminator": {"conv_clamp": CLAMP}} if half else {}
        classes = {"c_dim": self.num_classes} if self.num_classes else {}
        channels = {"img_channels": 4} if self.alpha else {}
        return {**names, "z_dim": self.z_dim, **mapping, **clamp, **classes, **channels}

    def like(self, gan: "GanFile") -> "GanTrainConfig":
        """The same training, of networks as wide and deep as this one, of as many classes, and with alpha if it has."""
        names = ("channel_base", "channel_max", "z_dim", "mapping_layers")
        given = {name: getattr(gan.config, name) for name in names if hasattr(gan.config, name)}
        alpha, num_classes = getattr(gan.config, "img_channels", 3) in (2, 4), getattr(gan.config, "c_dim", 0)
        return replace(self, arch=cast(Arch, gan.kind), num_classes=num_classes, alpha=alpha, **given)


def _check_projected(config: GanTrainConfig) -> None:
    """It judges colours alone. R1 and augmentation are for the time after it."""
    wanted = {"arch": "stylegan2", "num_classes": 0, "alpha": False}
    for name, value in wanted.items():
        if (got := getattr(config, name)) != value:
            message = f"{name}: with the projected discriminator expected {value}, got {got}"
            raise ConfigError(message, f"leave out --{name.replace('_', '-')}, or use --discriminator stylegan2")
    if config.resolution < SMALLEST_PROJECTED:
        raise ConfigError(
            f"resolution: with the projected discriminator expected {SMALLEST_PROJECTED} or more, got "
            f"{config.resolution}", "use --discriminator stylegan2",
        )  # fmt: skip


def parse_augment(text: str) -> dict[str, Any]:
    """`--augment`: ada, none, or the probability to keep to; UsageError for anything else."""
    if text in ("ada", "none"):
        return {"augment": text}
    try:
        p = float(text)
    except ValueError as error:
        raise UsageError(f"--augment: expected ada, none or a number from 0 to 1, got {text!r}") from error
    if not 0 <= p <= 1:
        raise UsageError(f"--augment: expected a number from 0 to 1, got {text}")
    return {"augment": "fixed", "augment_p": p}


def check_given(given: Mapping[str, Any]) -> None:
    """UsageError for numbers that are wrong whatever is chosen for the others."""
    resolution, batch, microbatch = (given.get(name) for name in ("resolution", "batch", "microbatch"))
    if resolution and resolution & (resolution - 1):
        raise UsageError(f"--resolution: expected a power of two, 8 or more, got {resolution}")
    if batch and microbatch and batch % microbatch:
        raise UsageError(f"--microbatch: expected a divisor of the batch of {batch}, got {microbatch}")


def parse_box(text: str) -> Box:
    """`left,top,right,bottom` in pixels; UsageError when it is not a box."""
    try:
        left, top, right, bottom = (int(part) for part in text.split(","))
    except ValueError as e:
        raise UsageError(f"--crop: expected left,top,right,bottom, got {text!r}") from e
    if not (0 <= left < right and 0 <= top < bottom):
        raise UsageError(f"--crop: expected 0 <= left < right and 0 <= top < bottom, got {text}")
    return left, top, right, bottom


def check_square(box: Box, fit: Fit) -> None:
    """UsageError for a box that would be squeezed: whoever segments photos later shows them as they are."""
    width, height = box[2] - box[0], box[3] - box[1]
    if width != height and fit == "crop":
        message = f"--crop: expected a square, got a box of {width} x {height} pixels"
        raise UsageError(message, "cut out a square, or add --fit letterbox, which puts grey beside the box")


@dataclass(frozen=True)
class _Framing:
    """What config.json also holds."""

    fit: Fit
    crop: Box | None = None


def from_saved(saved: Mapping[str, Any], where: Path) -> GanTrainConfig:
    """The config of a run's config.json, `where`, perhaps of an earlier version; ConfigError when it was edited."""
    names = {field.name for field in fields(GanTrainConfig)}
    check_values(GanTrainConfig, saved, where)
    check_values(_Framing, saved, where)
    check_ranges(saved, RANGES, where)
    return GanTrainConfig(**{key: value for key, value in saved.items() if key in names})
