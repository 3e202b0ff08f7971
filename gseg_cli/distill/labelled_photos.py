"""Photos that a person labelled, to train a student on beside the GAN's samples."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.turned_photos import about_turned
from gseg_cli.evaluate.compare import DATASETS, check_palettes, dataset_classes, said_classes
from gseg_cli.folder_description import check_whole
from gseg_cli.gan.framing import frame_labels
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import IGNORE, ClassMap, composed
from gseg_runtime.detail import Detail
from gseg_runtime.errors import GsegError
from gseg_runtime.files import sha256_file
from gseg_runtime.images import list_images, read_image
from gseg_runtime.label_map import LabelMap, Pixels, check_label_map, has_shape, read_label_png
from gseg_runtime.tiling import Tiling

KIND = "labelled-photos"
MOST_PIXELS = 2**28  # of all squares; there are six bytes of each
LITTLE_LABELLED = 0.5  # of a photo's pixels


def labelled_photos(folder: Path) -> list[tuple[Path, Path]]:
    """(photo, mask) below folder/images and folder/masks, as `gseg dataset` writes them; photos without one are left
    out. A mask has its photo's name and folder, and the ending .png. GsegError when no photo has a mask, or a mask no
    photo or two.
    """
    check_whole(folder)
    images, masks = folder / "images", folder / "masks"
    for part in (images, masks):
        if not part.is_dir():
            raise GsegError(
                f"{part}: no such folder",
                "gseg label --photos DIR makes images/ and masks/ while you paint, "
                "and gseg annotate-import --photos DIR --no-invert of masks you have",
            )
    photos: dict[Path, list[Path]] = {}
    for path in list_images(images):
        photos.setdefault(_name_of(path, images), []).append(path)
    label_maps = [path for path in list_images(masks) if path.suffix.lower() == ".png"]
    found = {_name_of(path, masks): path for path in label_maps}
    if not found:
        raise GsegError(
            f"{masks}: no label map (PNG)",
            "a mask has the name of its photo and the ending .png; saved as JPEG, its edges smear into other classes",
        )
    if len(found) < len(label_maps):
        twice = next(path for path in label_maps if path not in found.values())
        raise GsegError(
            f"{twice}: another mask has this name, but for capitals or how accents are written", "keep one of them"
        )
    for name, mask in found.items():
        if name not in photos:
            raise GsegError(f"{mask}: no photo of this name in {images}", "a mask has the name of its photo")
        if len(photos[name]) > 1:
            both = " and ".join(photo.name for photo in photos[name][:2])
            raise GsegError(
                f"{mask}: belongs to {both}, expected one photo", "rename one, and give it a mask of its own"
            )
    return [(photos[name][0], mask) for name, mask in found.items()]


def _name_of(path: Path, folder: Path) -> Path:
    """Below the folder, without its ending, however its accents are written; a Mac takes them apart."""
    return Path(composed(str(path.relative_to(folder).with_suffix(""))))


def unlabelled_photos(folder: Path) -> list[Path]:
    """Those that are left out."""
    with_mask = {photo for photo, _ in labelled_photos(folder)}
    return [photo for photo in list_images(folder / "images") if photo not in with_mask]


def about_labelled(folder: Path) -> list[str]:
    """Warnings: about photos without a mask, and about masks that teach little of their photo, or the wrong thing."""
    others, sparse, white, reordered = unlabelled_photos(folder), [], [], []
    masks = [mask for _, mask in labelled_photos(folder)]
    for mask in masks:
        labels = read_label_png(mask)
        if (labels != IGNORE).mean() < LITTLE_LABELLED:
            sparse.append(mask)
        if set(np.unique(labels)) == {0, IGNORE}:  # a black-and-white mask, which hardly ever means to ignore
            white.append(mask)
        try:
            check_palettes(masks[0], mask, labels)
        except GsegError as error:
            reordered.append(error.message)
    warnings = []
    if others:
        warnings.append(f"photos without a mask are left out: {len(others)}, for example {others[0]}")
    if sparse:
        little = f"less than {LITTLE_LABELLED:.0%} of the photo, and the rest teaches nothing"
        warnings.append(f"masks that label {little}: {len(sparse)}, for example {sparse[0]}")
    if white:
        values = "only 0 (background) and 255 (ignored), where a class is drawn with its index"
        warnings.append(f"masks of {values}: {len(white)}, for example {white[0]}")
    if reordered:
        warnings.append(f"{reordered[0]}; indices count, and gseg annotate-import reads such masks by their colours")
    if classes_of(folder) is None:  # else gseg wrote the masks, which are upright
        foreign = [folder / name for name in DATASETS if (folder / name).is_file()]
        warnings += [f"{path}: names no classes as gseg does, and is passed over" for path in foreign]
        warnings += about_turned([photo for photo, _ in labelled_photos(folder)])
    return warnings


def read_labelled(
    folder: Path,
    classes: ClassMap,
    size: int,
    on_step: OnStep = ignore_step,
    files: Sequence[tuple[Path, Path]] | None = None,
    tile: int | None = None,
) -> PairSet:
    """The photos in squares of `size` as `gseg segment` sees them, with their labels. files: some of
    `labelled_photos`, one at least; None takes all. tile: as of `gseg segment --tile`; of very many tiles, some of each
    photo.

    The indices of masks are those of `classes`, unless the folder names its own: then names decide. GsegError when it
    names one that is not in `classes`, or when a mask has another shape than its photo.
    """
    return read_squares(folder, classes, size, on_step, files, tile)[0]


def read_squares(
    folder: Path,
    classes: ClassMap,
    size: int,
    on_step: OnStep = ignore_step,
    files: Sequence[tuple[Path, Path]] | None = None,
    tile: int | None = None,
) -> tuple[PairSet, Tensor]:
    """As `read_labelled`, and which photo each square is of, [N]."""
    files = labelled_photos(folder) if files is None else files
    table = _table(folder, classes)
    most = max(1, MOST_PIXELS // (len(files) * size**2))
    rng = np.random.default_rng(0)  # a resumed training sees the same
    rows: list[tuple[Pixels, LabelMap]] = []
    photo_of: list[int] = []
    for i, (photo, mask) in enumerate(files):
        rows += _squares(photo, mask, table, Detail(tile=tile), size, most, rng)
        photo_of += [i] * (len(rows) - len(photo_of))
        on_step(Step(i + 1, len(files)))
    images, labels = zip(*rows, strict=True)
    return PairSet.exact(np.stack(images), np.stack(labels)), torch.tensor(photo_of)


def classes_of(folder: Path) -> ClassMap | None:
    """As the folder's own file names them, or else a report beside the masks, which `gseg segment` leaves."""
    return dataset_classes(folder) or said_classes(folder / "masks")


def check_shape(shape: tuple[int, ...], mask: Path, size: tuple[int, int], photo: Path) -> None:
    """GsegError when the mask has another shape than its photo, whose (height, width) is `size`."""
    if not has_shape(shape, size):
        message = f"{mask}: {shape[1]} x {shape[0]} pixels, but {photo} has {size[1]} x {size[0]}"
        raise GsegError(message, "a mask covers its whole photo, turned as a viewer shows it")


def parents_of(folder: str | None) -> list[dict[str, str]]:
    """What a student's file says of the photos it learned from; nothing where there were none."""
    return [{"kind": KIND, "path": folder, "sha256": digest(Path(folder))}] if folder else []


def digest(folder: Path) -> str:
    """Of the names and contents of all photos with masks."""
    lines = [f"{path.relative_to(folder)} {sha256_file(path)}" for pair in labelled_photos(folder) for path in pair]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _squares(
    photo: Path, mask: Path, table: LabelMap, detail: Detail, size: int, most: int, rng: np.random.Generator
) -> list[tuple[Pixels, LabelMap]]:
    """At most so many, at random: evenly spread ones might all be of one column."""
    pixels, labels = read_image(photo).pixels, _named_anew(read_label_png(mask), table, mask)
    height, width = pixels.shape[:2]
    check_shape(labels.shape, mask, (height, width), photo)
    frame = detail.frame(height, width, size)
    picture, shown = frame.apply(pixels), frame_labels(labels, frame)
    if not isinstance(frame, Tiling):
        return [(picture, shown)]
    squares = frame.squares
    chosen = sorted(rng.permutation(len(squares))[:most])
    # Copies: a view would keep the whole photo in memory.
    return [(picture[squares[i]].copy(), shown[squares[i]].copy()) for i in chosen]


def _named_anew(labels: LabelMap, table: LabelMap, mask: Path) -> LabelMap:
    is_class = check_label_map(labels, len(table), str(mask)) != IGNORE
    return np.where(is_class, table[labels * is_class], IGNORE).astype(np.uint8)


def _table(folder: Path, classes: ClassMap) -> LabelMap:
    """What each value in the masks means, but for IGNORE."""
    own = classes_of(folder) or classes
    if unknown := [name for name in own.names if name not in classes.names]:
        message = f"{folder / 'masks'}: class {unknown[0]!r} is not one of {', '.join(classes.names)}"
        raise GsegError(message, "the classes of photos are among those that the student learns")
    return np.array([classes.names.index(name) for name in own.names], np.uint8)
