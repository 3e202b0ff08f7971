"""How much memory a training step takes on a CPU: a system that runs out of it ends the process without a word."""

import torch

from gseg_cli.gan.networks.config import StyleGAN2Config, make_config
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.memory import free_bytes
from gseg_cli.steps import Say

# Bytes for each number of one layer at each resolution, measured with R1 at 64 to 1024 px: 65 to 86, and 38 to 44.
BYTES = {"fp32": 68, "bf16": 42}


def bytes_per_image(config: GanTrainConfig) -> int:
    """Of a StyleGAN2's step on a CPU, roughly; 0 for other networks, which are small."""
    network = make_config(config.arch, config.network())
    if not isinstance(network, StyleGAN2Config):
        return 0
    return BYTES.get(config.precision, BYTES["fp32"]) * sum(network.channels(r) * r * r for r in network.resolutions)


def warn_of_memory(config: GanTrainConfig, device: torch.device, say: Say) -> None:
    """Where a step takes more than is free. On a GPU PyTorch says so itself."""
    free = free_bytes() if device.type == "cpu" else None
    each, at_once = bytes_per_image(config), config.microbatch or config.batch
    if free is None or each * at_once <= free:
        return
    fitting = max((n for n in range(1, at_once) if config.batch % n == 0 and n * each <= free), default=0)
    advice = (
        f"begin with --microbatch {fitting}, which takes {_gb(fitting * each)}" if fitting else "lower --resolution"
    )
    what = f"a step of {at_once} images at {config.resolution} px takes about {_gb(at_once * each)} of memory"
    say(f"warning: {what}, and {_gb(free)} are free: the system may end gseg without a word ({advice})")


def _gb(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f} GB"
