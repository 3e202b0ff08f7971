"""Game characters of 64 px with exact part maps: reading them, and who labels samples of their GAN.

A network that learned from all exact maps of train.zip stands in for the person who labels, as the reference annotator
does for toy faces. benchmarks/pretrained.py measures on them.
"""

import zipfile
from dataclasses import dataclass
from functools import cache, cached_property
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.device import pick_device
from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import Student
from gseg_cli.distill.train import fit_student
from gseg_cli.distill.unet import UNet
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import GanModule, load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe
from gseg_runtime.class_map import ClassMap
from gseg_runtime.files import sha256_file

CLASSES = ClassMap.of_names(["background", "skin", "eyes", "hair", "beard", "torso", "legs", "feet", "hat"])
MOST = 10
REFERENCE_STEPS = 2000


def read_sprites(path: Path) -> PairSet:
    """A zip's images and exact maps, in the order of their names."""
    with zipfile.ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("images/") and name.endswith(".png"))
        images = [np.asarray(Image.open(BytesIO(archive.read(name))).convert("RGB")) for name in names]
        masks = [np.asarray(Image.open(BytesIO(archive.read(name.replace("images", "masks"))))) for name in names]
    return PairSet.exact(np.stack(images), np.stack(masks))


@dataclass(frozen=True)
class Labelling:
    """Samples of `gan` as the annotator labels them. sprites: the folder of train.zip."""

    sprites: Path
    gan: Path

    @cached_property
    def generator(self) -> GanModule:
        return load_generator(self.gan, pick_device())

    @cache  # noqa: B019 (one labelling lives as long as the process)
    def annotations(self, draw: int) -> AnnotationSet:
        """Ten samples, others in each draw."""
        net = reference_annotator(self.sprites)
        return annotated_by(net, CLASSES, self.generator, sha256_file(self.gan), MOST, draw)


@cache
def reference_annotator(sprites: Path) -> UNet:
    """It sees every exact map but those that are measured on."""
    train, config = read_sprites(sprites / "train.zip"), DistillConfig(steps=REFERENCE_STEPS)
    with progress("reference annotator", "steps") as on_step:
        return fit_student(train, CLASSES, config, pick_device(), on_step=on_step)


def annotated_by(
    net: Student, classes: ClassMap, generator: GanModule, gan_sha256: str, count: int, draw: int
) -> AnnotationSet:
    """So many samples as a network labels them, others in each draw."""
    seeds, psi = tuple(range(count * draw, count * (draw + 1))), Recipe.truncation_psi
    ws = ws_for_seeds(generator, seeds, psi)
    labels = predict_labels(net, to_uint8(generator.synthesis(ws)))
    return AnnotationSet(labels, ws.cpu().numpy(), seeds, classes, gan_sha256, psi)
