"""From a GAN and a teacher that belong together to a segmenter of photos."""

from pathlib import Path

import torch

from gseg_cli.fewshot.model import load_teacher_of
from gseg_cli.fewshot.segment import PhotoSegmenter
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.invert import check_space
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.load import read_gan
from gseg_runtime.files import sha256_file


def load_photo_segmenter(
    gan: Path, teacher: Path, config: InvertConfig, device: torch.device, *, seed: int = 0, lpips: Path | None = None
) -> PhotoSegmenter:
    """CheckpointError when the teacher was trained on another GAN's features, ConfigError for a space of other GANs."""
    check_space(read_gan(gan).kind, config.space)
    network, classes, meta = load_teacher_of(gan, teacher, device)
    inverter = Inverter.load(gan, config, device, seed=seed, class_index=meta.get("gan_class"), lpips=lpips)
    made_by = {"teacher_sha256": sha256_file(teacher), "gan_sha256": meta["gan_sha256"], "seed": seed}
    return PhotoSegmenter(inverter, network, classes, {**made_by, "lpips": sha256_file(lpips) if lpips else None})
