"""Rebuild what is shipped, from the renderer on: GAN, reference annotator, annotations, figures.

    python -m benchmarks.assets [--builtin toy-faces] [--init-from NAME] [--kimg 100] [--only reference ...]

The GAN continues from the shipped one or another that comes along, grown or shrunk: that of 128 px grew out of an
earlier one of 64 px, and that of 64 px is it again, shrunk. What follows depends on it and is made anew. Stages: gan,
reference, annotations, figures. `--builtin toy-faces-64 --only start --kimg 70` makes the narrower GAN that trainings
on a CPU go on from.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import autoshot, gan_faces
from benchmarks.narrow import narrowed
from benchmarks.reference import SIZE_OF, make_reference
from gseg_cli.builtin import DEFAULT, PREFIX, Builtin, assets, builtin_names
from gseg_cli.checkpoint import read_meta
from gseg_cli.datasets.splits import GAN_SEEDS, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, write_dataset
from gseg_cli.device import pick_device
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import load_student
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_gan, load_generator, save_gan
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.sample_set import sample_name
from gseg_cli.gan.training.stage import run_or_resume_gan_train
from gseg_cli.progress import progress
from gseg_cli.recipe import Recipe
from gseg_runtime.files import read_json, write_json, write_text
from gseg_runtime.label_map import write_label_png

STAGES = ("gan", "reference", "annotations", "figures")
START = "start"  # a stage of its own: nothing else depends on it
NUM_ANNOTATIONS = 10
MIN_PIXELS = {64: 6, 128: 24}  # of every class: whoever labels few samples picks ones that show all parts
START_CHANNELS = 1024  # of layers of R pixels, times R
SHOWN = ("config.json", "metrics.jsonl", "curves.png")  # of the training, beside its GAN


def make_gan(shipped: Builtin, parent: Builtin, work: Path, kimg: float) -> None:
    """Render the photos and train on from `parent`."""
    size = SIZE_OF[shipped.name]
    photos = render(size, work)
    # Where the last training ended: with its seed the same latents and photos would come again.
    given = {"kimg": kimg, "seed": images_shown(parent), "resolution": size, "discriminator": "stylegan2"}
    with progress("gan-train", "images") as on_step:
        trained = run_or_resume_gan_train(
            photos, given, work / f"runs-{size}", pick_device(), init_from=parent.gan, on_step=on_step
        )
    ship_gan(shipped, trained.run, parent)


def render(size: int, work: Path) -> Path:
    """The folder of photos."""
    photos = work / f"photos-{size}"
    with progress("toy faces", "faces") as on_step:
        count, seed = len(GAN_SEEDS), GAN_SEEDS[0]
        write_dataset(photos, count=count, seed=seed, size=size, resume=photos.exists(), on_step=on_step)
    return photos / "images"


def make_start(shipped: Builtin, work: Path, kimg: float) -> None:
    """The same GAN with half as many channels, trained on until it draws as well: on a CPU it learns twice as fast."""
    size, cut = SIZE_OF[shipped.name], work / "narrowed.safetensors"
    work.mkdir(parents=True, exist_ok=True)
    save_gan(cut, *narrowed(*load_gan(shipped.gan), START_CHANNELS), {})
    given = {"kimg": kimg, "seed": images_shown(shipped), "resolution": size, "discriminator": "stylegan2"}
    with progress("gan-train", "images") as on_step:
        trained = run_or_resume_gan_train(
            render(size, work), given, work / f"runs-{size}-start", pick_device(), init_from=cut, on_step=on_step
        )
    meta = read_meta(trained.checkpoint)
    generator, discriminator = (net.half() for net in load_gan(trained.checkpoint))  # a beginning need not be exact
    about = {"trained": _portable(meta["trained"], shipped), "num_images": meta["num_images"]}
    save_gan(shipped.start, generator, discriminator, about)


def images_shown(shipped: Builtin) -> int:
    """Over all trainings that led to this GAN."""
    return read_meta(shipped.gan)["num_images_in_all"]


def ship_gan(shipped: Builtin, run: Path, parent: Builtin) -> None:
    """Copy a training into the package, without the paths of the machine it was trained on."""
    meta = read_meta(run / "checkpoint.safetensors")
    in_all = images_shown(parent) + meta["num_images"]
    about = {"trained": _portable(meta["trained"], parent), "num_images": meta["num_images"]}
    shipped.dir.mkdir(exist_ok=True)
    save_gan(shipped.gan, *load_gan(run / "checkpoint.safetensors"), {**about, "num_images_in_all": in_all})
    for name in SHOWN:
        shutil.copyfile(run / name, shipped.dir / name)
    config = read_json(run / "config.json")
    write_json(shipped.dir / "config.json", {**config, "config": _portable(config["config"], parent), "parents": []})


def _portable(config: Mapping[str, Any], parent: Builtin) -> dict[str, Any]:
    return {**config, "init_from": PREFIX + parent.name}


@torch.no_grad()
def make_annotations(shipped: Builtin) -> None:
    """The reference annotator labels the first samples that show every class; indexed PNGs named by seed."""
    generator, net = load_generator(shipped.gan), load_student(shipped.reference)[0]
    batches = np.split(np.arange(500), 10)
    images = [to_uint8(generator.synthesis(ws_for_seeds(generator, b, Recipe.truncation_psi))) for b in batches]
    labels = predict_labels(net, torch.cat(images))
    shown = [np.bincount(m.ravel(), minlength=len(CLASSES)).min() >= MIN_PIXELS[m.shape[0]] for m in labels]
    folder = shipped.dir / "annotations"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for seed in np.flatnonzero(shown)[:NUM_ANNOTATIONS]:
        write_label_png(folder / sample_name(int(seed)), labels[seed], CLASSES)


def about_all() -> str:
    """The page of the assets: what each file is and how it was made."""
    parts = "\n".join(about(Builtin(name)) for name in builtin_names())
    return f"""# What is shipped

Made by `make assets`. `figures.json` holds the tables of benchmarks/autoshot.md and supervised.md, as data.

{parts}"""


def about(shipped: Builtin) -> str:
    gan, net = read_meta(shipped.gan), read_meta(shipped.reference)
    size = gan["config"]["img_resolution"]
    return f"""## {shipped.name}

GAN `{shipped.gan_sha256}`.

- `gan.safetensors`: StyleGAN2 of {size} px, generator average and discriminator, trained by `gseg gan-train` on
  {gan["trained"]["num_photos"]} toy faces without labels; {_length(shipped)}.
- `reference.safetensors`: the reference annotator, a UNet trained on {net["trained"]["faces"]} exactly labelled toy
  faces of {size} px, in half precision; mean IoU {net["quality"]["mean_iou"]:.3f} on {len(TEST_SEEDS)} fresh ones.
- `annotations/`: {len(shipped.annotations)} label maps of generated samples as indexed PNGs, named by seed
  (truncation_psi {Recipe.truncation_psi}). They were not drawn by hand: the reference annotator labelled the first
  samples in which it finds at least {MIN_PIXELS[size]} pixels of every class.
{_about_start(shipped)}"""


def _about_start(shipped: Builtin) -> str:
    if shipped.start == shipped.gan:
        return ""
    return f"""- `start.safetensors`: the same GAN with half as many channels, in half precision, trained on for another
  {read_meta(shipped.start)["num_images"] / 1000:.0f} kimg. Trainings on a CPU go on from it.
"""


def _length(shipped: Builtin) -> str:
    meta = read_meta(shipped.gan)
    in_all = f"{meta['num_images_in_all'] / 1000:.0f} kimg shown"
    if not meta["trained"].get("init_from"):
        return in_all
    return f"""{in_all}, the last
  {meta["num_images"] / 1000:.0f} of them from `{meta["trained"]["init_from"]}` on, the training whose `config.json`,
  `metrics.jsonl` and `curves.png` stand beside"""


def make_figures(shipped: Builtin) -> None:
    """Those of the default GAN alone; what is measured at 64 px stands on the other pages."""
    gan_faces.main([f"--gan={PREFIX}{shipped.name}"])
    if shipped.name == DEFAULT:
        autoshot.main()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--builtin", choices=sorted(SIZE_OF), default=DEFAULT)
    parser.add_argument(
        "--init-from", choices=sorted(SIZE_OF), help="GAN to go on from; without it the one it replaces"
    )
    parser.add_argument("--kimg", type=float, default=100.0)
    parser.add_argument("--work", type=Path, default=Path("build/assets"))
    parser.add_argument("--only", nargs="+", choices=(*STAGES, START), default=STAGES)
    args = parser.parse_args()
    sys.argv = sys.argv[:1]
    shipped, parent = Builtin(args.builtin), Builtin(args.init_from or args.builtin)
    make = {
        "gan": lambda: make_gan(shipped, parent, args.work, args.kimg),
        "reference": lambda: make_reference(shipped),
        "annotations": lambda: make_annotations(shipped),
        "figures": lambda: make_figures(shipped),
        START: lambda: make_start(shipped, args.work, args.kimg),
    }
    for stage in make:
        if stage in args.only:
            make[stage]()
    write_text(assets() / "README.md", about_all())


if __name__ == "__main__":
    main()
