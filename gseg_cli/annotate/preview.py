"""What one sees of an import: each sample with its label map laid over it, and a sheet of all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from gseg_cli.annotate.annotation_set import PREVIEWS, AnnotationSet
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_runtime.files import atomic_path
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels, colorize, contact_sheet, overlay

SHEET = "sheet.png"
_CELL = 192  # pixels of a picture on the sheet; small samples are enlarged
_MAX_ROWS = 64


def write_previews(annotations: AnnotationSet, samples: SampleSet, folder: Path) -> Path:
    """Write preview/000003.png for each annotation and preview/sheet.png; returns the path of the sheet.

    A sample whose image is not there any more is shown as its label map alone.
    """
    rows = []
    for seed, labels in zip(annotations.seeds, annotations.labels, strict=True):
        row = list(_row(annotations, labels, samples, seed))
        _write(folder / PREVIEWS / sample_name(seed), _enlarged(row[1]))
        rows.append([_titled(row[0], sample_name(seed)), *row[1:]])
    sheet = folder / PREVIEWS / SHEET
    _write(sheet, contact_sheet(rows[:_MAX_ROWS], _CELL, ("sample", "overlay", "label map")))
    return sheet


def _row(annotations: AnnotationSet, labels: LabelMap, samples: SampleSet, seed: int) -> Iterator[Pixels]:
    colors = colorize(labels, annotations.classes)
    path = samples.image_path(seed)
    image = read_image(path).pixels if path.is_file() else np.zeros_like(colors)
    if image.shape != colors.shape:
        image = np.zeros_like(colors)
    yield image
    yield overlay(image, labels, annotations.classes)
    yield colors


def _titled(picture: Pixels, title: str) -> Pixels:
    image = Image.fromarray(_enlarged(picture))
    side = image.height // 12
    font = ImageFont.load_default(side)
    ImageDraw.Draw(image).text(
        (side // 3, side // 4), title, "white", font=font, stroke_width=1 + side // 16, stroke_fill="black"
    )
    return np.asarray(image)


def _enlarged(picture: Pixels) -> Pixels:
    """Small pictures to about 512 pixels, each pixel a square."""
    factor = max(1, 512 // max(picture.shape[:2]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _write(path: Path, picture: Pixels) -> None:
    """With the mark by which --overwrite knows gseg's own files."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "gseg")
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, pnginfo=info)
