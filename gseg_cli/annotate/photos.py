"""Labelled photos as annotations: their label maps brought to the GAN's square, and the photos into the GAN itself."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gseg_cli.annotate.annotation_set import FIRST_PHOTO, PREVIEWS, AnnotationSet
from gseg_cli.annotate.drawing import Reading
from gseg_cli.annotate.hatching import marked
from gseg_cli.annotate.legend import with_legend
from gseg_cli.annotate.names import Names
from gseg_cli.annotate.paint import Painted, paint_all
from gseg_cli.annotate.photo_folder import PhotoFolder, PhotoMatcher
from gseg_cli.gan.framing import frame_labels, mask_of
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.inversion.own_distances import own_distances
from gseg_cli.gan.inversion.square import read_square
from gseg_cli.picture_files import titled, write_picture
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError, UsageError
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels, contact_sheet

SHEET = "photos.png"  # beside the previews
_CELL = 192


@dataclass(frozen=True, eq=False)
class LabelledPhoto:
    """name: relative to the folder. square, labels: in the GAN's square; inside: bool [R, R], where the photo is."""

    name: str
    square: Pixels
    labels: LabelMap
    inside: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Fit:
    """A photo, inverted. error, distance: as of `Fitted`; reason: why it is left out, None if it is not."""

    photo: LabelledPhoto
    ws: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]"  # [L, W]
    image: Pixels
    error: float
    distance: float | None
    reason: str | None


def read_labelled_photos(
    reading: Reading,
    photos: PhotoFolder,
    names: Names,
    size: int,
    *,
    fit: str,
    on_board: bool = False,
    leave_out: Collection[str] = (),
    unlabelled: int,
    line_width: float,
) -> tuple[list[LabelledPhoto], Reading]:
    """As `paint_photos`, in squares of `size` pixels. on_board: as of `read_square`."""
    found, work = paint_photos(
        reading, photos, names, lambda labels, seed: _labelled(photos, seed, labels, size, fit, on_board),
        leave_out=leave_out, unlabelled=unlabelled, line_width=line_width,
    )  # fmt: skip
    return list(found.values()), work


def paint_photos(
    reading: Reading,
    photos: PhotoFolder,
    names: Names,
    keep: Callable[[LabelMap, int], Painted],
    *,
    leave_out: Collection[str] = (),
    unlabelled: int,
    line_width: float,
) -> tuple[dict[int, Painted], Reading]:
    """Match the drawings to photos and paint them; what is kept of each, by the number of the photo.

    keep: makes it of a label map of the drawing's size and that number; the map itself is large. leave_out: names of
    photos, with or without their ending. Writes nothing. UsageError when there is no such photo.
    """
    _check_names(leave_out, photos)
    left = {seed for seed in photos.seeds if {photos.name(seed), photos.image_path(seed).stem} & set(leave_out)}

    def finish(labels: LabelMap, seed: int, where: str, work: Reading) -> Painted | None:
        checked = _checked(labels, photos.image_path(seed), where)
        return None if seed in left else keep(checked, seed)

    kept, work = paint_all(
        reading,
        PhotoMatcher(photos),
        names,
        lambda seed: _size_of(photos.image_path(seed)),
        finish,
        unlabelled=unlabelled,
        line_width=line_width,
    )
    return {seed: one for seed, one in kept.items() if one is not None}, work


def fit_photos(
    photos: Sequence[LabelledPhoto],
    inverter: Inverter,
    *,
    max_error: float | None = None,
    on_step: OnStep = ignore_step,
) -> list[Fit]:
    """Invert them. max_error: beyond it a fit is left out."""
    fits: list[Fit] = []
    for start in range(0, len(photos), inverter.batch):
        part = photos[start : start + inverter.batch]
        fits += _fit(part, inverter, max_error, _within(on_step, start, len(part), len(photos), inverter.config.steps))
        on_step(Step(len(fits), len(photos)))
    return fits


def annotations_of(fits: Sequence[Fit], classes: ClassMap, gan_sha256: str, class_index: int | None) -> AnnotationSet:
    """Of those that are not left out; GsegError when all are."""
    good = [fit for fit in fits if fit.reason is None]
    if not good:
        raise GsegError("no photo is left", "raise --max-error, or use photos more like those of the GAN")
    numbers = tuple(range(FIRST_PHOTO, FIRST_PHOTO + len(good)))
    labels, ws = np.stack([fit.photo.labels for fit in good]), np.stack([fit.ws for fit in good])
    names = {number: fit.photo.name for number, fit in zip(numbers, good, strict=True)}
    return AnnotationSet(labels, ws, numbers, classes, gan_sha256, 1.0, class_index, names)


def write_fits(fits: Sequence[Fit], classes: ClassMap, folder: Path) -> Path:
    """preview/photos.png: each photo, its reconstruction, its label map over both, and the error; returns its path."""
    rows = [_row(fit, classes) for fit in sorted(fits, key=lambda fit: -fit.error)]
    path = folder / PREVIEWS / SHEET
    sheet = contact_sheet(rows, _CELL, ("photo", "reconstruction", "labels", "labels on it"))
    write_picture(path, with_legend(sheet, classes))
    return path


def _check_names(leave_out: Collection[str], photos: PhotoFolder) -> None:
    known = {name for seed in photos.seeds for name in (photos.name(seed), photos.image_path(seed).stem)}
    unknown = sorted(set(leave_out) - known)
    if unknown:
        raise UsageError(f"--leave-out: no photo {unknown[0]} in {photos.dir}")


def _size_of(path: Path) -> tuple[int, int]:
    photo = read_image(path, 1)
    return photo.width, photo.height


def _checked(labels: LabelMap, path: Path, where: str) -> LabelMap:
    """The label map, if its sides are in the photo's proportion (to a pixel)."""
    (height, width), (photo_width, photo_height) = labels.shape, _size_of(path)
    if abs(width * photo_height - height * photo_width) > max(photo_width, photo_height):
        message = f"{where}: {width}x{height} pixels, but {path.name} is displayed with {photo_width}x{photo_height}"
        if abs(width * photo_width - height * photo_height) <= max(photo_width, photo_height):
            raise GsegError(
                message, "turn it as a viewer shows the photo, which the camera may have stored on its side"
            )
        raise GsegError(message, "draw on the whole photo; cropped or turned ones cannot be placed")
    return labels


def _labelled(photos: PhotoFolder, seed: int, labels: LabelMap, size: int, fit: str, on_board: bool) -> LabelledPhoto:
    square, framing = read_square(photos.image_path(seed), size, fit, on_board=on_board)
    return LabelledPhoto(photos.name(seed), square, frame_labels(labels, framing), mask_of(framing))


def _within(on_step: OnStep, start: int, count: int, total: int, steps: int) -> Callable[[int, float], None]:
    return lambda step, gap: on_step(Step(start + count * step // steps, total, {"distance": gap}))


def _fit(
    photos: Sequence[LabelledPhoto], inverter: Inverter, max_error: float | None, on_gap: Callable[[int, float], None]
) -> list[Fit]:
    squares, inside = np.stack([photo.square for photo in photos]), np.stack([photo.inside for photo in photos])
    fitted = inverter.fit(squares, inside, on_gap)
    distances = own_distances(inverter, squares, inside, fitted)
    ws = fitted.inversion.ws.cpu().numpy()
    fits = []
    for i, photo in enumerate(photos):
        error = float(fitted.errors[i])
        distance = None if distances is None else float(distances[i])
        reason = f"error {error:.1f} is beyond {max_error:g}" if max_error is not None and error > max_error else None
        fits.append(Fit(photo, ws[i], fitted.images[i], error, distance, reason))
    return fits


def _row(fit: Fit, classes: ClassMap) -> list[Pixels]:
    left_out = ", left out" if fit.reason else ""
    photo, labels = fit.photo.square, fit.photo.labels
    title = titled(photo, f"{Path(fit.photo.name).stem[:16]}: {fit.error:.0f}{left_out}")
    return [title, fit.image, marked(photo, labels, classes), marked(fit.image, labels, classes)]
