"""The whole import of labelled photos: read, match, paint, invert."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from gseg_cli.annotate.drawing import PHOTOS
from gseg_cli.annotate.importing import read_drawings
from gseg_cli.annotate.paint import Import
from gseg_cli.annotate.photo_config import PhotoImportConfig
from gseg_cli.annotate.photo_folder import PhotoFolder
from gseg_cli.annotate.photos import Fit, annotations_of, fit_photos, read_labelled_photos
from gseg_cli.gan.inversion.config import InvertConfig
from gseg_cli.gan.inversion.inverter import Inverter
from gseg_cli.gan.load import read_gan
from gseg_cli.gan.transparency import has_alpha
from gseg_cli.steps import OnStep, ignore_step
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import sha256_file


def import_photos(
    source: Path,
    photos: Path,
    gan: Path,
    classes: ClassMap,
    options: PhotoImportConfig,
    device: torch.device,
    *,
    mapping: Mapping[str, str],
    unlabelled: int,
    line_width: float,
    may_add: Callable[[Sequence[str]], bool],
    partial: bool,
    on_step: OnStep = ignore_step,
) -> tuple[str, Import, list[Fit]]:
    """As `import_source`, and how well the GAN draws each photo. Writes nothing.

    partial: without it nothing is inverted where a drawing cannot be taken, for that takes long.
    """
    kind, reading, names = read_drawings(source, classes, mapping, may_add, PHOTOS)
    size, on_board = _shown_by(gan)
    labelled, work = read_labelled_photos(
        reading, PhotoFolder.of(photos), names, size, fit=options.fit, on_board=on_board,
        leave_out=options.leave_out, unlabelled=unlabelled, line_width=line_width,
    )  # fmt: skip
    if not labelled or (work.failures and not partial):
        return kind, Import(None, tuple(work.failures), tuple(work.warnings)), []
    config = InvertConfig(space=options.space, steps=options.steps, noise=False)
    inverter = Inverter.load(gan, config, device, seed=options.seed, class_index=options.class_index)
    fits = fit_photos(labelled, inverter, max_error=options.max_error, on_step=on_step)
    warnings = [*work.warnings, *_about(fits)]
    try:
        annotations = annotations_of(fits, names.classes, sha256_file(gan), options.class_index)
    except GsegError as error:
        return kind, Import(None, (*work.failures, error), tuple(warnings)), fits
    return kind, Import(annotations, tuple(work.failures), tuple(warnings)), fits


def _shown_by(gan: Path) -> tuple[int, bool]:
    """The side of its pictures, and whether they are shown over a checkerboard."""
    file = read_gan(gan)
    return file.config.img_resolution, has_alpha(file)


def _about(fits: Sequence[Fit]) -> list[str]:
    left_out = [f"{fit.photo.name}: left out, {fit.reason}" for fit in fits if fit.reason]
    far = [fit for fit in fits if fit.distance is not None and fit.distance > 1 and not fit.reason]
    return left_out + [
        f"{fit.photo.name}: unlike what the GAN draws; --leave-out if the sheet looks bad" for fit in far
    ]
