"""A GAN training's precision on a CPU, where nobody gave one: by a trial of its own step."""

from dataclasses import replace
from pathlib import Path

import torch

from gseg_cli.device import has_bf16
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.trainer import GanTrainer
from gseg_cli.precision_trials import Work, try_once
from gseg_cli.steps import Say, ignore_say

CPU = torch.device("cpu")
LARGEST = 128  # side of a trial's images
PIXELS = 2**14  # in a trial, for which a slow core takes a quarter of a second


def settle_precision(
    config: GanTrainConfig, device: torch.device, file: Path | None, say: Say = ignore_say
) -> GanTrainConfig:
    """With the precision that is quicker on this CPU; on a GPU as it is. file: where trials are remembered."""
    if device.type != "cpu":
        return config
    if not has_bf16(device):
        return replace(config, precision="fp32")
    names = ("arch", "resolution", "channel_base", "channel_max", "z_dim", "mapping_layers")
    shape = {name: getattr(config, name) for name in names}
    what = f"training {config.arch} at {config.resolution} px, channels {config.channel_base} to {config.channel_max}"
    trial = try_once(what, torch.get_num_threads(), lambda p: _work(GanTrainConfig(**shape, precision=p)), file)
    say(f"precision: {trial}")
    return replace(config, precision=trial.quicker)


def _work(config: GanTrainConfig) -> Work:
    """Steps of few and perhaps smaller images, without the regularisers."""
    side = min(config.resolution, LARGEST)
    batch = max(2, PIXELS // side**2)
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8)
    small = replace(config, resolution=side, batch=batch, r1_gamma=0.0, pl_weight=0.0)
    return GanTrainer(small, images, CPU).step
