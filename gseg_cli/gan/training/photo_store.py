"""The photos of a GAN's training: in memory or, if they are many or for many processes, in one file for all."""

import secrets
import socket
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path

from torch import Tensor

from gseg_cli.counted import counted
from gseg_cli.gan.training.config import Box, GanTrainConfig
from gseg_cli.gan.training.data import (
    ARCHIVES,
    Found,
    count_photos,
    has_transparent,
    load_images,
    look_through,
    map_images,
    needs_store,
)
from gseg_cli.gan.training.mask_names import named_like_masks
from gseg_cli.gan.training.photo_classes import count_labels
from gseg_cli.gan.training.sources import LABELS, open_photos
from gseg_cli.steps import Say
from gseg_cli.world import PATIENCE, World
from gseg_runtime.errors import GsegError
from gseg_runtime.files import TEMPORARY_PREFIX
from gseg_runtime.photo_names import IMAGES, MASKS

STORE = f"{TEMPORARY_PREFIX}photos-"
NUM_NAMED = 20  # photos that cannot be read


def load_photos(
    source: Path, config: GanTrainConfig, crop: Box | None, fit: str, runs_dir: Path, world: World, say: Say
) -> tuple[Tensor, list[str]]:
    """As `load_images`, and what is odd about them is said. The file vanishes with the last process that uses it."""
    resolution, channels = config.resolution, 4 if config.alpha else 3
    if world.size == 1 and not needs_store(count_photos(source), resolution, channels):
        images, found = load_images(source, resolution, crop=crop, fit=fit, alpha=config.alpha)
    else:
        images, found = _load_once(source, config, crop, fit, _new_store(runs_dir, world), world)
    _tell(source, found, resolution, say)
    if world.is_first:
        _tell_of_others(source, say)
    if (source / IMAGES).is_dir() and (source / MASKS).is_dir():
        say(f"{source}: {MASKS}/ is left out; the photos are those of {IMAGES}/")
    if world.is_first and not config.alpha and has_transparent(source):
        say(f"warning: {source}: some photos are transparent in part; they are shown over black (--alpha trains alpha)")
    if not config.num_classes and (num_labels := count_labels(source)):
        what = f"{LABELS} gives {counted(num_labels, 'photo')} a class, which is ignored; all count as one kind"
        say(f"warning: {source}: {what} (--conditional trains on the classes)")
    return images, list(found.unreadable)


def _tell(source: Path, found: Found, resolution: int, say: Say) -> None:
    """Of photos that could not be read, and of those that show less than the GAN's pictures will seem to."""
    for reason in islice(found.unreadable.values(), NUM_NAMED):
        say(f"warning: {reason}; skipped")
    if (more := len(found.unreadable) - NUM_NAMED) > 0:
        say(f"warning: {source}: {counted(more, 'more photo')} cannot be read, and {_are(more)} skipped")
    if small := [side for side in found.sides if side < resolution]:
        what = f"{len(small):,} of {counted(len(found.sides), 'photo')} {_are(len(small))} smaller than {resolution} px"
        done = f"the smallest {min(small)} px, and {'was' if len(small) == 1 else 'were'} enlarged"
        advice = "train at a smaller --resolution" + ("" if len(small) == len(found.sides) else ", or leave them out")
        say(f"warning: {source}: {what}, {done}: the GAN learns their blur ({advice})")


def _tell_of_others(source: Path, say: Say) -> None:
    """Of what lies there, too: folders that cannot be listed, archives beside photos, masks by their names."""
    search = look_through(source)
    with open_photos(source) as photos:
        names = [photo.name for photo in photos]
    for folder, reason in sorted(search.unlisted.items()):
        say(f"warning: {folder}: cannot be listed: {reason}; photos in it are left out")
    archives = sorted(ARCHIVES & search.passed_over.keys())
    if archives and (source / names[0]).is_file():  # else they hold the photos
        left_out = ", ".join(f"{search.passed_over[kind]:,} {kind}" for kind in archives)
        say(f"{source}: archives beside the photos are left out: {left_out}")
    if masks := named_like_masks(names):
        what = f"{len(masks):,} of {counted(len(names), 'photo')} {_are(len(masks))} named like masks"
        advice = "name the folder of the photos alone, or move masks away"
        say(f"warning: {source}: {what}, for example {masks[0]}: the GAN learns to draw them, too ({advice})")


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


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
) -> tuple[Tensor, Found]:
    """One process of each machine decodes; the others map what it wrote."""
    found: Found | GsegError = Found({}, [])
    try:
        if world.local_rank == 0:
            found = _decode_into(store, source, config, crop, fit)
        found = world.agree(found)  # the same on every machine, and an error is every process's
        if isinstance(found, GsegError):
            raise found
        images = map_images(store, len(found.sides))
        world.wait()
        return images, found
    finally:
        with suppress(OSError):  # mapped files may stay until they are closed; some systems insist
            store.unlink(missing_ok=True)


def _decode_into(store: Path, source: Path, config: GanTrainConfig, crop: Box | None, fit: str) -> Found | GsegError:
    """What came of the photos, which are in the store then; or why there are none."""
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        return load_images(source, config.resolution, crop=crop, fit=fit, alpha=config.alpha, store=store)[1]
    except GsegError as error:
        return error
