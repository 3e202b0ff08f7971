"""Are the samples of a GAN of toy faces whole faces? One nose, one mouth and two eyes, counted in 1,000 samples.

    python -m benchmarks.gan_faces [--gan builtin:toy-faces] [--count 1000]

The reference annotator labels each sample at 64 px (larger ones are reduced with antialiasing first). A part counts
when it has enough pixels in one piece. Since a network may find whole parts in a poor picture, a second count asks
whether nose, mouth and eyes together have the sizes they have on real toy faces. Both counts on real toy faces, which
no training saw, stand beside. Writes gan_faces.md and grids of 64 samples.
"""

import argparse
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.cells import ROOT, cell
from gseg_cli.checkpoint import read_meta
from gseg_cli.datasets.toy_faces.dataset import render
from gseg_cli.datasets.toy_faces.shapes import EYES, MOUTH, NOSE
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.student import load_student
from gseg_cli.evaluate.reference import reference_path
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.project import locate_gan
from gseg_runtime.files import sha256_file, write_text

PSIS = (0.7, 1.0)
SIZE = 64  # of the reference annotator
REAL_SEED = 4_000_000  # no split of gseg_cli/datasets/splits.py reaches here
PARTS = {"nose": (NOSE, 1, 20), "mouth": (MOUTH, 1, 12), "eyes": (EYES, 2, 6)}  # class, how many, pixels at 64 px
USUAL = (0.5, 99.5)  # percentiles of a part's size on real faces
BATCH = 50
GRID = 8


def count_parts(labels: np.ndarray) -> dict[str, np.ndarray]:
    """How many of each part are in label maps uint8 [N, 64, 64]: int [N] by name."""
    found = torch.from_numpy(labels)
    return {name: num_pieces(found == index, area) for name, (index, _, area) in PARTS.items()}


def num_pieces(mask: Tensor, min_pixels: int) -> np.ndarray:
    """How many connected pieces of at least `min_pixels` are in each of the masks [N, S, S]."""
    inside = mask.float()[:, None]
    number = torch.arange(1, mask[0].numel() + 1).view(1, 1, *mask.shape[1:]) * inside
    while True:  # the largest number floods its piece
        flooded = torch.nn.functional.max_pool2d(number, 3, stride=1, padding=1) * inside
        if torch.equal(flooded, number):
            return np.array([(np.bincount(row)[1:] >= min_pixels).sum() for row in number.long().flatten(1).numpy()])
        number = flooded


def sizes(labels: np.ndarray) -> np.ndarray:
    """Pixels of each part: int [N, parts]."""
    return np.stack([(labels == index).sum(axis=(1, 2)) for index, *_ in PARTS.values()], axis=1)


def shares(images: Tensor, usual: list[list[float]] | None = None) -> dict[str, Any]:
    """Of uint8 [N, 64, 64, 3]: the share with the expected number of each part, of all of them, and of usual sizes.

    usual: the smallest and the largest size of each part; by default those of these very pictures, as "usual".
    """
    labels = predict_labels(load_student(reference_path(SIZE))[0], images)
    counts, pixels = count_parts(labels), sizes(labels)
    right = {name: counts[name] == expected for name, (_, expected, _) in PARTS.items()}
    whole = np.logical_and.reduce(list(right.values()))
    low, high = usual or np.percentile(pixels, USUAL, axis=0).tolist()
    is_usual = whole & (pixels >= low).all(axis=1) & (pixels <= high).all(axis=1)
    rates = {name: float(ok.mean()) for name, ok in right.items()}
    return {**rates, "whole": float(whole.mean()), "whole_usual": float(is_usual.mean()), "usual": [low, high]}


@torch.no_grad()
def samples(gan: Path, psi: float, count: int) -> Tensor:
    """uint8 [N, R, R, 3] of the seeds from 0 on."""
    generator = load_generator(gan)
    batches = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
    return torch.cat([to_uint8(generator.synthesis(ws_for_seeds(generator, seeds, psi))) for seeds in batches])


def reduced(images: Tensor) -> Tensor:
    """uint8 [N, R, R, 3] at the size of the reference annotator."""
    if images.shape[1] == SIZE:
        return images
    small = [np.asarray(Image.fromarray(i).resize((SIZE, SIZE), Image.Resampling.LANCZOS)) for i in images.numpy()]
    return torch.from_numpy(np.stack(small))


def real_faces(count: int, size: int) -> Tensor:
    with ProcessPoolExecutor() as pool:
        faces = pool.map(partial(render, size=size), range(REAL_SEED, REAL_SEED + count), chunksize=50)
        return torch.from_numpy(np.stack([image for image, _ in faces]))


def judged(config: dict[str, Any], images: Callable[[], Tensor], gan: str = "") -> dict[str, Any]:
    return cell("gan_faces", config, lambda: shares(reduced(images()), config.get("usual")), gan, images)


def write_grid(images: Tensor, path: Path) -> None:
    r = images.shape[1]
    grid = images[: GRID * GRID].reshape(GRID, GRID, r, r, 3).permute(0, 2, 1, 3, 4).reshape(GRID * r, GRID * r, 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid.numpy()).save(path, quality=90)  # a tenth of a PNG


TEXT = """# Are the samples of the toy-face GAN whole faces?

{count} samples (seeds from 0) of a {size}-px GAN of {kimg:.0f} kimg, each labelled by the reference annotator at 64 px:
exactly one nose of at least {nose} pixels in one piece, one mouth of {mouth}, and two eyes of {eyes} each. Usual size:
each part is as large as between the {low:g}th and the {high:g}th percentile of real toy faces, counted in the same way.

Made by `python -m benchmarks.gan_faces --count {count}`, GAN `{gan}`,
commit {commit}, {date}, {hardware}.

| pictures | one nose | one mouth | two eyes | all of them | and all of usual size |
|---|---:|---:|---:|---:|---:|
{table}

{grids}
"""


def page(gan: Path, rows: list[tuple[str, dict[str, Any]]], count: int, size: int) -> str:
    meta, about = read_meta(gan), rows[0][1]
    lines = []
    for name, row in rows:
        values = [row["figures"][key] for key in (*PARTS, "whole", "whole_usual")]
        lines.append(f"| {name} | " + " | ".join(f"{value:.1%}" for value in values) + " |")
    return TEXT.format(
        count=count, size=size, kimg=meta.get("num_images_in_all", meta.get("num_images", 0)) / 1000,
        **{name: pixels for name, (_, _, pixels) in PARTS.items()}, low=USUAL[0], high=USUAL[1],
        gan=sha256_file(gan)[:12], **{key: about[key] for key in ("commit", "date", "hardware")},
        table="\n".join(lines),
        grids="\n".join(f"![64 samples at truncation_psi {psi}](gan_faces/psi-{psi}.jpg)" for psi in PSIS),
    )  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gan", default="builtin:toy-faces", help="checkpoint, or builtin:NAME")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=ROOT, help="folder of gan_faces.md and the grids")
    args = parser.parse_args(arguments)
    gan = locate_gan(args.gan, Path(), source="--gan")
    digest, size = sha256_file(gan), load_generator(gan).img_resolution
    real = judged({"what": "real", "size": size, "count": args.count}, partial(real_faces, args.count, size))
    rows = []
    for psi in PSIS:
        config = {"what": "samples", "psi": psi, "count": args.count, "usual": real["figures"]["usual"]}
        rows.append((f"samples, truncation_psi {psi}", judged(config, partial(samples, gan, psi, args.count), digest)))
        write_grid(samples(gan, psi, GRID * GRID), args.out / "gan_faces" / f"psi-{psi}.jpg")
    rows.append(("real toy faces", real))
    text = page(gan, rows, args.count, size)
    write_text(args.out / "gan_faces.md", text)
    print(text)


if __name__ == "__main__":
    main()
