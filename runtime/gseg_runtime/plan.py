"""Which photo becomes which mask, settled and checked before anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gseg_runtime.errors import GsegError
from gseg_runtime.images import list_images


@dataclass(frozen=True, slots=True)
class Job:
    """photo: where it is; mask: where its label map goes, relative to the output folder."""

    photo: Path
    mask: Path


def plan(sources: Sequence[Path], *, full_names: bool = False) -> list[Job]:
    """One job per photo in `sources` (folders, searched to the bottom, and files); a photo given twice is done once.

    The tree below each folder is kept. x.jpg becomes x.png, or x.jpg.png with `full_names`.
    Raises GsegError when there is no photo, or when two of them would write the same mask.
    """
    photos = {photo: source for source in sources for photo in list_images(source)}
    if not photos:
        raise GsegError(
            f"{', '.join(map(str, sources))}: no image found", "jpg, png, webp, bmp and tiff are looked for"
        )
    jobs = [Job(photo, _mask_name(photo, source, full_names)) for photo, source in photos.items()]
    _check_collisions(jobs)
    return jobs


def check_places(sources: Sequence[Path], out: Path) -> None:
    """Refuse an output folder where photos are looked for, or that holds them."""
    target = out.resolve()
    for source in sources:
        place = source.resolve()
        if target == place or (place.is_dir() and target.is_relative_to(place)):
            raise GsegError(f"{out}: the output is inside the input {source}", "choose a folder outside it")
        if place.is_relative_to(target):
            raise GsegError(f"{out}: the output folder holds the input {source}", "choose another folder")


def _mask_name(photo: Path, source: Path, full_names: bool) -> Path:
    relative = photo.relative_to(source) if photo != source else Path(photo.name)
    return relative.with_name((relative.name if full_names else relative.stem) + ".png")


def _check_collisions(jobs: Sequence[Job]) -> None:
    photo_of: dict[Path, Path] = {}
    for job in jobs:
        other = photo_of.setdefault(job.mask, job.photo)
        if other != job.photo:
            raise _collision(other, job.photo, job.mask)
    for job in jobs:
        for parent in job.mask.parents:  # a folder named x.png beside x.jpg
            if parent in photo_of:
                raise _collision(photo_of[parent], job.photo, parent)


def _collision(first: Path, second: Path, mask: Path) -> GsegError:
    hint = "give each its own output folder"
    if first.name != second.name:
        hint = f"--full-names tells them apart ({first.name}.png), or {hint}"
    return GsegError(f"{first} and {second} would both write {mask}", hint)
