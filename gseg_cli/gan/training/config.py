"""What a GAN training is: every number of it, and the ones that `auto` chooses."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from gseg_cli.device import has_bf16
from gseg_cli.gan.load import GanFile, make_config
from gseg_runtime.errors import ConfigError, UsageError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
AUGMENTS = ("none", "ada", "fixed")
CLAMP = 256.0  # of activations in half precision, as in stylegan2-ada-pytorch
NUM_FP16_RES = 4  # the highest resolutions; the others stay in single precision
MANY_PHOTOS = 20_000  # from here on `auto` leaves ADA out: the paper finds little left to gain above 30,000


@dataclass(frozen=True, kw_only=True)
class GanTrainConfig:
    """A resolved configuration; lengths are in thousands of real images shown (kimg). `auto_config` makes one.

    The defaults are those of runs that were saved before a key existed, so that they go on as they began.
    """

    arch: str = "stylegan2"
    resolution: int = 64
    channel_base: int = 2048
    channel_max: int = 128
    z_dim: int = 128
    mapping_layers: int = 2
    kimg: float = 200.0
    batch: int = 8  # images per step, over all processes
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
    augment: str = "none"  # none | ada | fixed
    augment_p: float = 0.0  # of fixed
    ada_target: float = 0.6  # of the mean sign of D's logits of reals
    ada_kimg: float = 500.0  # in which ADA's p can go from 0 to 1
    held_out: int = 0  # photos not trained on, to measure against
    precision: str = "auto"  # auto | fp32 | bf16 | fp16
    seed: int = 0
    snapshot_minutes: float = 5.0

    def __post_init__(self) -> None:
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("augment", self.augment, AUGMENTS)
        if not 0 <= self.augment_p <= 1:
            raise ConfigError(f"augment_p: expected 0 to 1, got {self.augment_p}")
        if self.microbatch is not None and (self.microbatch < 1 or self.batch % self.microbatch):
            raise ConfigError(f"microbatch: expected a divisor of the batch of {self.batch}, got {self.microbatch}")
        make_config(self.arch, self.network())  # raises before anything is read or written

    def network(self) -> dict[str, Any]:
        """The arguments of the generator's own config."""
        names = {"img_resolution": self.resolution, "channel_base": self.channel_base, "channel_max": self.channel_max}
        mapping = {"w_dim": self.z_dim, "mapping_layers": self.mapping_layers} if self.arch == "stylegan2" else {}
        half = self.arch == "stylegan2" and self.precision == "fp16"
        clamp = {"conv_clamp": CLAMP, "discriminator": {"conv_clamp": CLAMP}} if half else {}
        return {**names, "z_dim": self.z_dim, **mapping, **clamp}

    def like(self, gan: GanFile) -> "GanTrainConfig":
        """The same training, of networks as wide and deep as this one."""
        names = ("channel_base", "channel_max", "z_dim", "mapping_layers")
        given = {name: getattr(gan.config, name) for name in names if hasattr(gan.config, name)}
        return replace(self, arch=gan.kind, **given)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{name}: expected one of {', '.join(allowed)}, got {value!r}")


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


def auto_config(
    given: Mapping[str, Any], *, num_photos: int, device: torch.device, num_processes: int = 1, goes_on: bool = False
) -> GanTrainConfig:
    """`given` and, for what is not in it, what suits resolution, number of photos and device.

    goes_on: the networks come from another training. On a GPU the values are those of stylegan2-ada-pytorch's `auto`.
    On a CPU they are small: at 64 px batch 8, lr 0.0025 and gamma 1 were chosen by eye, from one run each on toy faces:
    with these the samples had hair and faces at 21 kimg; with batch 16, lr 0.002 and gamma 0.5 they were rings around a
    blob at 22 kimg. The three were changed together, so which of them mattered is not known. gamma follows the square
    of the resolution, because the squared gradient of the same picture falls with it.
    """
    resolution = given.get("resolution", GanTrainConfig.resolution)
    auto = _auto_gpu(given, resolution, num_processes) if device.type == "cuda" else _auto_cpu(given, resolution)
    small = num_photos < MANY_PHOTOS
    common = {
        "precision": _auto_precision(device, goes_on),
        "augment": "ada" if small else "none",
        "held_out": min(num_photos // 20, 1000),
        # A GAN that goes on is no rough sketch to be forgotten quickly, and reacts at once.
        **({"ema_rampup": None, "ada_kimg": 100.0} if goes_on else {}),
    }
    values = {**auto, **common, **given}
    if num_processes > 1 and "microbatch" not in given:
        values["microbatch"] = values["batch"] // num_processes
    return GanTrainConfig(**values)


def _auto_precision(device: torch.device, goes_on: bool) -> str:
    """bfloat16 where the hardware has it: on an H100 it took 9 to 20 % less time than fp16, and less memory.

    On older GPUs fp16, but not for a GAN that goes on: one that was never clamped may overflow.
    """
    is_older_gpu = device.type == "cuda" and not has_bf16(device)
    return "fp16" if is_older_gpu and not goes_on else pick_precision("auto", device)


def _auto_cpu(given: Mapping[str, Any], resolution: int) -> dict[str, Any]:
    batch = given.get("batch", 8)
    gamma = (resolution / 64) ** 2 * 8 / batch
    return {"batch": batch, "r1_gamma": gamma, "channel_base": max(2048, 16 * resolution)}


def _auto_gpu(given: Mapping[str, Any], resolution: int, num_processes: int) -> dict[str, Any]:
    each = max(1, min(4096 // resolution, 32, 64 // num_processes))  # so that all have as many
    batch = given.get("batch", num_processes * each)
    return {
        "batch": batch,
        "microbatch": batch // num_processes,
        "channel_base": 32768 if resolution >= 512 else 16384,
        "channel_max": 512,
        "z_dim": 512,
        "lr": 0.002 if resolution >= 1024 else 0.0025,
        "r1_gamma": 0.0002 * resolution**2 / batch,
        "pl_weight": 2.0 if given.get("arch", GanTrainConfig.arch) == "stylegan2" else 0.0,
        "ema_kimg": batch * 10 / 32,
    }


def pick_precision(precision: str, device: torch.device) -> str:
    """auto: bfloat16 where the hardware has it. ConfigError for fp16 without a GPU."""
    if precision == "fp16" and device.type != "cuda":
        raise ConfigError("precision: fp16 needs a CUDA device", hint="use --precision bf16 or fp32")
    if precision != "auto":
        return precision
    return "bf16" if has_bf16(device) else "fp32"


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    names = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    return names[pick_precision(precision, device)]


def from_saved(saved: Mapping[str, Any]) -> GanTrainConfig:
    """The config of a run's config.json, perhaps of an earlier version."""
    names = {field.name for field in fields(GanTrainConfig)}
    return GanTrainConfig(**{key: value for key, value in saved.items() if key in names})
