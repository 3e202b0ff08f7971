"""What one sees of an import: each sample with its label map laid over it, and a sheet of all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gseg_cli.annotate.annotation_set import PREVIEWS, AnnotationSet
from gseg_cli.annotate.hatching import marked, with_ignored
from gseg_cli.annotate.legend import with_legend
from gseg_cli.gan.sample_set import SampleSet, sample_name
from gseg_cli.picture_files import enlarged, titled, write_picture
from gseg_runtime.images import read_image
from gseg_runtime.label_map import LabelMap, Pixels, colorize, contact_sheet

SHEET = "sheet.png"
_CELL = 192  # pixels of a picture on the sheet; small samples are enlarged
_MAX_ROWS = 64


def write_previews(annotations: AnnotationSet, samples: SampleSet, folder: Path) -> Path:
    """Write preview/000003.png for each annotation and preview/sheet.png; returns the path of the sheet.

    A sample whose image is not there any more is shown as its label map alone.
    """
    rows = []
    for seed, labels in zip(annotations.seeds, annotations.labels, strict=True):
        if seed in annotations.photos:  # shown beside their reconstructions, see photos.py
            continue
        row = list(_row(annotations, labels, samples, seed))
        write_picture(folder / PREVIEWS / sample_name(seed), enlarged(row[1]))
        rows.append([titled(row[0], sample_name(seed)), *row[1:]])
    sheet = folder / PREVIEWS / SHEET
    pictures = contact_sheet(rows[:_MAX_ROWS], _CELL, ("sample", "overlay", "label map"))
    write_picture(sheet, with_legend(pictures, annotations.classes))
    return sheet


def _row(annotations: AnnotationSet, labels: LabelMap, samples: SampleSet, seed: int) -> Iterator[Pixels]:
    colors = colorize(labels, annotations.classes)
    path = samples.image_path(seed)
    image = read_image(path).pixels if path.is_file() else np.zeros_like(colors)
    if image.shape != colors.shape:
        image = np.zeros_like(colors)
    yield image
    yield marked(image, labels, annotations.classes)
    yield with_ignored(colors, labels)
