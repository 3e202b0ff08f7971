"""The numbers of a GAN training that nobody gave: what suits resolution, number of photos and device."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch

from gseg_cli.builtin import BY_SIZE, Builtin
from gseg_cli.device import has_bf16
from gseg_cli.distill.config import WEIGHTS
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_runtime.errors import ConfigError

MANY_PHOTOS = 20_000  # from here on `auto` leaves ADA out: the paper finds little left to gain above 30,000


def auto_config(
    given: Mapping[str, Any], *, num_photos: int, device: torch.device, num_processes: int = 1, goes_on: bool = False
) -> GanTrainConfig:
    """`given` and, for what is not in it, what suits resolution, number of photos and device.

    goes_on: the networks come from another training. On a GPU the values are those of stylegan2-ada-pytorch's `auto`.
    On a CPU they are small, as docs/gan-training.md measures. gamma follows the square of the resolution, because the
    squared gradient of the same picture falls with it.
    """
    resolution = given.get("resolution", GanTrainConfig.resolution)
    auto = _auto_gpu(given, resolution, num_processes) if device.type == "cuda" else _auto_cpu(given, resolution)
    small = num_photos < MANY_PHOTOS
    discriminator = given.get("discriminator") or _usual_discriminator(given, device, num_processes, goes_on)
    common = {
        "discriminator": discriminator,
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


def usual_start(given: Mapping[str, Any], device: torch.device) -> Builtin | None:
    """What a training on a CPU goes on from when nobody said: the toy faces that come with gseg, of the same size.

    Networks that draw something learn to draw something else sooner than new ones learn to draw
    (benchmarks/gan_start.md). None for networks of another kind or width, and on a GPU, whose networks are wider.
    """
    resolution = given.get("resolution", GanTrainConfig.resolution)
    ways = {"arch": "stylegan2", "alpha": False, "channel_base": _channel_base(resolution)}
    is_alike = all(given.get(name, value) == value for name, value in ways.items())
    name = BY_SIZE.get(resolution)
    return Builtin(name) if name and is_alike and device.type == "cpu" else None


def _usual_discriminator(given: Mapping[str, Any], device: torch.device, num_processes: int, goes_on: bool) -> str:
    """What knows ImageNet teaches a small GAN that goes on sooner on a CPU (benchmarks/discriminators.md).

    Begun anew, its GANs have wild colours, and on a GPU nothing was compared.
    """
    ways = {"arch": "stylegan2", "alpha": False, "num_classes": 0}
    is_alike = all(given.get(name, value) == value for name, value in ways.items())
    is_alike &= not {"r1_gamma", "augment"} & given.keys() and given.get("resolution", 64) in BY_SIZE
    is_usual = goes_on and is_alike and num_processes == 1 and device.type == "cpu" and find_spec(WEIGHTS)
    return "projected" if is_usual else "stylegan2"


def _auto_precision(device: torch.device, goes_on: bool) -> str:
    """bfloat16 where the hardware has it: on an H100 it took 9 to 20 % less time than fp16, and less memory.

    On older GPUs fp16, but not for a GAN that goes on: one that was never clamped may overflow.
    """
    is_older_gpu = device.type == "cuda" and not has_bf16(device)
    return "fp16" if is_older_gpu and not goes_on else pick_precision("auto", device)


def _auto_cpu(given: Mapping[str, Any], resolution: int) -> dict[str, Any]:
    batch = given.get("batch", 16)
    gamma = (resolution / 64) ** 2 * 16 / batch
    return {"batch": batch, "r1_gamma": gamma, "channel_base": _channel_base(resolution)}


def _channel_base(resolution: int) -> int:
    """On a CPU."""
    return max(1024, 16 * resolution)


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
