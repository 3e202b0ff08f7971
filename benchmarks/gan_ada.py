"""Does adaptive augmentation help a GAN of few photos? 500 toy faces of 64 px, with and without ADA.

    python -m benchmarks.gan_ada [--kimg 200] [--photos 500] [--work build/gan_ada]

Stops and goes on where it was: each half is a run of `gseg gan-train` under the work folder, resumed when it is there.
Quality is the sliced Wasserstein distance to held-out photos that neither run saw; its floor that between real faces.
Writes gan_ada.md and gan_ada.png.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.cells import ROOT, cell
from gseg_cli.charts import BLUE, RED
from gseg_cli.checkpoint import read_meta
from gseg_cli.datasets.toy_faces.dataset import write_dataset
from gseg_cli.device import pick_device
from gseg_cli.gan.training.auto import auto_config
from gseg_cli.gan.training.config import GanTrainConfig
from gseg_cli.gan.training.data import load_images
from gseg_cli.gan.training.metrics import swd
from gseg_cli.gan.training.plot import Curve, draw_panels, read_curves
from gseg_cli.gan.training.stage import resume_gan_train, run_gan_train
from gseg_cli.gan.training.train import STATE
from gseg_cli.picture_files import write_picture
from gseg_cli.progress import progress
from gseg_runtime.files import write_text

NOTES = ROOT / "gan_ada_notes.md"  # what is seen, written down by whoever looked
SEED = 5_000_000  # of the faces; no split of gseg_cli/datasets/splits.py reaches here
HELD_OUT = 250
SMALL = {"channel_base": 1024, "batch": 16, "r1_gamma": 1.0}  # `auto` for new networks on a CPU: an hour a run
COLORS = {"ada": BLUE, "none": RED}


def config_of(augment: str, kimg: float, photos: int, device: torch.device) -> GanTrainConfig:
    given = {"augment": augment, "kimg": kimg, "held_out": HELD_OUT, "seed": 0, **SMALL}
    return replace(auto_config(given, num_photos=photos, device=device), snapshot_minutes=5.0)


def train(augment: str, kimg: float, photos: int, work: Path) -> dict[str, Any]:
    """The cell of one run: its curves and its end. Computed in as many sittings as it takes."""
    device = pick_device()
    config = config_of(augment, kimg, photos, device)

    def compute() -> dict[str, Any]:
        faces, runs = work / f"faces-{photos}", work / f"{augment}-{kimg:g}"
        write_dataset(faces, count=photos + HELD_OUT, seed=SEED, size=64, resume=faces.exists())
        with progress(f"augment {augment}", "images") as on_step:
            if (runs / "0001-gan" / STATE).is_file():
                resume_gan_train(faces / "images", {}, runs, device, on_step=on_step)
            else:
                run_gan_train(faces / "images", config, runs, device, on_step=on_step)
        run = runs / "0001-gan"
        curves = {name: thinned(curve) for name, curve in read_curves(run / "metrics.jsonl").items()}
        return {"curves": curves, "num_images": read_meta(run / "checkpoint.safetensors")["num_images"]}

    return cell("gan_ada", {"train": asdict(config), "photos": photos}, compute)


def thinned(curve: Curve, points: int = 200) -> list[list[float]]:
    """At most so many points of a curve, each the mean of its stretch."""
    stretches = [np.array_split(values, min(points, len(values))) for values in curve]
    return [[round(float(part.mean()), 5) for part in parts] for parts in stretches]


def floor(photos: int, work: Path) -> float:
    """Between the held-out faces and as many others."""
    images, _ = load_images(work / f"faces-{photos}" / "images", 64)
    n = min(HELD_OUT, len(images) // 2)
    return swd(images[:n], images[n : 2 * n])["swd"]


TEXT = """# Few photos: a GAN with and without adaptive augmentation

{photos} toy faces of 64 px and {held_out} more that are held out, {kimg:g} kimg each, by
`gseg gan-train --channel-base 1024 --batch 16 --r1-gamma 1`, its own choice for networks that begin anew
on a CPU. Sliced Wasserstein distance between samples and held-out faces, times 1000: less is better; between two sets
of real faces it is {floor:.1f}. Memorised: the share of its certainty that the discriminator owes to knowing its photos
by heart (0 none, 1 all).

Made by `python -m benchmarks.gan_ada --kimg {kimg:g} --photos {photos}`, commit {commit}, {date},
{hardware}.

| augment | best distance | at kimg | last distance | last over best | memorised at the end | last p |
|---|---:|---:|---:|---:|---:|---:|
{table}

![distance, memorisation and augmentation over the images shown](gan_ada.png)

{notes}"""


def row(augment: str, curves: dict[str, list[list[float]]]) -> str:
    kimg, distance = curves["swd"]
    best = int(np.argmin(distance))
    memorised = f"{curves['overfit'][1][-1]:.2f}" if "overfit" in curves else "-"
    p = f"{curves['p'][1][-1]:.2f}" if "p" in curves else "-"
    figures = f"{distance[best]:.1f} | {kimg[best]:.0f} | {distance[-1]:.1f} | {distance[-1] / distance[best]:.2f}"
    return f"| {augment} | {figures} | {memorised} | {p} |"


def draw(cells: dict[str, dict[str, Any]]) -> np.ndarray:
    """Distance, memorisation and p of all runs, a panel each."""
    panels = []
    for title, name in (("distance", "swd"), ("memorised", "overfit"), ("p", "p")):
        lines = {}
        for augment, c in cells.items():
            if name in (curves := c["figures"]["curves"]):
                lines[augment] = (*(np.array(axis) for axis in curves[name]), COLORS[augment])
        if lines:
            panels.append((title, lines))
    return draw_panels(panels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kimg", type=float, default=200.0)
    parser.add_argument("--photos", type=int, default=500)
    parser.add_argument("--work", type=Path, default=Path("build/gan_ada"))
    parser.add_argument("--out", type=Path, default=ROOT, help="folder of the page")
    args = parser.parse_args()
    cells = {augment: train(augment, args.kimg, args.photos, args.work) for augment in COLORS}
    about = {key: cells["ada"][key] for key in ("commit", "date", "hardware")}
    table = "\n".join(row(augment, c["figures"]["curves"]) for augment, c in cells.items())
    text = TEXT.format(
        photos=args.photos,
        held_out=HELD_OUT,
        kimg=args.kimg,
        floor=floor(args.photos, args.work),
        table=table,
        notes=NOTES.read_text(),
        **about,
    )
    args.out.mkdir(parents=True, exist_ok=True)
    write_picture(args.out / "gan_ada.png", draw(cells))
    write_text(args.out / "gan_ada.md", text)
    print(text)


if __name__ == "__main__":
    main()
