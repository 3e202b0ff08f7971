"""Steps `gans` and `ceilings`: what longer training makes of the GANs, and what that gives the students."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.setting import Figures, Setting
from benchmarks.toy_data import toy_pairs
from gseg_cli.builtin import BY_SIZE, Builtin
from gseg_cli.checkpoint import read_meta
from gseg_cli.datasets.splits import GAN_SEEDS, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES, write_dataset
from gseg_cli.distill.config import DistillConfig, PairsConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.score import score_student
from gseg_cli.distill.train import fit_student
from gseg_cli.evaluate.reference import annotate_samples
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_generator
from gseg_cli.gan.training.config import parse_box
from gseg_cli.gan.training.stage import run_or_resume_gan_train
from gseg_cli.progress import progress
from gseg_cli.reproduce.stage import Request, open_subject, run_reproduce
from gseg_cli.reproduce.tables import find_tables
from gseg_cli.runs import list_runs
from gseg_runtime.files import read_json, sha256_file

LEAST_MINUTES = 0.5  # a training of less says nothing
BATCH = 256  # samples drawn at once


@dataclass(frozen=True)
class Gan:
    """photos: None for toy faces, which are rendered. given: what differs from `gseg gan-train`'s own choices."""

    name: str
    size: int
    given: dict[str, Any]
    photos: Path | None = None

    def folder(self, s: Setting) -> Path:
        return s.work / self.name

    def checkpoint(self, s: Setting) -> Path | None:
        """Of the newest run; None before its first snapshot."""
        runs = list_runs(self.folder(s) / "runs", "gan")
        path = runs[-1] / "checkpoint.safetensors" if runs else None
        return path if path and path.is_file() else None


def gans(s: Setting) -> list[Gan]:
    sizes = (64,) if s.dry_run else tuple(BY_SIZE)
    found = [Gan(f"toy-faces-{size}", size, {}) for size in sizes]
    if s.photos:
        found.insert(0, Gan("photos-64", 64, {}, s.photos))
    return found


def measure(s: Setting) -> None:
    """They share what is left evenly; those that were trained before go on."""
    trained = gans(s)
    for done, gan in enumerate(trained):
        minutes = s.left_s / 60 / (len(trained) - done)
        if minutes < (0 if s.dry_run else LEAST_MINUTES):
            print(f"{gan.name}: no time left", flush=True)
            continue
        train(s, gan, minutes)


def train(s: Setting, gan: Gan, minutes: float) -> None:
    """Toy faces go on from the GAN that comes with gseg."""
    folder, is_toy = gan.folder(s), gan.photos is None
    photos = gan.photos or _rendered(s, gan.size)
    has_run = gan.checkpoint(s) is not None
    given = {"resolution": gan.size, **gan.given, "kimg": 0.064 if s.dry_run else 1e6, "snapshot_minutes": 2.0}
    how: dict[str, Any] = {"resume": True} if has_run else {}
    if is_toy and not has_run:
        how["init_from"] = Builtin(BY_SIZE[gan.size]).gan
    if s.crop and not is_toy:
        how["crop"] = parse_box(s.crop)
    asked = {"kimg": given["kimg"]} if has_run else given
    with progress(gan.name, "images") as on_step:
        run_or_resume_gan_train(photos, asked, folder / "runs", s.device, minutes=minutes, on_step=on_step, **how)


def _rendered(s: Setting, size: int) -> Path:
    folder, count = s.work / f"faces-{size}", 40 if s.dry_run else len(GAN_SEEDS)
    with progress("toy faces", "faces") as on_step:
        write_dataset(folder, count=count, seed=GAN_SEEDS[0], size=size, resume=folder.exists(), on_step=on_step)
    return folder / "images"


def measure_ceilings(s: Setting) -> None:
    """A student of the reference annotator's own labels, and figure 6, with the shipped GANs and those trained here."""
    for gan in gans(s):
        if gan.photos:
            continue
        for name, path in (("shipped", Builtin(BY_SIZE[gan.size]).gan), ("trained", gan.checkpoint(s))):
            if path is None:
                continue
            about = {"gan": name, "pixels": gan.size, "kimg": _kimg(path)}
            s.cell("ceiling", about, lambda p=path, z=gan.size: ceiling(s, p, z), sha256_file(path))  # type: ignore[misc]
    small = next(gan for gan in gans(s) if gan.name == "toy-faces-64")
    if path := small.checkpoint(s):
        figure6(s, path)


def _kimg(path: Path) -> float:
    """Shown in all, over the trainings that led to this GAN where its file says so."""
    meta = read_meta(path)
    return round(meta.get("num_images_in_all", meta["num_images"]) / 1000, 1)


@torch.no_grad()
def _labelled_samples(s: Setting, gan: Path, count: int) -> PairSet:
    generator, parts = load_generator(gan, s.device), []
    seeds = range(PairsConfig.first_seed, PairsConfig.first_seed + count)
    for start in range(0, count, BATCH):
        chunk: Sequence[int] = seeds[start : start + BATCH]
        samples = annotate_samples(generator, chunk, PairsConfig.truncation_psi, sha256_file(gan))
        images = to_uint8(generator.synthesis(torch.from_numpy(samples.ws).to(s.device)))
        parts.append(PairSet.exact(images.cpu().numpy(), samples.labels))
    return PairSet.join(parts)


def ceiling(s: Setting, gan: Path, size: int) -> Figures:
    """Mean IoU on fresh toy faces: what is missing then is what the GAN does not draw."""
    count, steps = (20, 4) if s.dry_run else (PairsConfig.count, DistillConfig.steps)
    samples, faces = _labelled_samples(s, gan, count), toy_pairs(TEST_SEEDS[: 4 if s.dry_run else None], size)
    with progress(f"ceiling, {size} px", "steps") as on_step:
        net = fit_student(samples, CLASSES, DistillConfig(steps=steps), s.device, on_step=on_step)
    return {"miou": score_student(net, faces, len(CLASSES))}


def figure6(s: Setting, gan: Path) -> None:
    """As `gseg reproduce figure6 --gan`, whose cells are kept too; a dry run only opens the subject."""
    request = Request(table="figure6", gan=str(gan), draws=1)
    subject = open_subject(request, s.device)
    if s.dry_run:
        return
    run_reproduce(find_tables("figure6"), subject, request, s.out / "figure6", progress, print)


def keep(s: Setting) -> None:
    """The newest checkpoint, curves and grid of samples of each GAN, in DIR/gans."""
    for gan in gans(s):
        path = gan.checkpoint(s)
        if path is None:
            continue
        out = s.out / "gans" / gan.name
        out.mkdir(parents=True, exist_ok=True)
        for file in (path, path.parent / "curves.png", *sorted((path.parent / "previews").glob("*.png"))[-1:]):
            shutil.copyfile(file, out / ("samples.png" if file.parent.name == "previews" else file.name))


def trained_figures(out: Path) -> list[dict[str, Any]]:
    """What the trainings in DIR came to, for the page."""
    rows = []
    for path in sorted((out / "gans").glob("*/checkpoint.safetensors")):
        meta = read_meta(path)
        rows.append({"name": path.parent.name, "kimg": meta["num_images"] / 1000, **meta["figures"], **meta["trained"]})
    return rows


def figure6_cells(out: Path) -> list[dict[str, Any]]:
    return [read_json(path) for path in sorted((out / "figure6" / "cells").glob("*.json"))]
