"""Which photo becomes which mask, settled and checked before anything is written."""

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

import numpy as np

from gseg_runtime.errors import GsegError
from gseg_runtime.sources import Source, list_photos, no_photo
from gseg_runtime.spread import spread
from gseg_runtime.walk import Search

# What stands in their names instead of .png; an overlay too large for JPEG is a PNG.
OVERLAY, LARGE_OVERLAY, CONFIDENCE, CUTOUT = ".overlay.jpg", ".overlay.png", ".confidence.png", ".cutout.png"
BINARY, LAYER = ".binary-", ".layer-"  # and a class
LABELME, YOLO = "labelme/.json", "yolo/labels/.txt"  # in trees of their own


@dataclass(frozen=True, slots=True)
class Job:
    """photo: where it is; mask: where its label map goes, relative to the output folder."""

    photo: Path
    mask: Path


@dataclass
class Plan:
    """One job per photo. Names are kept rather than jobs: of a million photos these are the smaller half.

    names: base folder -> names of photos relative to it, both sorted. search: how they were found.
    """

    names: dict[str, list[str]] = field(default_factory=dict)
    search: Search = field(default_factory=Search)
    full_names: bool = False

    def __iter__(self) -> Iterator[Job]:
        for base, names in self.names.items():
            yield from (self._job(base, name) for name in names)

    def __len__(self) -> int:
        return sum(map(len, self.names.values()))

    def masks(self) -> Iterator[str]:
        """The names of all masks."""
        return (self.mask_of(name) for names in self.names.values() for name in names)

    def mask_of(self, name: str) -> str:
        """x.jpg becomes x.png, or x.jpg.png with `full_names`."""
        return (name if self.full_names else os.path.splitext(name)[0]) + ".png"

    def spread(self, count: int) -> list[Job]:
        """At most so many of them, evenly spread."""
        found: list[Job] = []
        numbers, start = spread(range(len(self)), count), 0
        for base, names in self.names.items():
            inside = (names[number - start] for number in numbers if start <= number < start + len(names))
            found += [self._job(base, name) for name in inside]
            start += len(names)
        return found

    def _job(self, base: str, name: str) -> Job:
        return Job(Path(base, name), Path(self.mask_of(name)))

    def filtered(self, is_kept: Callable[[Job], bool]) -> "Plan":
        """The same with only those jobs."""
        kept: dict[str, list[str]] = {}
        for base, names in self.names.items():
            kept[base] = [name for name in names if is_kept(self._job(base, name))]
        return Plan(kept, self.search, self.full_names)

    def shard(self, index: int, count: int) -> "Plan":
        """Every `count`-th job, from the one of number `index` on."""
        if count == 1:
            return self
        numbers = iter(range(len(self)))
        return self.filtered(lambda _: next(numbers) % count == index)


def plan(sources: Iterable[Source], *, full_names: bool = False, suffixes: Sequence[str] = ()) -> Plan:
    """One job per photo in `sources`; a photo given twice is done once.

    suffixes: what else will be written beside each mask, as OVERLAY. Raises GsegError when there is no
    photo, when a source is not there, or when two photos would write the same file.
    """
    found, sources = Plan(full_names=full_names), list(sources)
    if not sources:
        raise GsegError("no photo is named", "a list on stdin has a path on each line")
    for base, names in list_photos(sources, found.search):
        found.names.setdefault(base, []).extend(names)
    _once(found.names)
    found.names = dict(sorted(found.names.items()))  # shards share out the same order, however a list is sorted
    if not len(found):
        raise no_photo("no image found in what was given", found.search)
    _check_collisions(found, suffixes)
    return found


def check_capitals(plan: Plan) -> None:
    """Refuse masks that a disk takes for one and the same which does not tell capitals from small letters."""
    seen: set[str] = set()
    for job in plan:
        if (mask := str(job.mask).casefold()) in seen:
            first = next(other for other in plan if str(other.mask).casefold() == mask)
            message = f"{first.photo} and {job.photo} would both write {job.mask}"
            raise GsegError(message, "this disk ignores case; choose another")
        seen.add(mask)


def beside(mask: Path, suffix: str) -> Path:
    """x.overlay.jpg for x.png and .overlay.jpg; labelme/x.json for labelme/.json."""
    tree, _, ending = suffix.rpartition("/")
    return Path(tree, mask.with_name(mask.name.removesuffix(".png") + ending))


def check_places(plan: Plan, out: Path) -> None:
    """Refuse an output folder where photos are looked for, or that holds them."""
    folders = {os.path.dirname(os.path.join(base, name)) for base, names in plan.names.items() for name in names}
    check_apart(out, sorted(plan.search.searched), folders)


def check_apart(out: Path, searched: Iterable[str], folders: Iterable[str]) -> None:
    """Refuse an output folder that lies in one of `searched`, or that holds one of `folders`."""
    target = Path(os.path.realpath(out))  # as `resolve`, which raises for links in a circle
    for place in searched:
        if target.is_relative_to(os.path.realpath(place)):
            raise GsegError(f"{out}: the output is inside the input {place}", "choose a folder outside it")
    for folder in sorted(folders):
        if Path(os.path.realpath(folder)).is_relative_to(target):
            raise GsegError(f"{out}: the output folder holds the input {folder or '.'}", "choose another folder")


def _once(names_of: dict[str, list[str]]) -> None:
    """Sort the names and leave each photo out where it comes again, be it below another base."""
    seen: set[str] = set()
    for base, names in names_of.items():
        names.sort()
        if any(map(operator.eq, names, islice(names, 1, None))):
            names[:] = sorted(set(names))
        if len(names_of) > 1:
            names[:] = [name for name in names if os.path.normpath(os.path.join(base, name)) not in seen]
            seen.update(os.path.normpath(os.path.join(base, name)) for name in names)


def _check_collisions(plan: Plan, suffixes: Sequence[str]) -> None:
    """Hashes are compared, and names only where these meet: of a million masks that is 8 MB and not 200."""
    hashes = np.sort(np.fromiter(map(hash, plan.masks()), np.int64, len(plan)))
    if (hashes[1:] == hashes[:-1]).any():
        _compare_names(plan)

    def is_mask(path: str) -> bool:
        place = int(np.searchsorted(hashes, hash(path)))
        return place < len(hashes) and hashes[place] == hash(path) and path in plan.masks()

    folders = _folders(plan.masks())
    for path in sorted(filter(is_mask, folders)):  # a folder named x.png beside x.jpg
        raise _collision(plan, path, f"what lies in {path}")
    ends = tuple(suffixes)
    for path in (path for path in chain(folders, plan.masks()) if path.endswith(ends)):
        for suffix in filter(path.endswith, ends):
            if is_mask(mask := path.removesuffix(suffix) + ".png"):
                raise GsegError(f"the files beside {mask} and {path} would have the same names", _APART)


def _compare_names(plan: Plan) -> None:
    seen: set[str] = set()
    for base, names in plan.names.items():
        for name in names:
            if (mask := plan.mask_of(name)) in seen:
                raise _collision(plan, mask, os.path.join(base, name))
            seen.add(mask)


def _folders(masks: Iterable[str]) -> set[str]:
    """All folders that masks lie in, and those above them."""
    folders = {os.path.dirname(mask) for mask in masks}
    return {str(above) for folder in folders for above in (Path(folder), *Path(folder).parents)}


def _collision(plan: Plan, mask: str, second: str) -> GsegError:
    photos = [os.path.join(base, name) for base, names in plan.names.items() for name in names]
    first = next(photo for photo, job in zip(photos, plan, strict=True) if str(job.mask) == mask)
    hint = f"{_APART}, or use --base with a folder above both"
    if os.path.basename(first) != os.path.basename(second):
        hint = f"--full-names tells them apart ({os.path.basename(first)}.png), or {_APART}"
    return GsegError(f"{first} and {second} would both write {mask}", hint)


_APART = "give each its own output folder"
