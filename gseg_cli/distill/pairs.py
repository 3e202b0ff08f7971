"""Generated pairs: images and what the teacher says of them, compactly.

The published code distils the teacher's full softmax, which is ten floats a pixel. Here a pixel keeps its two likeliest
classes and the first one's share of the two: three bytes, and almost all of the softmax's mass.
"""

import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.device import send
from gseg_cli.distill.shrink import shrink
from gseg_cli.fewshot.model import Annotated, Teacher
from gseg_cli.fewshot.predict import Prediction, predict
from gseg_cli.gan.bars import outside
from gseg_cli.gan.generator import Generator, images_at_once, to_uint8
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.transparency import draw, has_alpha, over, plain_colours
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_cli.world import ALONE, World
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path, read_json, write_json
from gseg_runtime.label_map import LabelMap

SHARD = 500  # pairs in a file, at most
SHARD_BYTES = 2**26  # and before compression: an interruption loses no more
MAX_PIXELS = 2**21  # labelled at once
SETTINGS = "pairs.json"
NAMES = ("images", "first", "second", "share", "score")
NUM_BYTES = 6  # of a pixel


@dataclass(frozen=True)
class PairSet:
    """N images [N, S, S, 3] with soft labels: classes first and second [N, S, S], share of first in 255ths; all uint8.

    A pixel whose first class is 255 is ignored. score [N] is the teacher's doubt, 0 where labels are exact.
    """

    images: Tensor
    first: Tensor
    second: Tensor
    share: Tensor
    score: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: Tensor | slice) -> "PairSet":
        return PairSet(*(t[rows] for t in self.tensors()))

    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(getattr(self, name) for name in NAMES)

    @classmethod
    def join(cls, parts: Sequence["PairSet"]) -> "PairSet":
        return cls(*(torch.cat(tensors) for tensors in zip(*(p.tensors() for p in parts), strict=True)))

    @classmethod
    def exact(cls, images: LabelMap, labels: LabelMap) -> "PairSet":
        """Photos with certain labels: uint8 [N, S, S, 3] and [N, S, S]."""
        first = torch.from_numpy(labels)
        share = torch.full_like(first, 255)
        return cls(torch.from_numpy(images), first, first, share, torch.zeros(len(first)))

    def at(self, size: int) -> "PairSet":
        """With pictures of another side in pixels, and labels that lie on them."""
        factor, rest = divmod(self.images.shape[1], size)
        if (factor, rest) == (1, 0):
            return self
        images = F.interpolate(self.images.permute(0, 3, 1, 2), (size, size), mode="bilinear", antialias=True)
        labels = torch.stack([self.first, self.second, self.share], dim=1)
        labels = F.interpolate(labels, (size, size), mode="nearest-exact") if rest else shrink(labels, factor)
        first, second, share = labels.unbind(1)
        return PairSet(images.permute(0, 2, 3, 1), first, second, share, self.score)

    def without_doubtful(self, drop: float) -> "PairSet":
        """All but the given share of pairs, those with the highest score; at least one is kept."""
        return self[self.is_kept(drop)]

    def is_kept(self, drop: float) -> Tensor:
        """Which of the pairs `without_doubtful` keeps, bool [N]; of equal scores the later ones go first."""
        keep = max(1, len(self) - round(drop * len(self)))
        kept = torch.zeros(len(self), dtype=torch.bool)
        kept[self.score.argsort(stable=True)[:keep]] = True
        return kept

    def ignoring_below(self, share: float) -> "PairSet":
        """With the pixels ignored whose first class has less than this share (0 to 1) of the two likeliest."""
        return replace(self, first=self.first.masked_fill(self.share < share * 255, IGNORE))

    def hard(self) -> "PairSet":
        """With the likeliest class alone, as if it were certain."""
        return replace(self, share=torch.full_like(self.share, 255))


def make_pairs(
    generator: Generator,
    teacher: Teacher,
    seeds: Sequence[int],
    out: Path,
    *,
    truncation_psi: float = 1.0,
    batch: int | None = None,
    size: int | None = None,
    world: World = ALONE,
    unit: str = "pairs",
    on_step: OnStep = ignore_step,
) -> PairSet:
    """Label the samples of these seeds; shards that stand in `out` already are read, not made again.

    unit: what they are called while they are made. batch: None takes 32, fewer above 256 px: an image of 1024 px has
    half a gigabyte of features. Many processes share the shards among themselves, and all of them get all the pairs.
    size: side of the pairs' pictures in pixels; None takes the GAN's.
    """
    batch = batch or images_at_once(generator, MAX_PIXELS, 32)
    settings = {"kind": "pairs", "seeds": [seeds[0], seeds[-1]], "count": len(seeds), "truncation_psi": truncation_psi}
    if size not in (None, generator.img_resolution):
        settings["size"] = size
    shards = _settle(out / SETTINGS, settings, _shard_size(size or generator.img_resolution, batch))
    for number in range(world.rank, len(shards), world.size):
        rows, path = shards[number], _path(out, number)
        if not path.is_file():
            on_done = _after(on_step, rows.start, len(seeds), unit)
            some = seeds[rows.start : rows.stop]
            _write(path, _label(generator, teacher, some, truncation_psi, batch, size, on_done))
    world.wait()
    on_step(Step(len(seeds), len(seeds), unit=unit))
    return PairSet.join([_read(_path(out, number)) for number in range(len(shards))])


def _shard_size(resolution: int, batch: int) -> int:
    """Whole batches, one at least."""
    fitting = SHARD_BYTES // (NUM_BYTES * resolution**2)
    return min(SHARD, max(batch, fitting // batch * batch))


def _shards(settings: Mapping[str, Any]) -> list[range]:
    """The rows of each. They divide blocks of SHARD pairs, so that batches round alike, whatever the size."""
    count, size = settings["count"], settings.get("shard", SHARD)  # earlier versions did not say it
    blocks = (range(start, min(start + SHARD, count)) for start in range(0, count, SHARD))
    return [block[i : i + size] for block in blocks for i in range(0, len(block), size)]


def _path(folder: Path, number: int) -> Path:
    return folder / f"{number:05d}.npz"


@torch.no_grad()
def annotated_pairs(generator: Generator, annotated: Annotated) -> PairSet:
    """The annotated samples themselves, labelled as the teacher was taught; what is 255 there is ignored."""
    device = next(iter(generator.parameters())).device  # type: ignore[attr-defined]
    images = []
    for i, ws in enumerate(annotated.ws):
        image, behind = draw(generator, ws[None].to(device)), _behind(generator, [i], device)
        images.append(to_uint8(image if behind is None else over(image, behind)).cpu())
    return PairSet.exact(torch.cat(images).numpy(), annotated.labels.numpy())


def read_pairs(folder: Path) -> PairSet:
    """What `make_pairs` wrote there; GsegError when it is not all there, or damaged."""
    return PairSet.join([_read(_path(folder, number)) for number in range(len(_shards(read_json(folder / SETTINGS))))])


def _after(on_step: OnStep, start: int, total: int, unit: str) -> Callable[[int], None]:
    return lambda done: on_step(Step(start + done, total, unit=unit))


def _label(
    generator: Generator,
    teacher: Teacher,
    seeds: Sequence[int],
    psi: float,
    batch: int,
    size: int | None,
    on_done: Callable[[int], None],
) -> PairSet:
    parts = []
    for i in range(0, len(seeds), batch):
        ws = ws_for_seeds(generator, seeds[i : i + batch], psi)
        pairs = _compact(predict(generator, teacher, ws, _behind(generator, seeds[i : i + batch], ws.device)))
        parts.append(pairs.at(size) if size else pairs)
        on_done(i + len(ws))
    pairs = PairSet.join(parts)
    bars = outside(generator, pairs.first.shape[-1])
    return pairs if bars is None else replace(pairs, first=pairs.first.masked_fill(bars, IGNORE))


def _behind(generator: Generator, seeds: Sequence[int], device: torch.device) -> Tensor | None:
    """Behind pictures with alpha a colour for each: photos have no checkerboard, and a student would learn it."""
    return send(plain_colours(seeds), device) if has_alpha(generator) else None


def _compact(p: Prediction) -> PairSet:
    top = p.probs.topk(2, dim=1)
    share = (top.values[:, 0] / top.values.sum(dim=1) * 255).round()
    images, first, second, share = (
        t.to(torch.uint8).cpu() for t in (p.images, top.indices[:, 0], top.indices[:, 1], share)
    )
    return PairSet(images, first, second, share, p.score().float().cpu())


def _write(path: Path, pairs: PairSet) -> None:
    with atomic_path(path) as temporary:
        arrays: dict[str, Any] = {n: t.numpy() for n, t in zip(NAMES, pairs.tensors(), strict=True)}
        np.savez_compressed(temporary, **arrays)


def _read(path: Path) -> PairSet:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            return PairSet(*(torch.from_numpy(data[n]) for n in NAMES))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise GsegError(
            f"{path}: not a readable shard of pairs: {error}", "delete it and resume; it will be made again"
        ) from error


def _settle(path: Path, settings: dict[str, Any], shard: int) -> list[range]:
    """The rows of each shard, as a folder that was begun has them; GsegError when it was begun for other pairs."""
    there = read_json(path) if path.is_file() else {**settings, "shard": shard}
    if {**there, "shard": None} != {**settings, "shard": None}:
        raise GsegError(f"{path}: these pairs were made with other settings", "choose another folder, or delete it")
    write_json(path, there)
    return _shards(there)
