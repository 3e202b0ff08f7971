"""What is done to one photo before and after the network: decode and letterbox it, write its mask and the rest."""

import errno
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg

from gseg_runtime.coco_rle import coco_annotations
from gseg_runtime.errors import GsegError, ImageError
from gseg_runtime.files import write_bytes
from gseg_runtime.geometry import Letterbox
from gseg_runtime.images import decode_image, read_picture
from gseg_runtime.label_map import Pixels, overlay
from gseg_runtime.manifest import RESUME_HINT, Entry, Stamp, stamp_of
from gseg_runtime.model_card import ModelCard
from gseg_runtime.plan import CONFIDENCE, OVERLAY, Job
from gseg_runtime.png import encode_png
from gseg_runtime.prediction import Prediction

JPEG_COMMENT = b"\xff\xfe\x00\x06gseg"  # a segment behind the first two bytes: tells our overlays from others' files
_OVERLAY_QUALITY = 90


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

    def are_in(self, folder: Path, entry: Entry) -> bool:
        """Whether an earlier run wrote all of this for a photo."""
        has_tables = (entry.areas or not self.stats) and (entry.coco is not None or not self.coco)
        mask = folder / entry.mask
        return bool(has_tables) and all(beside(mask, suffix).is_file() for suffix in self.suffixes)


@dataclass(frozen=True)
class Loaded:
    """A photo ready for the network. square: uint8 [S, S, 3]; data: the file itself, when an overlay will need it."""

    job: Job
    stamp: Stamp
    start_s: float
    square: Pixels
    letterbox: Letterbox
    data: bytes | None


class PhotoWork:
    """The two halves of the work on a photo; may be used from several threads at once."""

    def __init__(self, out: Path, card: ModelCard, model_sha256: str, extras: Extras) -> None:
        self._out = out
        self._card = card
        self._palette = card.classes.palette()
        self._model_sha256 = model_sha256
        self._extras = extras
        self.wants_confidence = extras.confidence

    def load(self, job: Job) -> Loaded | Entry:
        """Read and decode; an entry that says why when the photo cannot be read."""
        start_s = time.perf_counter()
        stamp: Stamp | None = None
        try:
            stamp = stamp_of(job.photo)  # before reading: a photo that changes meanwhile is done again by --resume
            data = read_picture(job.photo)
            photo = decode_image(data, job.photo, self._card.input_size, fast=self._extras.fast_decode)
        except ImageError as error:
            return self._entry(job, stamp, start_s, error.message.removeprefix(f"{job.photo}: "))
        letterbox = Letterbox(photo.height, photo.width, self._card.input_size)
        square = letterbox.apply(photo.pixels, self._card.fill)
        return Loaded(job, stamp, start_s, square, letterbox, data if self._extras.overlay else None)

    def save(self, loaded: Loaded, prediction: Prediction) -> Entry:
        """Write what is wanted; an entry that says why when the photo's name leaves no room for that.

        A full disk is a GsegError: it ends the run, not only this photo.
        """
        try:
            self._write_files(loaded, prediction)
        except ImageError as error:
            return self._entry(loaded.job, loaded.stamp, loaded.start_s, error.message)
        return self._entry(loaded.job, loaded.stamp, loaded.start_s, None, prediction)

    def _write_files(self, loaded: Loaded, prediction: Prediction) -> None:
        """The longest name first, so that one too long leaves nothing behind; the mask last: then the rest is there."""
        mask = self._out / loaded.job.mask
        if self._extras.confidence and prediction.confidence_plane is not None:
            _write(beside(mask, CONFIDENCE), encode_png(prediction.confidence_plane))
        if loaded.data is not None:
            _write(beside(mask, OVERLAY), self._overlay(loaded.data, loaded.job.photo, prediction))
        _write(mask, encode_png(prediction.label_plane, self._palette))

    def _overlay(self, data: bytes, source: Path, prediction: Prediction) -> bytes:
        pixels = decode_image(data, source).pixels
        mixed = overlay(pixels, prediction.labels, self._card.classes)
        jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(mixed), _OVERLAY_QUALITY)
        return jpeg[:2] + JPEG_COMMENT + jpeg[2:]

    def _entry(
        self, job: Job, stamp: Stamp | None, start_s: float, error: str | None, prediction: Prediction | None = None
    ) -> Entry:
        plane = prediction.label_plane if prediction else None
        return Entry(
            input=str(job.photo),
            mask=str(job.mask),
            status="failed" if error is not None else "done",
            model_sha256=self._model_sha256,
            seconds=round(time.perf_counter() - start_s, 4),
            stamp=stamp,
            error=error,
            height=plane.height if plane else None,
            width=plane.width if plane else None,
            areas=plane.areas(len(self._card.classes)) if plane else None,
            coco=coco_annotations(plane) if plane and self._extras.coco else None,
        )


def _write(path: Path, data: bytes) -> None:
    try:
        write_bytes(path, data)
    except GsegError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG:
            raise ImageError(f"its file {path.name} cannot be written: {error.__cause__.strerror}") from error
        raise GsegError(error.message, RESUME_HINT) from error


def beside(mask: Path, suffix: str) -> Path:
    """x.overlay.jpg for x.png."""
    return mask.with_name(mask.name.removesuffix(".png") + suffix)


def is_gseg_overlay(path: Path) -> bool:
    """Whether `PhotoWork` wrote this picture."""
    with path.open("rb") as file:
        return file.read(2 + len(JPEG_COMMENT))[2:] == JPEG_COMMENT
