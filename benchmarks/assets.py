"""Rebuild everything that is shipped, from the renderer on: GAN, reference annotator, annotations, figures.

    python -m benchmarks.assets [--gan-kimg 100] [--work build/assets] [--only reference ...]

The GAN continues from the shipped one; what follows depends on it and is made anew. Stages: gan, reference,
annotations, figures.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks import autoshot, reference
from gseg_cli.checkpoint import read_meta
from gseg_cli.datasets.splits import GAN_SEEDS, TEST_SEEDS
from gseg_cli.datasets.toy_faces import CLASSES, write_dataset
from gseg_cli.demo import assets
from gseg_cli.device import pick_device
from gseg_cli.distill.train import predict_labels
from gseg_cli.distill.unet import load_unet
from gseg_cli.evaluate.reference import reference_path
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.networks import load_gan, load_generator, save_gan
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.sample_set import sample_name
from gseg_cli.gan.start import start_gan_training
from gseg_cli.gan.train import GanTrainConfig
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe
from gseg_runtime.files import sha256_file, write_text
from gseg_runtime.label_map import write_label_png

STAGES = ("gan", "reference", "annotations", "figures")
GAN = assets() / "toy-faces.safetensors"
NUM_ANNOTATIONS = 10
MIN_PIXELS = 6  # of every class: whoever labels few samples picks ones that show all parts


def make_gan(work: Path, kimg: float) -> None:
    """Render the photos and train on from the shipped GAN."""
    photos = work / "photos"
    with progress("toy faces", "faces") as on_step:
        count, seed = len(GAN_SEEDS), GAN_SEEDS[0]
        write_dataset(photos, count=count, seed=seed, size=64, resume=photos.exists(), on_step=on_step)
    # Where the last training ended: with its seed the same latents and photos would come again.
    config = GanTrainConfig(kimg=kimg, seed=images_shown())
    with progress("gan-train", "images") as on_step:
        trained = start_gan_training(
            photos / "images", config, work / "runs", pick_device(), init_from=GAN if GAN.is_file() else None,
            on_step=on_step,
        )  # fmt: skip
    ship_gan(trained["checkpoint"])


def images_shown() -> int:
    """Over all trainings of the shipped GAN; 0 without one."""
    return read_meta(GAN)["num_images_in_all"] if GAN.is_file() else 0


def ship_gan(checkpoint: Path) -> None:
    """Copy a training's checkpoint into the package, without the paths of the machine it was trained on."""
    meta = read_meta(checkpoint)
    kept = {key: meta[key] for key in ("trained", "num_images")}
    earlier = images_shown() if meta["parents"] else 0
    save_gan(GAN, *load_gan(checkpoint), {**kept, "num_images_in_all": earlier + meta["num_images"]})


@torch.no_grad()
def make_annotations() -> None:
    """The reference annotator labels the first samples that show every class; indexed PNGs named by seed."""
    generator, net = load_generator(GAN), load_unet(reference_path())[0]
    images = to_uint8(generator.synthesis(ws_for_seeds(generator, range(500), Recipe.truncation_psi)))
    labels = predict_labels(net, images)
    shown = [np.bincount(m.ravel(), minlength=len(CLASSES)).min() >= MIN_PIXELS for m in labels]
    seeds = [int(seed) for seed in np.flatnonzero(shown)[:NUM_ANNOTATIONS]]
    folder = assets() / "annotations"
    for old in folder.glob("*.png"):
        old.unlink()
    for seed in seeds:
        write_label_png(folder / sample_name(seed), labels[seed], CLASSES)
    write_text(assets() / "README.md", about(seeds))


def about(seeds: list[int]) -> str:
    """The page beside the assets: what each file is and how it was made."""
    gan, net = read_meta(GAN), read_meta(reference_path())
    return f"""# What is shipped

Made by `make assets`; GAN `{sha256_file(GAN)}`.

- `toy-faces.safetensors`: StyleGAN2 of 64 px, generator average and discriminator, trained by `gseg gan-train` on
  {gan["trained"]["num_photos"]} toy faces without labels; {gan["num_images_in_all"] / 1000:.0f} kimg shown.
- `reference.safetensors`: the reference annotator, a UNet trained on {net["trained"]["faces"]} exactly labelled toy
  faces, in half precision; mean IoU {net["quality"]["mean_iou"]:.3f} on {len(TEST_SEEDS)} fresh ones.
- `annotations/`: {len(seeds)} label maps of generated samples as indexed PNGs, named by seed (truncation_psi
  {Recipe.truncation_psi}). They were not drawn by hand: the reference annotator labelled the first samples in which it
  finds at least {MIN_PIXELS} pixels of every class.
- `figures.json`: the tables of benchmarks/autoshot.md and supervised.md, as data.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gan-kimg", type=float, default=100.0)
    parser.add_argument("--work", type=Path, default=Path("build/assets"))
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES)
    args = parser.parse_args()
    sys.argv = sys.argv[:1]
    make = {
        "gan": lambda: make_gan(args.work, args.gan_kimg),
        "reference": reference.main,
        "annotations": make_annotations,
        "figures": autoshot.main,
    }
    for stage in STAGES:
        if stage in args.only:
            make[stage]()


if __name__ == "__main__":
    main()
