"""The photos of a GAN's training: in memory or, if they are many or for many processes, in one file for all."""

import secrets
import socket
import time
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from gseg_cli.counted import counted
from gseg_cli.gan.training.config import Box, GanTrainConfig
from gseg_cli.gan.training.data import count_photos, has_transparent, load_images, map_images, needs_store
from gseg_cli.gan.training.photo_classes import LABELS, count_labels
from gseg_cli.steps import Say
from gseg_cli.world import PATIENCE, World
from gseg_runtime.errors import GsegError
from gseg_runtime.files import TEMPORARY_PREFIX
from gseg_runtime.photo_names import IMAGES, MASKS

STORE = f"{TEMPORARY_PREFIX}photos-"


def load_photos(
    source: Path, config: GanTrainConfig, crop: Box | None, fit: str, runs_dir: Path, world: World, say: Say
) -> tuple[Tensor, list[str]]:
    """As `load_images`, and what is odd about them is said. The file vanishes with the last process that uses it."""
    resolution, channels = config.resolution, 4 if config.alpha else 3
    if world.size == 1 and not needs_store(count_photos(source), resolution, channels):
        images, unreadable = load_images(source, resolution, crop=crop, fit=fit, alpha=config.alpha)
    else:
        images, unreadable = _load_once(source, config, crop, fit, _new_store(runs_dir, world), world)
    for name in unreadable:
        say(f"warning: {name}: cannot be read, skipped")
    if (source / IMAGES).is_dir() and (source / MASKS).is_dir():
        say(f"{source}: {MASKS}/ is left out; the photos are those of {IMAGES}/")
    if world.is_first and not config.alpha and has_transparent(source):
        say(f"warning: {source}: some photos are transparent in part; they are shown over black (--alpha trains alpha)")
    if not config.num_classes and (num_labels := count_labels(source)):
        what = f"{LABELS} gives {counted(num_labels, 'photo')} a class, which is ignored; all count as one kind"
        say(f"warning: {source}: {what} (--conditional trains on the classes)")
    return images, unreadable


def _new_store(runs_dir: Path, world: World) -> Path:
    """A file of this run's own for the pixels of photos, the same for all processes of a machine."""
    if world.local_rank == 0:
        _remove_old_stores(runs_dir)
    return runs_dir / f"{STORE}{world.agree(secrets.token_hex(6))}-{socket.gethostname()}.npy"


def _remove_old_stores(runs_dir: Path) -> None:
    """What killed processes left: nobody waits so long for a store that is being filled."""
    for store in runs_dir.glob(f"{STORE}*.npy"):
        with suppress(OSError):
            if time.time() - store.stat().st_mtime > PATIENCE.total_seconds():
                store.unlink()


def _load_once(
    source: Path, config: GanTrainConfig, crop: Box | None, fit: str, store: Path, world: World
) -> tuple[Tensor, list[str]]:
    """One process of each machine decodes; the others map what it wrote."""
    found: tuple[int, list[str]] | GsegError = (0, [])
    try:
        if world.local_rank == 0:
            found = _decode_into(store, source, config, crop, fit)
        found = world.agree(found)  # the same on every machine, and an error is every process's
        if isinstance(found, GsegError):
            raise found
        num_photos, unreadable = found
        images = map_images(store, num_photos)
        world.wait()
        return images, unreadable
    finally:
        with suppress(OSError):  # mapped files may stay until they are closed; some systems insist
            store.unlink(missing_ok=True)


def _decode_into(
    store: Path, source: Path, config: GanTrainConfig, crop: Box | None, fit: str
) -> tuple[int, list[str]] | GsegError:
    """How many photos are in the store then, and which could not be read; or why there are none."""
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        images, unreadable = load_images(source, config.resolution, crop=crop, fit=fit, alpha=config.alpha, store=store)
    except GsegError as error:
        return error
    return len(images), unreadable
