"""Toy faces of other sizes, at other places and turned: crops of a wider picture than the GAN was trained on.

The face is painted in the middle of a picture of twice the width, so that whatever comes into view has been painted
too, background, hair and shoulders, and no edge gives away that the picture was moved.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from gseg_cli.datasets.toy_faces.canvas import Canvas, majority
from gseg_cli.datasets.toy_faces.draw import draw_face
from gseg_cli.datasets.toy_faces.parts import paint_face
from gseg_runtime.label_map import LabelMap, Pixels

WIDE = 2  # sides of the wider picture, in those of a crop
FACTOR = 4  # supersampling


@dataclass(frozen=True, kw_only=True)
class View:
    """scale: of the face, 1 is as in `render`; shift: to the right, as share of the picture's side; rotation_deg: of
    the whole picture, clockwise. Together they must not look beyond the wider picture."""

    scale: float = 1.0
    shift: float = 0.0
    rotation_deg: float = 0.0

    def __post_init__(self) -> None:
        cos, sin = (abs(f(math.radians(self.rotation_deg))) for f in (math.cos, math.sin))
        reach = (cos + sin) * (0.5 + abs(self.shift)) / self.scale
        if reach > WIDE / 2 + 1e-9:
            raise ValueError(f"{self} looks beyond the picture")


def render_view(seed: int, size: int, view: View) -> tuple[Pixels, LabelMap]:
    """The face with this seed: image uint8 [size, size, 3], labels uint8 [size, size] as in CLASSES."""
    face = draw_face(seed)
    pose = face.pose
    pose = replace(pose, scale=pose.scale / WIDE, shift_x=pose.shift_x / WIDE, shift_y=pose.shift_y / WIDE)
    face = replace(face, pose=pose)
    canvas = Canvas(size * FACTOR * WIDE, pose)
    paint_face(canvas, face)
    rgb, labels = (_crop(array, size * FACTOR, view) for array in (_pixels(canvas), canvas.labels))
    means = rgb.reshape(size, FACTOR, size, FACTOR, 3).mean(axis=(1, 3), dtype=np.float32)
    grain = np.random.Generator(np.random.PCG64([seed, size])).standard_normal(means.shape, np.float32)
    image = np.clip(means + np.float32(255 * face.noise) * grain + 0.5, 0, 255).astype(np.uint8)
    return image, majority(labels, FACTOR)


def _pixels(canvas: Canvas) -> Pixels:
    return np.clip(canvas.rgb.transpose(1, 2, 0) * 255 + 0.5, 0, 255).astype(np.uint8)


def _crop(array: npt.NDArray[np.uint8], size: int, view: View) -> npt.NDArray[np.uint8]:
    """[size, size] or [size, size, 3] of the wider picture; colours are interpolated, labels are not."""
    resample = Image.Resampling.BILINEAR if array.ndim == 3 else Image.Resampling.NEAREST
    angle = math.radians(view.rotation_deg)
    cos, sin = math.cos(angle) / view.scale, math.sin(angle) / view.scale
    half, middle = size / 2, array.shape[0] / 2
    x, y = half + view.shift * size, half  # what comes to the middle of the wider picture
    rows = (cos, sin, middle - cos * x - sin * y, -sin, cos, middle + sin * x - cos * y)
    return np.asarray(Image.fromarray(array).transform((size, size), Image.Transform.AFFINE, rows, resample))
