"""What a checkpoint of NVIDIA's or rosinality's StyleGAN2 holds, as data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from gseg_runtime.errors import CheckpointError


@dataclass(frozen=True)
class ForeignGan:
    """What a foreign checkpoint holds, as data."""

    naming: str  # "nvidia" | "rosinality"
    generator: dict[str, Tensor]  # state dict of G_ema (g_ema), prefix stripped; dtype as stored, on the CPU
    discriminator: dict[str, Tensor]  # D (d), or {}
    # NVIDIA: "generator" and "discriminator", each the _init_kwargs of the network (plain, nested dicts), completed at
    # the top level from its layers' attributes with conv_clamp, architecture, num_fp16_res and use_noise, because the
    # defaults differ between NVIDIA's two repositories. rosinality: the fields of args. {} when there are none.
    hints: dict[str, Any]
    latent_avg: Tensor | None  # rosinality's truncation centre, where the file has one
    origin: str  # for people: "NVIDIA pickle (stylegan2-ada-pytorch)", "rosinality .pt", "state dict (NVIDIA names)"


def read_foreign(path: Path) -> ForeignGan:
    """The generator, and the discriminator where present, of any checkpoint that gseg did not write.

    What a file is, is told by its content, never by its name. CheckpointError, with a hint, for everything else.
    """
    raise CheckpointError(f"{path}: not a checkpoint that gseg can read")
