"""The smallest real objects of the training side."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import GanModule, save_gan
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2, StyleGAN2Config
from gseg_cli.gan.sample import ws_for_seeds
from gseg_runtime.class_map import ClassMap

CONFIG = StyleGAN2Config(img_resolution=16, channel_base=128, channel_max=16, z_dim=16, w_dim=16)
CLASSES = ClassMap.of_names(["dark", "medium", "light"])


def make_generator(seed: int = 0) -> StyleGAN2:
    """Nobody trained it, but its mean latent, its noise and its biases count."""
    torch.manual_seed(seed)
    generator = StyleGAN2(CONFIG).eval().requires_grad_(False)
    generator.mapping_network.w_avg.normal_()
    for name, parameter in generator.named_parameters():
        if name.endswith("noise_strength"):
            parameter.fill_(0.1)
        elif name.endswith("bias"):
            parameter.add_(0.1 * torch.randn_like(parameter))
    return generator


def write_gan(path: Path, *, seed: int) -> Path:
    save_gan(path, make_generator(seed), Discriminator(CONFIG), {})
    return path


def brightness_labels(generator: GanModule, seeds: list[int], psi: float = 1.0) -> np.ndarray:
    """Labels [N, R, R] that follow from the picture alone: dark, medium and light pixels."""
    images = to_uint8(generator.synthesis(ws_for_seeds(generator, seeds, psi))).numpy()
    return np.digitize(images.mean(axis=3), [100, 156]).astype(np.uint8)


def annotate(generator: GanModule, seeds: list[int], labels: np.ndarray, gan_sha256: str = "0" * 64) -> AnnotationSet:
    ws = ws_for_seeds(generator, seeds, 1.0).numpy()
    return AnnotationSet(labels, ws, tuple(seeds), CLASSES, gan_sha256, truncation_psi=1.0)


def write_photos(folder: Path, count: int = 20, size: int = 24) -> Path:
    """Smooth random pictures as PNGs."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for i in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (4, 4, 3), np.uint8))
        coarse.resize((size, size), Image.Resampling.BILINEAR).save(folder / f"{i:02d}.png")
    return folder
