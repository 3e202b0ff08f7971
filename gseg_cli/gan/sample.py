"""Generated images to label: one seed = one latent = one image, whatever is generated beside it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gseg_cli import latents
from gseg_cli.folder_description import claim
from gseg_cli.gan import sample_set, sheet
from gseg_cli.gan.generator import Generator, images_at_once, to_uint8
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.gan.sheet import write_sheet
from gseg_cli.gan.transparency import draw, has_alpha, over_board
from gseg_cli.seeding import z_for_seeds
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.files import atomic_path, finish_folder, sha256_file

__all__ = ["SampleSet", "write_samples", "ws_for_seeds"]

MAX_PIXELS = 2**20  # generated at once; one image of 1024 px takes about 0.6 GB on its way


@torch.no_grad()
def ws_for_seeds(generator: Generator, seeds: Sequence[int], truncation_psi: float) -> Tensor:
    """Latents [N, num_ws, w_dim] after truncation, on the generator's device.

    Mapped one by one: matrix products of another batch size round differently, and a seed shall mean one latent.
    """
    z = z_for_seeds(seeds, generator.z_dim).to(device_of(generator))
    rows = [generator.mapping(z[i : i + 1], truncation_psi) for i in range(len(z))]
    return torch.cat([generator.mapping(z[:0], truncation_psi), *rows])


def write_samples(
    generator: Generator,
    gan: Path,
    seeds: Sequence[int],
    truncation_psi: float,
    out: Path,
    *,
    batch: int | None = None,
    overwrite: bool = False,
    on_step: OnStep = ignore_step,
) -> SampleSet:
    """Write the images of `seeds`, a sheet of them, their latents and samples.json; returns all that `out` then holds.

    gan: the checkpoint `generator` was loaded from. batch: None takes 16, fewer above 256 px. A folder of samples of
    the same GAN, class and truncation_psi is extended: its seeds are kept, and its images not made again unless they
    are missing. Images with alpha are written over a checkerboard, to be labelled, and as they are to transparent/.
    GsegError when `out` holds samples of another making, or something else; `overwrite` replaces samples, but never
    files that are not gseg's.
    """
    check_truncation(truncation_psi)
    gan_sha256 = sha256_file(gan)
    class_index = getattr(generator, "class_index", None)
    earlier = None if overwrite else _earlier(out, gan_sha256, truncation_psi, class_index)
    claim(out, "samples", overwrite=overwrite, extend=earlier is not None, owned=_is_ours)
    kept = set(earlier.seeds if earlier else ())
    new = sorted(set(seeds) - kept)
    ws = ws_for_seeds(generator, new, truncation_psi).cpu().numpy()
    made = (truncation_psi, gan_sha256, generator.img_resolution, class_index)
    samples = SampleSet(out, tuple(new), ws, *made)
    if earlier:
        samples = _join(earlier, samples)
    # Before the images, so that calling again makes those that an interruption left out.
    samples.save_latents(gan)
    to_do = [seed for seed in samples.seeds if seed not in kept or not samples.image_path(seed).exists()]
    batch = batch or images_at_once(generator, MAX_PIXELS, 16)
    _write_images(generator, samples, to_do, batch, on_step)
    write_sheet(samples)
    finish_folder(out)
    return samples


def check_truncation(psi: float) -> None:
    """UsageError when it is none."""
    if not 0 <= psi <= 2:  # also refuses nan
        raise UsageError(f"truncation_psi: expected 0 to 2, got {psi}", "0.7 is usual, 1 truncates nothing")


def _earlier(out: Path, gan_sha256: str, truncation_psi: float, class_index: int | None) -> SampleSet | None:
    """The samples that are to be extended, None when there are none."""
    if not (out / sample_set.FILE).is_file():
        return None
    earlier = SampleSet.load(out)
    hint = "use --overwrite to replace them, or choose another folder"
    if earlier.gan_sha256 != gan_sha256:
        message = f"{out}: holds samples of another GAN (sha256 {earlier.gan_sha256[:12]}, not {gan_sha256[:12]})"
        raise GsegError(message, hint)
    if earlier.truncation_psi != truncation_psi:
        message = f"{out}: holds samples of truncation_psi {earlier.truncation_psi:g}, not {truncation_psi:g}"
        raise GsegError(message, hint)
    if earlier.class_index != class_index:
        raise GsegError(f"{out}: holds samples of class {earlier.class_index}, not {class_index}", hint)
    return earlier


def _join(earlier: SampleSet, new: SampleSet) -> SampleSet:
    """Both, in the order of the seeds."""
    seeds = np.array(earlier.seeds + new.seeds)
    order = np.argsort(seeds)
    ws = np.concatenate([earlier.ws, new.ws])[order]
    return replace(new, seeds=tuple(seeds[order].tolist()), ws=ws)


@torch.no_grad()
def _write_images(generator: Generator, samples: SampleSet, seeds: Sequence[int], batch: int, on_step: OnStep) -> None:
    device = device_of(generator)
    for start in range(0, len(seeds), batch):
        chunk = seeds[start : start + batch]
        ws = torch.from_numpy(samples.ws_of(chunk)).to(device)
        drawn = draw(generator, ws)
        if has_alpha(generator):
            _save(to_uint8(drawn), map(samples.transparent_path, chunk))
        _save(to_uint8(over_board(drawn)), map(samples.image_path, chunk))  # last, since its files count as done
        on_step(Step(start + len(chunk), len(seeds)))


def _save(images: Tensor, paths: Iterable[Path]) -> None:
    """images: uint8 [N, R, R, C]."""
    for path, image in zip(paths, images.cpu().numpy(), strict=True):
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as temporary:
            Image.fromarray(image).save(temporary)


def device_of(generator: Generator) -> torch.device:
    return next(iter(generator.parameters())).device  # type: ignore[attr-defined]


def _is_ours(file: Path) -> bool:
    names = (sample_set.FILE, latents.FILE, sheet.FILE)
    return file.name in names or re.fullmatch(r"\d{6,}\.png", file.name) is not None
