"""Labelled portraits in a GAN's frame: turned, scaled and shifted so that eyes and mouth lie where the GAN has them.

Points are complex numbers, x + iy in pixels from the picture's top left corner: the first pixel's centre is 0.5 + 0.5i.
A similarity transform is then one product and one sum, and needs no half pixels when the resolution changes.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.geometry import FILL
from gseg_runtime.images import list_images, read_image
from gseg_runtime.label_map import LabelMap, Pixels, check_label_map, read_label_png, write_label_png

Points = npt.NDArray[np.complex128]

SIZE = 64
# Left eye, right eye and mouth of CelebA's aligned photos at half size in the crop (12, 28, 76, 92). The numbers count
# from the first pixel's centre: so they fit the dark pupils and the line between the lips in an average of the crops.
PLACES: Points = np.array([22 + 27.5j, 41.5 + 27.5j, 31.75 + 48j]) + (0.5 + 0.5j)
MIN_SAMPLES = 4  # per pixel and direction


@dataclass(frozen=True)
class Similarity:
    """point -> turn * point + shift; turn is rotation and scale in one."""

    turn: complex
    shift: complex

    def __call__(self, points: Points) -> Points:
        return self.turn * points + self.shift

    @property
    def scale(self) -> float:
        return abs(self.turn)

    @property
    def inverse(self) -> "Similarity":
        return Similarity(1 / self.turn, -self.shift / self.turn)


def fit_similarity(source: Points, target: Points) -> Similarity:
    """The transform of `source` that comes nearest to `target` by least squares, without mirroring.

    Umeyama, IEEE PAMI 13(4), 1991; in the plane its rotation and scale are one complex regression coefficient.
    """
    centred = source - source.mean()
    turn = complex(np.vdot(centred, target - target.mean()) / np.vdot(centred, centred))
    return Similarity(turn, complex(target.mean() - turn * source.mean()))


def find_landmarks(labels: LabelMap, *, eyes: int, mouth: int) -> Points:
    """Centroids of the eye on the left of the picture, the other one, and the mouth. eyes, mouth: class indices.

    GsegError when the face does not show all three.
    """
    both, lips = _points(labels, eyes), _points(labels, mouth)
    if not len(both) or not len(lips):
        raise GsegError(f"class {mouth if len(both) else eyes}: not in the label map, so the face cannot be aligned")
    # Halfway between the outermost pixels, but for a few, which may be strokes gone astray.
    middle = np.percentile(both.real, [2, 98]).mean()
    if (np.abs(both.real - middle) < 1).any():
        raise GsegError(f"class {eyes}: no gap in its middle; two eyes are needed to align a face")
    left, right = both[both.real < middle], both[both.real > middle]
    return np.array([left.mean(), right.mean(), lips.mean()])


def _points(labels: LabelMap, index: int) -> Points:
    rows, columns = np.nonzero(labels == index)
    return columns + 0.5 + 1j * (rows + 0.5)


def warp_photo(photo: Pixels, to_frame: Similarity, size: int = SIZE) -> Pixels:
    """The photo in the frame, uint8 [size, size, 3]: each pixel the mean of samples, mid grey beside the photo."""
    samples = _sample(photo, to_frame, size, Image.Resampling.BILINEAR, FILL)  # [size, k, size, k, 3]
    return samples.mean(axis=(1, 3)).round().astype(np.uint8)


def warp_labels(labels: LabelMap, to_frame: Similarity, size: int = SIZE) -> LabelMap:
    """The label map in the frame, uint8 [size, size]: each pixel the commonest of its samples, 255 beside the photo."""
    samples = _sample(labels, to_frame, size, Image.Resampling.NEAREST, IGNORE)  # [size, k, size, k]
    values = np.unique(samples)
    votes = np.stack([(samples == value).sum(axis=(1, 3)) for value in values])
    return values[votes.argmax(axis=0)]


def _sample(
    picture: npt.NDArray[np.uint8],
    to_frame: Similarity,
    size: int,
    resample: Image.Resampling,
    fill: int | tuple[int, int, int],
) -> npt.NDArray[np.uint8]:
    """Samples of the frame, [size, k, size, k, ...]: k x k in each pixel, so near that none of the photo is missed."""
    k = max(MIN_SAMPLES, math.ceil(1 / to_frame.scale))
    back = to_frame.inverse
    turn, shift = back.turn / k, back.shift
    rows = (turn.real, -turn.imag, shift.real, turn.imag, turn.real, shift.imag)
    fine = Image.fromarray(picture).transform(
        (size * k, size * k), Image.Transform.AFFINE, rows, resample, fillcolor=fill
    )
    return np.asarray(fine).reshape(size, k, size, k, *picture.shape[2:])


def align_folder(images: Path, masks: Path, out: Path, classes: ClassMap) -> list[float]:
    """Write out/images and out/masks, PNGs in the GAN's frame; returns how far each landmark is off, in its pixels.

    classes: one is called eyes, one mouth. GsegError when a photo has no mask of its size, or its face no landmarks.
    """
    eyes, mouth = classes.index("eyes"), classes.index("mouth")
    (out / "images").mkdir(parents=True, exist_ok=True)
    errors: list[float] = []
    for path, photo, labels in read_labelled(images, masks, classes):
        try:
            landmarks = find_landmarks(labels, eyes=eyes, mouth=mouth)
        except GsegError as error:
            raise GsegError(f"{masks / path.stem}.png: {error.message}", error.hint) from error
        to_frame = fit_similarity(landmarks, PLACES)
        errors += np.abs(to_frame(landmarks) - PLACES).tolist()
        Image.fromarray(warp_photo(photo, to_frame)).save(out / "images" / f"{path.stem}.png")
        write_label_png(out / "masks" / f"{path.stem}.png", warp_labels(labels, to_frame), classes)
    return errors


def read_labelled(images: Path, masks: Path, classes: ClassMap) -> Iterator[tuple[Path, Pixels, LabelMap]]:
    """Path, photo [H, W, 3] and label map [H, W] of every photo in `images`; its mask has the same stem."""
    for path in list_images(images):
        photo, mask = read_image(path).pixels, masks / f"{path.stem}.png"
        labels = check_label_map(read_label_png(mask), len(classes), str(mask))
        if labels.shape != photo.shape[:2]:
            expected, got = (f"{shape[1]}x{shape[0]}" for shape in (photo.shape, labels.shape))
            raise GsegError(f"{mask}: expected {expected} pixels as the photo has, got {got}")
        yield path, photo, labels
