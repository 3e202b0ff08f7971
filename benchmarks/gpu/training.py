"""Step `gan-train`: seconds and memory, by resolution and precision, against stylegan2-ada-pytorch's networks."""

from importlib.util import find_spec
from itertools import product
from typing import Any

import torch

from benchmarks.gpu.setting import Figures, Setting, peak_gib, seconds_of
from benchmarks.stylegan2_ada import TheirTrainer, add_checkout
from gseg_cli.distill.config import WEIGHTS
from gseg_cli.gan.training.auto import auto_config
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.train import TRAINERS

RESOLUTIONS, PRECISIONS = (64, 128, 256, 512), ("fp16", "bf16")
AUGMENT_P = 0.2
CYCLE = 16  # steps, in which every regulariser is due
WAYS: dict[str, dict[str, Any]] = {
    "gseg": {},
    "gseg, augmented": {"augment": "fixed", "augment_p": AUGMENT_P},
    "gseg, projected": {"discriminator": "projected"},
    "stylegan2-ada-pytorch": {},
}


def measure(s: Setting) -> None:
    if s.stylegan2_ada:
        add_checkout(s.stylegan2_ada)
    missing = {"gseg, projected": not find_spec(WEIGHTS), "stylegan2-ada-pytorch": not s.stylegan2_ada}
    sides = [side for side in WAYS if not missing.get(side)]
    resolutions = (16,) if s.dry_run else RESOLUTIONS
    precisions = PRECISIONS if s.device.type == "cuda" else ("fp32",)
    for resolution, precision, side in product(resolutions, precisions, sides):
        if "," in side and precision != precisions[0]:
            continue
        config = {"resolution": resolution, "precision": precision, "side": side}
        s.cell("gan-train", config, lambda c=config: speed(s, **c))  # type: ignore[misc]


def speed(s: Setting, *, resolution: int, precision: str, side: str) -> Figures:
    """Of the configuration that `gseg gan-train` chooses, after a whole cycle of steps to warm up."""
    config = configuration(s, resolution, precision, side)
    images = torch.randint(0, 256, (256, 3, resolution, resolution), dtype=torch.uint8)
    peak_gib(s.device)
    kind: Any = TheirTrainer if side == "stylegan2-ada-pytorch" else TRAINERS[config.discriminator]
    trainer = kind(config, images, s.device)

    def cycle() -> None:
        for _ in range(CYCLE):
            trainer.step()

    cycle()
    step_s = seconds_of(cycle, s.device) / CYCLE
    return {
        "batch": config.batch,
        "ms_per_step": step_s * 1e3,
        "s_per_kimg": step_s / config.batch * 1e3,
        "gib": peak_gib(s.device),
    }


def configuration(s: Setting, resolution: int, precision: str, side: str) -> GanTrainConfig:
    given: dict[str, Any] = {"resolution": resolution, "precision": precision, "augment": "none", "held_out": 0}
    given |= WAYS[side]
    if s.dry_run:
        given |= {"channel_base": 128, "channel_max": 16, "z_dim": 16, "batch": 4}
    return auto_config(given, num_photos=10_000, device=s.device)
