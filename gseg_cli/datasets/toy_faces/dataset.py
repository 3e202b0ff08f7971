"""Toy faces: rendered portraits with exact label maps, the data that gseg brings along.

Everything of a face comes from its seed, and the picture has the same content at any resolution. Face i of a data
set has the seed `first seed + i`, whatever the count, so training and test sets need seed ranges that do not overlap.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_cli.datasets.toy_faces.canvas import Canvas
from gseg_cli.datasets.toy_faces.draw import draw_face
from gseg_cli.datasets.toy_faces.parts import paint_face
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path, claim_folder, finish_folder, read_json, write_json
from gseg_runtime.label_map import LabelMap, write_label_png
from gseg_runtime.workers import num_cores

# The index of a name here is the constant of that name in shapes.py.
CLASSES = ClassMap(
    names=("background", "skin", "eyes", "brows", "nose", "mouth", "ears", "hair", "neck", "clothes"),
    colors=(
        (38, 42, 51),
        (240, 194, 155),
        (77, 166, 255),
        (122, 78, 45),
        (245, 132, 66),
        (224, 62, 96),
        (252, 217, 94),
        (128, 90, 190),
        (142, 206, 128),
        (38, 145, 140),
    ),
)
CONFIG = "toy-faces.json"
FORMAT = 1
CHUNK = 50  # faces per task of a worker process: half a second at 64 px


def render(seed: int, size: int) -> tuple[npt.NDArray[np.uint8], LabelMap]:
    """The face with this seed (0 or greater): image uint8 [size, size, 3], labels uint8 [size, size] as in CLASSES."""
    face = draw_face(seed)
    factor = 4 if size <= 128 else 2
    canvas = Canvas(size * factor, face.pose)
    paint_face(canvas, face)
    image, labels = canvas.picture(factor)
    grain = np.random.Generator(np.random.PCG64([seed, size])).standard_normal(image.shape, np.float32)
    image += np.float32(face.noise) * grain
    return np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8), labels


def write_dataset(
    out: Path,
    *,
    count: int,
    seed: int = 0,
    size: int = 64,
    overwrite: bool = False,
    resume: bool = False,
    on_step: OnStep = ignore_step,
) -> None:
    """Write images/ and masks/ (indexed PNG) of the seeds from `seed` on, each named by its own seed in six digits.

    A folder that holds anything is refused unless `overwrite`, or `resume`: then the faces that are missing are
    rendered, and GsegError is raised when it was started with another seed or size.
    """
    if resume and (out / CONFIG).exists():  # a refusal leaves no mark in a folder that is complete
        _check_same(out / CONFIG, count=count, seed=seed, size=size)
    claim_folder(out, "toy faces", overwrite=overwrite, resume=resume, owned=partial(_is_ours, out))
    config = {"format": FORMAT, "kind": "toy-faces", "count": count, "seed": seed, "size": size}
    write_json(out / CONFIG, {**config, "classes": CLASSES.to_json()})
    for folder in ("images", "masks"):
        (out / folder).mkdir(exist_ok=True)
    chunks = [range(first, min(first + CHUNK, seed + count)) for first in range(seed, seed + count, CHUNK)]
    done = 0
    with _mapper(len(chunks)) as map_chunks:
        for num_written in map_chunks(partial(_write_faces, out, size), chunks):
            done += num_written
            on_step(Step(done, count))
    finish_folder(out)


@contextmanager
def _mapper(num_chunks: int) -> Iterator[Callable[..., Iterator[int]]]:
    """`map`, or the map of a process pool where there is enough to do for it."""
    workers = min(num_cores(), num_chunks // 4)
    if workers < 2:
        yield map
        return
    # Spawned, because a forked process inherits the locks of whatever threads (of torch, say) run in this one.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)


def _write_faces(out: Path, size: int, seeds: range) -> int:
    """Render those of the faces that are not there yet; returns how many there are then."""
    for seed in seeds:
        image_path, mask_path = (out / folder / f"{seed:06d}.png" for folder in ("images", "masks"))
        if image_path.exists() and mask_path.exists():
            continue
        image, labels = render(seed, size)
        with atomic_path(image_path) as temporary:
            Image.fromarray(image).save(temporary, compress_level=3)
        write_label_png(mask_path, labels, CLASSES)
    return len(seeds)


def _is_ours(out: Path, file: Path) -> bool:
    is_face = file.suffix == ".png" and file.stem.isdigit() and file.parent in (out / "images", out / "masks")
    return is_face or file == out / CONFIG


def _check_same(config_path: Path, *, count: int, seed: int, size: int) -> None:
    config = read_json(config_path)
    found = (config.get("seed"), config.get("size")) if isinstance(config, dict) else (None, None)
    if found != (seed, size):
        message = f"{config_path}: started with seed {found[0]} at {found[1]} px, not with seed {seed} at {size} px"
        raise GsegError(message, "resume with the same --seed and --size, or choose another folder")
    if isinstance(known := config.get("count"), int) and known > count:
        raise GsegError(f"{config_path}: started with {known} faces, not with {count}", "resume with as many or more")
