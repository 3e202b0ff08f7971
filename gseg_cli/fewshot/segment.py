"""The teacher on real photos, as in the paper: find the photo's latent, then classify the GAN's features (slow)."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from gseg_cli.fewshot.model import Teacher
from gseg_cli.fewshot.predict import predict
from gseg_cli.fewshot.segment_config import PhotoSegmentConfig
from gseg_cli.fewshot.segment_files import RECONSTRUCTION, TABLE, write_sheet, write_table
from gseg_cli.gan.framing import Framing, frame, mask_of
from gseg_cli.gan.inversion.inverter import Fitted, Inverter
from gseg_cli.gan.inversion.own_distances import own_distances
from gseg_cli.gan.inversion.square import read_square
from gseg_cli.gan.transparency import has_alpha
from gseg_cli.picture_files import write_picture
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import ImageError
from gseg_runtime.label_map import LabelMap, Pixels, resize_labels, write_label_png
from gseg_runtime.manifest import Entry, Stamp, stamp_of
from gseg_runtime.mask_folder import FORMAT, Contents, Failure, MaskFolder
from gseg_runtime.plan import Job, beside
from gseg_runtime.png import is_gseg_png
from gseg_runtime.sources import Source


@dataclass(frozen=True)
class PhotosReport:
    """far: photos that are not of the GAN's kind, of this run or an earlier one; skipped: done by an earlier one."""

    done: int
    failed: int
    skipped: int
    seconds: float
    far: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class _Photo:
    job: Job
    stamp: Stamp
    square: Pixels
    framing: Framing


def contents_of(made_by: Mapping[str, Any]) -> Contents:
    key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()
    return Contents(key=key, suffixes=(RECONSTRUCTION,), tables=(TABLE,), is_ours=is_gseg_png)


class PhotoSegmenter:
    """load: draws what photos are compared with, which takes minutes, so it is called once, if there are any to do.

    made_by: what decides the masks beside the photos, as the hashes of teacher and GAN; --resume compares it.
    """

    def __init__(
        self, load: Callable[[], Inverter], teacher: Teacher, classes: ClassMap, made_by: Mapping[str, Any]
    ) -> None:
        self._load, self._teacher, self._classes, self._made_by = load, teacher, classes, made_by

    def segment(
        self, sources: Iterable[Source], out: Path, options: PhotoSegmentConfig, on_step: OnStep = ignore_step
    ) -> PhotosReport:
        """Write mask and reconstruction of every photo below `out`, and what formats.md says beside them.

        A photo that cannot be read is reported, and the others are done. GsegError as of `MaskFolder`.
        """
        frame(1, 1, 1, options.fit)  # a slip is answered before anything is written
        contents = contents_of(self._made_by)
        with MaskFolder(
            out,
            sources,
            contents,
            overwrite=options.overwrite,
            resume=options.resume,
            full_names=options.full_names,
        ) as folder:
            self._fill(folder, options, contents.key, on_step)
            far = write_table(out)
            write_sheet(out, self._classes)
            num_failed, seconds = len(folder.failures), round(folder.seconds(), 3)
            report = PhotosReport(folder.num_done, num_failed, folder.num_skipped, seconds, far, folder.failures)
            about = {"format": FORMAT, "kind": "fewshot-segment", **asdict(report), "made_by": self._made_by}
            folder.finish({**about, "classes": self._classes.to_json()})
        return report

    def _fill(self, folder: MaskFolder, options: PhotoSegmentConfig, key: str, on_step: OnStep) -> None:
        if not folder.todo:
            return
        inverter, jobs, total = self._load(), iter(folder.todo), len(folder.todo)
        while chunk := list(islice(jobs, options.batch or inverter.batch)):
            progress = _Progress(on_step, folder.num_taken, total, len(chunk), inverter.config.steps)
            for entry in self._batch(inverter, chunk, folder.path, options.fit, key, progress):
                folder.take(entry)
            on_step(Step(folder.num_taken, total))

    def _batch(
        self, inverter: Inverter, jobs: Sequence[Job], out: Path, fit: str, key: str, progress: "_Progress"
    ) -> Iterator[Entry]:
        start_s = time.perf_counter()
        photos: list[_Photo] = []
        for job in jobs:
            try:
                photos.append(_load(job, inverter.generator, fit))
            except ImageError as error:
                reason = error.message.removeprefix(f"{job.photo}: ")
                yield Entry(str(job.photo), str(job.mask), "failed", key, 0.0, None, reason)
        if not photos:
            return
        squares = np.stack([photo.square for photo in photos])
        inside = np.stack([mask_of(photo.framing) for photo in photos])
        fitted = inverter.fit(squares, inside, progress)
        fitted = replace(fitted, distances=own_distances(inverter, squares, inside, fitted))
        labels = self._label(inverter, fitted)
        seconds = round((time.perf_counter() - start_s) / len(photos), 3)
        for i, photo in enumerate(photos):
            yield self._write(photo, labels[i], fitted, i, out, key, seconds)

    def _label(self, inverter: Inverter, fitted: Fitted) -> LabelMap:
        """[N, R, R]; a teacher of another size is brought to the GAN's."""
        with fitted.inversion.drawn_by(inverter.generator):
            labels = predict(inverter.generator, self._teacher, fitted.inversion.ws).labels.cpu().numpy()
        size = inverter.size
        return np.stack([resize_labels(x, (size, size)) for x in labels])

    def _write(
        self, photo: _Photo, labels: LabelMap, fitted: Fitted, i: int, out: Path, key: str, seconds: float
    ) -> Entry:
        """The mask last: where it is, the rest is too."""
        mask = out / photo.job.mask
        write_picture(beside(mask, RECONSTRUCTION), fitted.images[i][photo.framing.window])
        full = photo.framing.undo_labels(labels)
        write_label_png(mask, full, self._classes)
        distance = None if fitted.distances is None else round(float(fitted.distances[i]), 4)
        figures = {"error": round(float(fitted.errors[i]), 3), "distance": distance}
        areas = np.bincount(full.ravel(), minlength=256)[: len(self._classes)].tolist()
        return Entry(
            str(photo.job.photo), str(photo.job.mask), "done", key, seconds, photo.stamp, None,
            full.shape[0], full.shape[1], areas, figures=figures,
        )  # fmt: skip


class _Progress:
    """Tells of the steps within a batch as of parts of its photos."""

    def __init__(self, on_step: OnStep, num_done: int, total: int, num_photos: int, num_steps: int) -> None:
        self._on_step, self._done, self._total = on_step, num_done, total
        self._share = num_photos / num_steps

    def __call__(self, step: int, gap: float) -> None:
        self._on_step(Step(self._done + int(step * self._share), self._total, {"distance": gap}))


def _load(job: Job, generator: Any, fit: str) -> _Photo:
    stamp = stamp_of(job.photo)  # before reading: a photo that changes meanwhile is done again by --resume
    square, framing = read_square(job.photo, generator.img_resolution, fit, on_board=has_alpha(generator))
    return _Photo(job, stamp, square, framing)
