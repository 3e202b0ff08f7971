"""What is done to one photo before and after the network: decode and letterbox it, write its mask and the rest."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gseg_runtime.class_map import ClassMap
from gseg_runtime.coco_rle import coco_annotations, coco_instances
from gseg_runtime.cutout import encode_cutout
from gseg_runtime.detail import Detail
from gseg_runtime.enlarged import Enlarged
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.extras import Extras, encode_jpeg, overlay_suffix
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import decode_image, large_lock
from gseg_runtime.label_map import LabelMap, Pixels, overlay
from gseg_runtime.manifest import Entry, Stamp
from gseg_runtime.model_card import ModelCard
from gseg_runtime.outlines import outlines
from gseg_runtime.photo_files import PhotoFiles
from gseg_runtime.plan import CONFIDENCE, CUTOUT, LABELME, LARGE_OVERLAY, YOLO, Job, beside
from gseg_runtime.png import encode_color_png, encode_png
from gseg_runtime.polygons import labelme_json, yolo_text
from gseg_runtime.prediction import Inference, Prediction
from gseg_runtime.tiles import Tiled


@dataclass(frozen=True)
class Loaded:
    """A photo ready for the network. square: uint8 [S, S, 3], or the picture of a `Tiling`; data: the file itself, when
    it will be decoded again.

    remark: see `Photo`.
    """

    job: Job
    stamp: Stamp | None
    start_s: float
    square: Pixels
    letterbox: Letterbox
    data: bytes | None
    remark: str = ""


class Work(Protocol):
    """The two halves of the work on photos; may be used from several threads at once."""

    detail: Detail
    wants_confidence: bool

    def load_all(self, jobs: Sequence[Job]) -> list[Loaded | Entry]:
        """Read, decode and letterbox each; a failed entry says why not."""

    def save_all(self, items: Sequence[Loaded | Entry], inference: Inference | Tiled, first: int = 0) -> list[Entry]:
        """Write what is wanted of the photos in the squares from `first` on; a failed entry says why not."""


class PhotoWork(Work):
    """Both halves, done in the thread that asks.

    Whatever goes wrong with one photo, be it foreseen or not, makes a failed entry of it. A GsegError is what ends the
    run: the output folder is broken, or there is too little memory.
    """

    def __init__(
        self,
        files: PhotoFiles,
        card: ModelCard,
        model_sha256: str,
        extras: Extras,
        detail: Detail | None = None,
    ) -> None:
        self._files = files
        self._card = card
        self._palette = card.classes.palette()
        self._model_sha256 = model_sha256
        self._extras = extras
        self.detail = detail or Detail()
        self.wants_confidence = extras.confidence

    def load_all(self, jobs: Sequence[Job]) -> list[Loaded | Entry]:
        return [self.load(job) for job in jobs]

    def save_all(self, items: Sequence[Loaded | Entry], inference: Inference | Tiled, first: int = 0) -> list[Entry]:
        return [
            item if isinstance(item, Entry) else self.save(item, inference, index)
            for index, item in enumerate(items, first)
        ]

    def load(self, job: Job) -> Loaded | Entry:
        """Read, decode and letterbox; a failed entry that says why not."""
        start_s = time.perf_counter()
        stamp: Stamp | None = None
        size = self._card.input_size
        try:
            with _only_this_photo(job.photo):
                # Before reading: a photo that changes meanwhile is done again by --resume.
                stamp = self._files.stamp(job.photo)
                data = self._files.read(job.photo)
                photo = decode_image(data, job.photo, self.detail.num_needed(size), self._extras.decoding)
                letterbox = self.detail.frame(photo.height, photo.width, size)
                square = letterbox.apply(photo.pixels, self._card.fill, photo.box)
        except ImageError as error:
            return self._entry(job, stamp, start_s, error=_reason(error, job))
        needs_photo = self._extras.needs_photo or self.detail.is_guided
        return Loaded(job, stamp, start_s, square, letterbox, data if needs_photo else None, photo.remark)

    def save(self, loaded: Loaded, inference: Inference | Tiled, index: int = 0) -> Entry:
        """Write what is wanted of the photo in square `index`; a failed entry that says why not."""
        job, stamp, start_s = loaded.job, loaded.stamp, loaded.start_s
        try:
            with _only_this_photo(job.photo):
                prediction = self._predicted(loaded, inference, index)
                facts = self._facts(prediction)  # before the mask, which is there only if all else is
                self._write_files(loaded, prediction)
        except ImageError as error:
            return self._entry(job, stamp, start_s, error=_reason(error, job))
        return self._entry(job, stamp, start_s, **facts, remark=loaded.remark or None)

    def _predicted(self, loaded: Loaded, inference: Inference | Tiled, index: int) -> Prediction:
        if loaded.data is None or not self.detail.is_guided or isinstance(inference, Tiled):
            return inference.prediction(index, loaded.letterbox)
        with large_lock(loaded.letterbox.height, loaded.letterbox.width):
            photo = decode_image(loaded.data, loaded.job.photo, how=self._extras.decoding).pixels
            return inference.prediction(index, loaded.letterbox, photo)

    def _write_files(self, loaded: Loaded, prediction: Prediction) -> None:
        """The longest name first, so that one too long leaves nothing behind; the mask last: then the rest is there."""
        mask = loaded.job.mask
        files = {**self._maps(prediction), **self._pictures(loaded, prediction)}
        if self._extras.polygons:
            files |= self._polygons(loaded.job, prediction.label_plane)
        for suffix in sorted(files, key=len, reverse=True):
            self._files.write(beside(mask, suffix), files[suffix])
        self._files.write(mask, encode_png(prediction.label_plane, self._palette))

    def _maps(self, prediction: Prediction) -> dict[str, bytes]:
        """By suffix, what follows from the network's answer alone."""
        maps: dict[str, bytes] = {}
        if self._extras.confidence and prediction.confidence_plane is not None:
            maps[CONFIDENCE] = encode_png(prediction.confidence_plane)
        for index, suffix in self._extras.binary:
            maps[suffix] = encode_png(_of_class(prediction.label_plane, index))
        return maps

    def _polygons(self, job: Job, plane: Enlarged) -> dict[str, bytes]:
        with large_lock(*plane.small.shape):
            found, size = outlines(plane), (plane.height, plane.width)
        picture = self._files.way_to(job.photo, beside(job.mask, LABELME))
        return {LABELME: labelme_json(found, self._card.classes, size, picture), YOLO: yolo_text(found, size)}

    def _pictures(self, loaded: Loaded, prediction: Prediction) -> dict[str, bytes]:
        """By suffix, what the photo itself is seen in."""
        if loaded.data is None or not self._extras.needs_photo:
            return {}
        height, width = loaded.letterbox.height, loaded.letterbox.width
        pictures: dict[str, bytes] = {}
        shown = overlay_suffix(height, width)
        if self._extras.overlay and shown == LARGE_OVERLAY:
            self._files.check_free(beside(loaded.job.mask, shown))
        with large_lock(height, width):
            pixels = decode_image(loaded.data, loaded.job.photo, how=self._extras.decoding).pixels
            labels = prediction.labels
            if self._extras.overlay:
                pictures[shown] = overlay_file(pixels, labels, self._card.classes, shown)
            if self._extras.cutout:
                pictures[CUTOUT] = encode_cutout(pixels, labels, self._extras.cutout)
            for index, suffix in self._extras.layers:
                pictures[suffix] = encode_cutout(pixels, labels, [index])
        return pictures

    def _facts(self, prediction: Prediction) -> dict[str, Any]:
        """What the manifest says of a photo that is done."""
        plane, confidence = prediction.label_plane, prediction.mean_confidence
        return {
            "height": plane.height,
            "width": plane.width,
            "areas": plane.areas(len(self._card.classes)),
            "confidence": None if confidence is None else round(confidence, 4),
            "coco": coco_annotations(plane) if self._extras.coco else None,
            "instances": self._instances(plane) if self._extras.instances else None,
            "cutout": list(self._extras.cutout) or None,
        }

    def _instances(self, plane: Enlarged) -> list[dict[str, Any]]:
        with large_lock(*plane.small.shape):
            return coco_instances(plane)

    def _entry(self, job: Job, stamp: Stamp | None, start_s: float, error: str | None = None, **facts: Any) -> Entry:
        return Entry(
            input=str(job.photo),
            mask=str(job.mask),
            status="failed" if error is not None else "done",
            model_sha256=self._model_sha256,
            seconds=round(time.perf_counter() - start_s, 4),
            stamp=stamp,
            error=error,
            settings=settings_of(self._extras, self.detail),
            **facts,
        )


def _of_class(plane: Enlarged, index: int) -> Enlarged:
    """255 where the label is that class, else 0."""
    return Enlarged((plane.small == index) * np.uint8(255), plane.height, plane.width)


@contextmanager
def _only_this_photo(photo: Path) -> Iterator[None]:
    """An ImageError from what nobody foresaw: it costs this photo, and not the run."""
    try:
        yield
    except GsegError:
        raise
    except MemoryError as error:
        hint = (
            "fewer --workers need less of it, a smaller --max-pixels leaves such photos out; then go on with --resume"
        )
        raise GsegError(f"{photo}: not enough memory", hint) from error
    except Exception as error:
        raise ImageError(f"{photo}: unexpected {type(error).__name__}: {error}") from error


def _reason(error: ImageError, job: Job) -> str:
    return error.message.removeprefix(f"{job.photo}: ")


def settings_of(extras: Extras, detail: Detail) -> dict[str, Any] | None:
    """What `Entry` says of how a mask was made; None for the way of all defaults."""
    return {**(extras.settings or {}), **(detail.settings or {})} or None


def overlay_file(pixels: Pixels, labels: LabelMap, classes: ClassMap, suffix: str) -> bytes:
    """The photo in class colours, as the file that ends in `suffix`. Of a large one hold `large_lock`."""
    mixed = overlay(pixels, labels, classes)
    if suffix == LARGE_OVERLAY:
        return encode_color_png(mixed)
    return encode_jpeg(mixed)
