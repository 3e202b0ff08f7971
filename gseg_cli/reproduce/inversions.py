"""Photos inverted once for all teachers, in a folder, so that a killed run loses at most the photos of one batch."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.gan.framing import mask_of
from gseg_cli.gan.inversion.invert import Inversion, default_batch
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.reproduce.subject import ScoredPhotos, Task
from gseg_cli.steps import OnStep, Step, ignore_step

KIND = "inversion"
_NOISE = "noise."


@dataclass(frozen=True)
class Inverted:
    """Some photos as the GAN draws them. errors: as of `Fitted`; seconds, cpu_s: that it took."""

    inversion: Inversion
    errors: tuple[float, ...]
    seconds: float
    cpu_s: float


def inverted_photos(
    inverter: Inverter, photos: ScoredPhotos, task: Task, folder: Path, on_step: OnStep = ignore_step
) -> Iterator[Inverted]:
    """The photos batch by batch, in their order; what is in `folder` is read, what is missing is made and written.

    task: any; only the pictures are looked at.
    """
    done = 0
    for number, chunk in enumerate(photos.batches(task, inverter.batch)):
        path = folder / _name(number, inverter)
        if not path.is_file():
            squares = np.stack([photo.square for photo in chunk])
            inside = np.stack([mask_of(photo.framing) for photo in chunk])
            _save(path, _invert(inverter, squares, inside))
        done += len(chunk)
        on_step(Step(done, max(done, photos.count)))
        yield _load(path, inverter.device)


def summary(parts: Iterator[Inverted]) -> dict[str, Any]:
    """What a cell keeps: photos, mean error, seconds per photo."""
    errors: list[float] = []
    seconds = cpu_s = 0.0
    for part in parts:
        errors += part.errors
        seconds, cpu_s = seconds + part.seconds, cpu_s + part.cpu_s
    count = len(errors)
    return {
        "photos": count,
        "error": round(float(np.mean(errors)), 2),
        "s_per_photo": round(seconds / count, 3),
        "cpu_s_per_photo": round(cpu_s / count, 3),
    }


def _name(number: int, inverter: Inverter) -> str:
    """Of a batch's file. Of a GPU and a CPU neither may take the other's files for its own: times are kept too."""
    is_usual = inverter.device.type == "cpu" and inverter.batch == default_batch(inverter.size)
    return f"{number:05d}.safetensors" if is_usual else f"{number:05d}-of-{inverter.batch}.safetensors"


def _invert(inverter: Inverter, squares: np.ndarray, inside: np.ndarray) -> Inverted:
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    fitted = inverter.fit(squares, inside)
    seconds = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return Inverted(fitted.inversion, tuple(float(error) for error in fitted.errors), *seconds)


def _save(path: Path, part: Inverted) -> None:
    found = part.inversion
    tensors = {"ws": found.ws, **{_NOISE + name: noise for name, noise in found.noise.items()}}
    if found.offset is not None:
        tensors["offset"] = found.offset
    config = {"errors": list(part.errors), "seconds": part.seconds, "cpu_s": part.cpu_s}
    save_checkpoint(path, tensors, {"kind": KIND, "config": config})


def _load(path: Path, device: torch.device) -> Inverted:
    tensors, meta = load_checkpoint(path, KIND)
    tensors = {name: tensor.to(device) for name, tensor in tensors.items()}
    noise = {name.removeprefix(_NOISE): tensor for name, tensor in tensors.items() if name.startswith(_NOISE)}
    inversion = Inversion(tensors["ws"], noise, tensors.get("offset"))
    config = meta["config"]
    return Inverted(inversion, tuple(config["errors"]), config["seconds"], config["cpu_s"])
