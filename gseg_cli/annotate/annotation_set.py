"""A folder of annotations: label maps of generated samples, with the latents that make those samples again.

Needs no PyTorch.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from gseg_cli import latents
from gseg_cli.folder_description import check_seeds, claim, read_class, read_description, write_description
from gseg_cli.gan.sample_set import sample_name
from gseg_cli.label.palette import are_same
from gseg_cli.latents import Latents, load_latents, save_latents
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import ConfigError, GsegError
from gseg_runtime.files import atomic_path, check_owned, finish_folder, read_json, remove_others
from gseg_runtime.label_map import LabelMap, check_label_map, read_label_png, write_label_png
from gseg_runtime.png import is_gseg_png

FILE = "annotations.json"
FIRST_PHOTO = 1_000_000_000  # photos are numbered from here on; nobody draws a billion samples
PREVIEWS = "preview"  # a folder of pictures for people, see preview.py
HINT = "label samples with gseg label, or import label maps with gseg annotate-import (--overwrite replaces these)"
_TYPES = {"classes": list, "gan": dict, "truncation_psi": float, "seeds": list}


@dataclass(frozen=True, eq=False)
class AnnotationSet:
    """N label maps and what they were drawn on; gan_sha256 and truncation_psi say where the latents come from.

    photos: real photos that were inverted have a number from FIRST_PHOTO on in place of a seed; here stands each one's
    file name. GsegError when the parts do not fit together.
    """

    labels: npt.NDArray[np.uint8]  # [N, H, W], class index, 255 = ignore
    ws: Latents  # float32 [N, num_ws, w_dim], after truncation
    seeds: tuple[int, ...]
    classes: ClassMap
    gan_sha256: str
    truncation_psi: float
    class_index: int | None = None  # of a conditional GAN
    photos: Mapping[int, str] = field(default_factory=lambda: MappingProxyType({}))  # which of the seeds are photos

    def __post_init__(self) -> None:
        shapes = f"labels {list(self.labels.shape)}, ws {list(self.ws.shape)}, {len(self.seeds)} seeds"
        if self.labels.ndim != 3 or self.ws.ndim != 3 or not len(self.labels) == len(self.ws) == len(self.seeds):
            raise GsegError(f"annotations: expected labels [N, H, W], ws [N, L, W] and N seeds, got {shapes}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise GsegError(f"annotations: expected at least one seed, each once, got {list(self.seeds)}")
        for seed, labels in zip(self.seeds, self.labels, strict=True):
            check_label_map(labels, len(self.classes), f"annotation {sample_name(seed)}")
        if not set(self.photos) <= set(self.seeds):
            raise GsegError(f"annotations: photos {sorted(set(self.photos) - set(self.seeds))} are not among the seeds")

    @property
    def pixel_counts(self) -> npt.NDArray[np.int64]:
        """[N, C]: pixels of each class in each label map."""
        counts = [np.bincount(labels.ravel(), minlength=IGNORE + 1) for labels in self.labels]
        return np.stack(counts)[:, : len(self.classes)].astype(np.int64)

    @property
    def pixels_per_class(self) -> dict[str, int]:
        return dict(zip(self.classes.names, self.pixel_counts.sum(axis=0).tolist(), strict=True))

    @classmethod
    def load(cls, folder: Path) -> "AnnotationSet":
        """The annotations in `folder`; GsegError when there are none, or its files do not belong together."""
        path = folder / FILE
        data = read_description(path, "annotations", _TYPES, hint=HINT)
        seeds = check_seeds(path, data["seeds"], hint=HINT)
        if not isinstance(data["gan"].get("sha256"), str):
            raise GsegError(f"{path}: gan: expected its sha256, got {data['gan']!r}", HINT)
        try:
            classes = ClassMap.from_json(data["classes"])
        except ConfigError as error:
            raise GsegError(f"{path}: {error.message}", HINT) from error
        labels = _read_maps(folder, seeds, classes)
        ws = load_latents(folder / latents.FILE, seeds, hint=HINT)
        class_index = read_class(path, data, hint=HINT)
        made = (data["gan"]["sha256"], float(data["truncation_psi"]), class_index)
        return cls(labels, ws, seeds, classes, *made, _read_photos(path, data))

    def joined(self, other: "AnnotationSet") -> "AnnotationSet":
        """These and those of `other`, which take the place of those of the same sample or photo.

        The classes are those of `other`. GsegError when they are not of the same GAN, or samples of another truncation.
        """
        _check_joinable(self, other)
        numbers = _numbers_beside(self, other)
        new = dict(zip(numbers, range(len(numbers)), strict=True))
        kept = [i for i, seed in enumerate(self.seeds) if seed not in new]
        return replace(
            other,
            labels=np.concatenate([self.labels[kept], other.labels]),
            ws=np.concatenate([self.ws[kept], other.ws]),
            seeds=(*(self.seeds[i] for i in kept), *numbers),
            truncation_psi=(self if self.has_samples else other).truncation_psi,
            photos={**self.photos, **{numbers[other.seeds.index(old)]: name for old, name in other.photos.items()}},
        )

    def rows(self, rows: Sequence[int]) -> "AnnotationSet":
        """Some of them, in this order."""
        chosen = list(rows)
        seeds = tuple(self.seeds[i] for i in chosen)
        photos = {number: name for number, name in self.photos.items() if number in seeds}
        return replace(self, labels=self.labels[chosen], ws=self.ws[chosen], seeds=seeds, photos=photos)

    @property
    def has_samples(self) -> bool:
        return len(self.photos) < len(self.seeds)

    def save(self, folder: Path, *, source: str, overwrite: bool = False) -> None:
        """Write the label maps as indexed PNGs, the latents and annotations.json.

        source: what the label maps were made from, for people. A folder that holds anything is refused unless
        `overwrite`, and even then when a label map in it was edited with another program since. What is replaced goes
        only when all that replaces it is on the disk.
        """
        owned = partial(_is_ours, folder)
        if overwrite and (folder / FILE).is_file():
            check_owned(folder, owned)  # and not claimed, which would empty it
        else:
            claim(folder, "annotations", overwrite=overwrite, owned=owned)
        self.write(folder, source)
        try:
            remove_others(folder, self._names)
        except OSError as error:
            raise GsegError(f"{folder}: written, but what was there before cannot be removed: {error}") from error
        finish_folder(folder)

    def write(self, folder: Path, source: str) -> None:
        """Write over what is there, and leave all else in the folder.

        Files are renamed when all are on the disk, annotations.json last, so that it never lists what is not there.
        """
        new = [seed for seed in self.seeds if not (folder / sample_name(seed)).exists()]
        with ExitStack() as files:
            files.push(partial(_take_back, folder, new))
            to = {name: files.enter_context(atomic_path(folder / name)) for name in self._names}  # renamed in reverse
            write_description(to[FILE], "annotations", self._facts(source))
            save_latents(to[latents.FILE], self.ws, self.seeds)
            for seed, labels in zip(self.seeds, self.labels, strict=True):
                write_label_png(to[sample_name(seed)], labels, self.classes)

    @property
    def _names(self) -> tuple[str, ...]:
        """Of the files, the one that lists the others first."""
        return (FILE, latents.FILE, *map(sample_name, self.seeds))

    def _facts(self, source: str) -> dict[str, Any]:
        return {
            "classes": self.classes.to_json(),
            "source": source,
            "gan": {"sha256": self.gan_sha256},
            "truncation_psi": self.truncation_psi,
            **({} if self.class_index is None else {"class": self.class_index}),
            "seeds": list(self.seeds),
            **({"photos": {str(number): name for number, name in self.photos.items()}} if self.photos else {}),
            "pixels_per_class": self.pixels_per_class,
        }


def annotated_names(folder: Path) -> list[str]:
    """What the annotations in `folder` were drawn on; empty without any, or where they cannot be read."""
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        data = read_description(path, "annotations", _TYPES, hint=HINT)
        photos = _read_photos(path, data)
        return [photos.get(seed) or sample_name(seed) for seed in check_seeds(path, data["seeds"], hint=HINT)]
    except GsegError:
        return []


def as_named(annotations: AnnotationSet, classes: ClassMap) -> AnnotationSet:
    """With the classes of a project now, where one may have got another name and new ones may have come."""
    is_same = are_same(annotations.classes.names, classes.names)
    return replace(annotations, classes=classes) if is_same else annotations


def _read_photos(path: Path, data: dict[str, Any]) -> dict[int, str]:
    photos = data.get("photos", {})
    is_good = isinstance(photos, dict) and all(
        number.isdecimal() and int(number) in data["seeds"] and isinstance(name, str) for number, name in photos.items()
    )
    if not is_good:
        raise GsegError(f"{path}: photos: expected file names by number, each one of the seeds, got {photos!r}", HINT)
    return {int(number): name for number, name in photos.items()}


def _check_joinable(old: AnnotationSet, new: AnnotationSet) -> None:
    hint = "use --overwrite to replace them, or choose another folder"
    if (old.gan_sha256, old.class_index) != (new.gan_sha256, new.class_index):
        raise GsegError(f"the existing annotations come from another GAN, {old.gan_sha256[:12]}, another one", hint)
    if old.has_samples and new.has_samples and old.truncation_psi != new.truncation_psi:
        raise GsegError(f"the existing annotations have truncation_psi {old.truncation_psi:g}", hint)
    if old.classes.names != new.classes.names[: len(old.classes)]:
        raise GsegError(f"the existing annotations have the classes {', '.join(old.classes.names)}", hint)
    if old.labels.shape[1:] != new.labels.shape[1:]:
        raise GsegError(f"the existing annotations have {old.labels.shape[1]} pixels a side", hint)


def _numbers_beside(old: AnnotationSet, new: AnnotationSet) -> list[int]:
    """The seeds of `new`; its photos get the numbers their names have in `old`, or the next that are free."""
    number_of = {name: number for number, name in old.photos.items()}
    free = count(max([FIRST_PHOTO - 1, *old.photos]) + 1)
    return [seed if seed not in new.photos else number_of.get(new.photos[seed]) or next(free) for seed in new.seeds]


def _read_maps(folder: Path, seeds: tuple[int, ...], classes: ClassMap) -> npt.NDArray[np.uint8]:
    """[N, H, W]. A label map that was put there by hand is an error, since it would be passed over in silence."""
    strays = {path.name for path in folder.glob("*.png") if path.stem.isdecimal()} - set(map(sample_name, seeds))
    if strays:
        hint = "remove this label map, or import it with gseg annotate-import"
        raise GsegError(f"{folder / min(strays)}: not listed in {FILE}", hint)
    maps: list[LabelMap] = []
    for seed in seeds:
        path = folder / sample_name(seed)
        maps.append(check_label_map(read_label_png(path), len(classes), str(path)))
        if maps[-1].shape != maps[0].shape:
            expected, got = (f"{labels.shape[1]}x{labels.shape[0]}" for labels in (maps[0], maps[-1]))
            raise GsegError(f"{path}: expected {expected} pixels like the others, got {got}", HINT)
    return np.stack(maps) if maps else np.zeros((0, 0, 0), np.uint8)


def _take_back(folder: Path, new: Sequence[int], failure: type[BaseException] | None, *_: object) -> None:
    """Remove new label maps that the list, before or after its own renaming, does not name: nobody could read it."""
    if failure:
        listed = read_json(folder / FILE)["seeds"] if (folder / FILE).is_file() else ()
        for seed in set(new).difference(listed):
            (folder / sample_name(seed)).unlink(missing_ok=True)


def _is_ours(folder: Path, file: Path) -> bool:
    if file.parent == folder and file.name in (FILE, latents.FILE):
        return True
    return file.parent in (folder, folder / PREVIEWS) and file.suffix == ".png" and is_gseg_png(file)
