"""What is done to one photo before and after the network: decode and letterbox it, write its mask and the rest."""

import errno
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg

from gseg_runtime.coco_rle import coco_annotations
from gseg_runtime.errors import GsegError, ImageError, OutputError
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import decode_image, large_lock, read_picture
from gseg_runtime.label_map import Pixels, overlay
from gseg_runtime.manifest import RESUME_HINT, Entry, Stamp, stamp_of
from gseg_runtime.model_card import ModelCard
from gseg_runtime.output_folder import OutputFolder
from gseg_runtime.plan import CONFIDENCE, LARGE_OVERLAY, OVERLAY, Job, beside
from gseg_runtime.png import encode_png, encode_rgb_png, is_gseg_png
from gseg_runtime.prediction import Inference, Prediction

JPEG_COMMENT = b"\xff\xfe\x00\x06gseg"  # a segment behind the first two bytes: tells our overlays from others' files
_OVERLAY_QUALITY = 90
_JPEG_SIDE = 65_500  # pixels; libjpeg takes no more
# The disk's fault, and not that of one file's name: the next photo would fare no better.
_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT),
    *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENODEV, errno.ENXIO, errno.ENOTCONN, errno.ESTALE),
)


@dataclass(frozen=True)
class Extras:
    """What is wanted beside the masks. fast_decode: see `decode_image`."""

    overlay: bool = False
    confidence: bool = False
    coco: bool = False
    stats: bool = False
    fast_decode: bool = False

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Of files beside each mask."""
        wanted = {OVERLAY: self.overlay, CONFIDENCE: self.confidence}
        return tuple(suffix for suffix, is_wanted in wanted.items() if is_wanted)

    def suffixes_of(self, entry: Entry) -> tuple[str, ...]:
        """Of the files beside the mask of a photo that is done."""
        shown = overlay_suffix(entry.height or 0, entry.width or 0)
        return tuple(shown if suffix == OVERLAY else suffix for suffix in self.suffixes)

    def are_told_by(self, entry: Entry) -> bool:
        """Whether the manifest says of a photo what the tables need."""
        return bool(entry.areas or not self.stats) and (entry.coco is not None or not self.coco)


@dataclass(frozen=True)
class Loaded:
    """A photo ready for the network. square: uint8 [S, S, 3]; data: the file itself, when an overlay will need it.

    remark: see `Photo`.
    """

    job: Job
    stamp: Stamp
    start_s: float
    square: Pixels
    letterbox: Letterbox
    data: bytes | None
    remark: str = ""


class PhotoWork:
    """The two halves of the work on a photo; may be used from several threads at once.

    Whatever goes wrong with one photo, be it foreseen or not, makes a failed entry of it. A GsegError is what ends the
    run: the output folder is broken, or there is too little memory.
    """

    def __init__(
        self, out: OutputFolder, card: ModelCard, model_sha256: str, extras: Extras, masks: Collection[str] = ()
    ) -> None:
        """masks: those of other photos that are named like an overlay, relative to `out`."""
        self._out = out
        self._card = card
        self._palette = card.classes.palette()
        self._model_sha256 = model_sha256
        self._extras = extras
        self._masks = masks
        self.wants_confidence = extras.confidence

    def load(self, job: Job) -> Loaded | Entry:
        """Read, decode and letterbox; a failed entry that says why not."""
        start_s = time.perf_counter()
        stamp: Stamp | None = None
        try:
            with _only_this_photo(job.photo):
                stamp = stamp_of(job.photo)  # before reading: a photo that changes meanwhile is done again by --resume
                data = read_picture(job.photo)
                photo = decode_image(data, job.photo, self._card.input_size, fast=self._extras.fast_decode)
                letterbox = Letterbox(photo.height, photo.width, self._card.input_size)
                square = letterbox.apply(photo.pixels, self._card.fill)
        except ImageError as error:
            return self._entry(job, stamp, start_s, error=_reason(error, job))
        return Loaded(job, stamp, start_s, square, letterbox, data if self._extras.overlay else None, photo.remark)

    def save(self, loaded: Loaded, inference: Inference, index: int = 0) -> Entry:
        """Write what is wanted of the photo in square `index`; a failed entry that says why not."""
        job, stamp, start_s = loaded.job, loaded.stamp, loaded.start_s
        try:
            with _only_this_photo(job.photo):
                prediction = inference.prediction(index, loaded.letterbox)
                facts = self._facts(prediction)  # before the mask, which is there only if all else is
                self._write_files(loaded, prediction)
        except ImageError as error:
            return self._entry(job, stamp, start_s, error=_reason(error, job))
        return self._entry(job, stamp, start_s, **facts, remark=loaded.remark or None)

    def _write_files(self, loaded: Loaded, prediction: Prediction) -> None:
        """The longest name first, so that one too long leaves nothing behind; the mask last: then the rest is there."""
        mask = loaded.job.mask
        if self._extras.confidence and prediction.confidence_plane is not None:
            self._write(beside(mask, CONFIDENCE), encode_png(prediction.confidence_plane))
        if loaded.data is not None:
            suffix = overlay_suffix(loaded.letterbox.height, loaded.letterbox.width)
            if suffix == LARGE_OVERLAY:
                self._check_free(beside(mask, suffix))
            with large_lock(loaded.letterbox.height, loaded.letterbox.width):
                shown = self._overlay(loaded.data, loaded.job.photo, prediction, suffix)
            self._write(beside(mask, suffix), shown)
        self._write(mask, encode_png(prediction.label_plane, self._palette))

    def _overlay(self, data: bytes, source: Path, prediction: Prediction, suffix: str) -> bytes:
        pixels = decode_image(data, source).pixels
        mixed = overlay(pixels, prediction.labels, self._card.classes)
        if suffix == LARGE_OVERLAY:
            return encode_rgb_png(mixed)
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(mixed), _OVERLAY_QUALITY)
        return jpeg[:2] + JPEG_COMMENT + jpeg[2:]

    def _check_free(self, name: Path) -> None:
        """Nobody knew, before the photo was opened, that its overlay would have this name, which a mask may have."""
        path = self._out.path / name
        if str(name) in self._masks or (os.path.lexists(path) and not (path.is_file() and is_gseg_png(path))):
            raise ImageError(f"its overlay would take the place of {name}")

    def _write(self, name: Path, data: bytes) -> None:
        try:
            self._out.write(name, data)
        except OutputError:
            raise
        except GsegError as error:
            self._out.check()  # the reason may be that it is gone
            if isinstance(cause := error.__cause__, OSError) and cause.errno not in _DISK_ERRORS:
                raise ImageError(f"its file {name.name} cannot be written: {cause.strerror}") from error
            raise OutputError(error.message, RESUME_HINT) from error

    def _facts(self, prediction: Prediction) -> dict[str, Any]:
        """What the manifest says of a photo that is done."""
        plane = prediction.label_plane
        return {
            "height": plane.height,
            "width": plane.width,
            "areas": plane.areas(len(self._card.classes)),
            "coco": coco_annotations(plane) if self._extras.coco else None,
        }

    def _entry(self, job: Job, stamp: Stamp | None, start_s: float, error: str | None = None, **facts: Any) -> Entry:
        return Entry(
            input=str(job.photo),
            mask=str(job.mask),
            status="failed" if error is not None else "done",
            model_sha256=self._model_sha256,
            seconds=round(time.perf_counter() - start_s, 4),
            stamp=stamp,
            error=error,
            **facts,
        )


@contextmanager
def _only_this_photo(photo: Path) -> Iterator[None]:
    """An ImageError from what nobody foresaw: it costs this photo, and not the run."""
    try:
        yield
    except GsegError:
        raise
    except MemoryError as error:
        hint = "fewer --workers need less of it; then go on with --resume"
        raise GsegError(f"{photo}: not enough memory", hint) from error
    except Exception as error:
        raise ImageError(f"{photo}: unexpected {type(error).__name__}: {error}") from error


def _reason(error: ImageError, job: Job) -> str:
    return error.message.removeprefix(f"{job.photo}: ")


def overlay_suffix(height: int, width: int) -> str:
    """The overlay's of a photo of that size."""
    return OVERLAY if max(height, width) <= _JPEG_SIDE else LARGE_OVERLAY


def is_gseg_overlay(path: Path) -> bool:
    """Whether `PhotoWork` wrote this picture."""
    with path.open("rb") as file:
        return file.read(2 + len(JPEG_COMMENT))[2:] == JPEG_COMMENT
