"""Two folders of label maps against each other: every pixel is counted over all images before anything is divided."""

import re
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np

from gseg_cli.evaluate.boundary import TOLERANCE, Counts, boundary_counts
from gseg_cli.evaluate.comparison import Comparison
from gseg_cli.project_file import parse_classes
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import IGNORE, MAX_CLASSES, ClassMap, Color, composed
from gseg_runtime.errors import ConfigError, GsegError, UsageError
from gseg_runtime.files import read_json
from gseg_runtime.images import list_images
from gseg_runtime.label_map import LabelMap, check_label_map, has_shape, read_label_png, resize_labels
from gseg_runtime.manifest import failed_masks
from gseg_runtime.mask_folder import REPORT
from gseg_runtime.metrics import Matrix, confusion_matrix
from gseg_runtime.onnx_file import read_card
from gseg_runtime.photo_names import IMAGES, MASKS, is_named_like_a_picture
from gseg_runtime.pillow import open_picture, picture_errors
from gseg_runtime.plan import BINARY, CONFIDENCE, CUTOUT, LARGE_OVERLAY, LAYER
from gseg_runtime.workers import num_cores, run_to_completion

NUM_NAMED = 5  # missing files that an error names
_KINDS = "|".join(re.escape(name.removesuffix(".png")) for name in (CONFIDENCE, CUTOUT, LARGE_OVERLAY))
BESIDE = re.compile(rf"(.+?)(?:(?:{re.escape(BINARY)}|{re.escape(LAYER)}).+|{_KINDS})")
DATASETS = ("dataset.json", "toy-faces.json")  # in a folder with images/ and masks/


def compare_folders(
    predicted: Path,
    truth: Path,
    classes: ClassMap | None = None,
    *,
    tolerance: float = TOLERANCE,
    on_step: OnStep = ignore_step,
) -> Comparison:
    """Compare every label PNG below `truth` with the one of the same relative name below `predicted`.

    For x.png that may be x.jpg.png. A prediction of the truth's shape is compared at the truth's size.

    truth: a folder of label PNGs, or one that holds them in masks/ and photos in images/. Of the latter `predicted` may
        hold the masks in images/, as when the whole folder was segmented.
    classes: None takes those that the folders say of themselves, else numbers them.
    tolerance: how far boundaries may lie apart, as share of the image diagonal.
    Raises GsegError when a prediction is missing, of another shape, or holds an index without a class, when both
    folders name their classes and the names differ, and without `classes` when their palettes have another order.
    """
    if not 0 <= tolerance <= 1:
        raise UsageError(f"--boundary-tolerance: expected a share of the image diagonal, 0 to 1, got {tolerance}")
    if any((truth / name).exists() for name in (IMAGES, *DATASETS)) and (truth / MASKS).is_dir():
        truth = truth / MASKS
    pairs = _match(predicted, truth)
    is_told = classes is not None
    classes = classes or _agreed_classes(predicted, truth)
    num_classes = len(classes) if classes else MAX_CLASSES
    matrix = np.zeros((num_classes, num_classes + 1), np.int64)
    boundary = np.zeros((4, num_classes), np.int64)
    done = num_resized = 0

    def take(counts: tuple[Matrix, Counts, bool]) -> None:
        nonlocal matrix, boundary, done, num_resized
        matrix, boundary, done = matrix + counts[0], boundary + counts[1], done + 1
        num_resized += counts[2]
        on_step(Step(done, len(pairs)))

    work = partial(_compare, num_classes=num_classes, tolerance=tolerance, by_color=not is_told)
    run_to_completion(pairs, work, take, min(num_cores(), len(pairs)))
    if classes is None:
        matrix, boundary, classes = _numbered(matrix, boundary)
    return Comparison(matrix, boundary, classes, len(pairs), tolerance, num_resized)


def find_classes(text: str) -> ClassMap:
    """The classes in an exported model or a JSON file of gseg's (a report, annotations.json); else those of masks as by
    `parse_classes`.
    """
    path = Path(text)
    if path.suffix.lower() == ".onnx":
        return read_card(path).classes
    if path.suffix.lower() == ".json":
        return _classes_in(path)
    return parse_classes(text, of_masks=True)


def _classes_in(path: Path) -> ClassMap:
    if (classes := _named_in(path)) is None:
        raise ConfigError(f"{path}: has no classes", "give a gseg.toml, a model.onnx or a gseg-report.json")
    return classes


def _named_in(path: Path) -> ClassMap | None:
    """None where it names no classes: nnU-Net and StyleGAN have a dataset.json of their own, COCO annotations.json."""
    data = read_json(path)
    if not isinstance(data, dict) or "classes" not in data:
        return None
    try:
        return ClassMap.from_json(data["classes"])
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.message}", error.hint) from error


def _agreed_classes(predicted: Path, truth: Path) -> ClassMap | None:
    ours, theirs = said_classes(predicted), said_classes(truth)
    if ours and theirs and ours.names != theirs.names:
        message = f"{predicted} has the classes {', '.join(ours.names)}, but {truth} has {', '.join(theirs.names)}"
        hint = "label maps are compared by index; if these mean the same, name the classes with --classes"
        raise GsegError(message, hint)
    return ours or theirs


def said_classes(folder: Path) -> ClassMap | None:
    """The classes of a folder of label maps, from the JSON file that gseg wrote in it, or beside masks/."""
    files = [folder / REPORT, folder / "annotations.json"]
    if folder.name == "masks":
        files += [folder.parent / name for name in DATASETS]
    return _first_named(files)


def dataset_classes(folder: Path) -> ClassMap | None:
    """The classes of a folder with images/ and masks/, as its own JSON file names them."""
    return _first_named([folder / name for name in DATASETS])


def _first_named(files: list[Path]) -> ClassMap | None:
    return next((classes for file in files if file.is_file() and (classes := _named_in(file))), None)


def _match(predicted: Path, truth: Path) -> list[tuple[Path, Path]]:
    """(prediction, truth) of every label PNG below `truth`, sorted."""
    for folder in (predicted, truth):
        if not folder.is_dir():
            raise GsegError(f"{folder}: no such folder")
    found = {path.relative_to(truth) for path in list_images(truth) if path.suffix.lower() == ".png"}
    relative = sorted(path for path in found if _label_map_of(path) not in found - {path})
    if not relative:
        raise GsegError(f"{truth}: no label map (PNG) found")
    failed = failed_masks(predicted)
    below = _where_masks_lie(predicted, truth)
    masks = [below / path.with_suffix(".png") for path in relative]
    if not all((predicted / mask).is_file() for mask in masks):
        others = _otherwise_named(predicted)
        masks = [mask if (predicted / mask).is_file() else others.get(_composed(mask), mask) for mask in masks]
    missing = [mask for mask in masks if str(mask) in failed or not (predicted / mask).is_file()]
    if missing:
        raise _missing(missing, predicted, len(masks))
    return [(predicted / mask, truth / path) for mask, path in zip(masks, relative, strict=True)]


def _otherwise_named(folder: Path) -> dict[Path, Path]:
    """Masks by their names with whole accents, which a Mac takes apart; x.jpg.png, as those of buckets are called, by
    short ones. None where two have the same."""
    found = [path.relative_to(folder) for path in list_images(folder) if path.suffix.lower() == ".png"]
    names = [_composed(_shortened(path)) for path in found]
    count = Counter(names)
    return {name: path for name, path in zip(names, found, strict=True) if count[name] == 1}


def _shortened(path: Path) -> Path:
    return path.with_name(f"{Path(path.stem).stem}.png") if is_named_like_a_picture(path.stem) else path


def _composed(path: Path) -> Path:
    return Path(composed(str(path)))


def _where_masks_lie(predicted: Path, truth: Path) -> Path:
    """From `predicted`: in images/ when photos and truth lie side by side, and all of that was segmented."""
    is_beside_photos = truth.name == MASKS and (truth.parent / IMAGES).is_dir()
    is_of_the_whole = (predicted / IMAGES).is_dir() and not (predicted / MASKS).is_dir()
    return Path(IMAGES) if is_beside_photos and is_of_the_whole else Path()


def _label_map_of(path: Path) -> Path:
    """Of what `gseg segment` writes beside a label map: that map's name; a label map's own stays."""
    beside = BESIDE.fullmatch(path.stem)
    return path.with_name(f"{beside[1]}.png") if beside else path


def _missing(missing: list[Path], predicted: Path, num_truths: int) -> GsegError:
    left = " (left from before its photo failed)"
    names = ", ".join(f"{mask}{left if (predicted / mask).is_file() else ''}" for mask in missing[:NUM_NAMED])
    rest = f" and {len(missing) - NUM_NAMED} more" if len(missing) > NUM_NAMED else ""
    message = f"{predicted}: {len(missing)} of {num_truths} predictions are missing: {names}{rest}"
    return GsegError(
        message, "run gseg segment --resume to make the missing masks, or remove label maps that have no photo"
    )


def _compare(
    pair: tuple[Path, Path], num_classes: int, tolerance: float, *, by_color: bool
) -> tuple[Matrix, Counts, bool]:
    """The counts, and whether the prediction was resized. by_color: whether to look at the palettes, too."""
    prediction, truth = pair
    try:
        ours, theirs = (_read(path, num_classes) for path in pair)
        is_resized = ours.shape != theirs.shape and has_shape(ours.shape, theirs.shape)
        if is_resized:
            ours = resize_labels(ours, theirs.shape)
        if by_color:
            check_palettes(prediction, truth, theirs)
        matrix = confusion_matrix(ours, theirs, num_classes)
        return matrix, boundary_counts(ours, theirs, num_classes, tolerance=tolerance), is_resized
    except GsegError as error:
        if error.message.startswith((str(prediction), str(truth))):
            raise
        raise GsegError(f"{prediction} against {truth}: {error.message}", error.hint) from error


def _read(path: Path, num_classes: int) -> LabelMap:
    """GsegError for an index without a class: whoever compares must know which of the two folders has it."""
    labels = read_label_png(path)
    try:
        return check_label_map(labels, num_classes, str(path))
    except GsegError as error:
        hint = "label maps are compared by index: both folders need the same classes, which --classes names"
        raise GsegError(error.message, hint) from error


def check_palettes(one: Path, other: Path, labels: LabelMap) -> None:
    """GsegError when the colours of both label maps are the same, but mean other indices. labels: of the other.

    Programs that optimise pictures sort the palette; all looks right, and every class is another.
    """
    ours, theirs = _palette(one), _palette(other)
    if ours == theirs:
        return
    used = [index for index in np.flatnonzero(np.bincount(labels.ravel())) if index < min(len(theirs), IGNORE)]
    places = {index: place for index in used if (place := _place(theirs[index], ours)) is not None}
    moved = next((index for index, place in places.items() if index != place), None)
    if moved is not None and 1 < len(places) == len(set(places.values())):
        which = f"index {moved} of the latter looks like {places[moved]} of the former"
        message = f"{one} and {other}: the same colours stand in their palettes in another order, so {which}"
        hint = "gseg annotate-import reads label maps by colour; if the indices are right, give --classes"
        raise GsegError(message, hint)


def _place(color: Color, palette: list[Color]) -> int | None:
    """Where it stands first; None where it is not, or fills the places behind the classes."""
    place = palette.index(color) if color in palette else None
    return None if place is None or palette[place + 1 : place + 2] == [color] else place


def _palette(path: Path) -> list[Color]:
    """The colours of an indexed PNG; of any other none."""
    with picture_errors(path), open_picture(path.read_bytes(), formats=["PNG"]) as image:
        colors = image.palette.getdata()[1] if image.palette else b""  # no pixel need be decoded for it
    return list(zip(colors[::3], colors[1::3], colors[2::3], strict=False))  # decoders pass over half a colour


def _numbered(matrix: Matrix, boundary: Counts) -> tuple[Matrix, Counts, ClassMap]:
    """Both cut to the indices in use, and numbers as their names."""
    used = matrix.sum(axis=1) + matrix[:, :-1].sum(axis=0)
    num_classes = int(used.nonzero()[0].max(initial=0)) + 1
    columns = [*range(num_classes), matrix.shape[1] - 1]
    names = ClassMap.of_names([str(index) for index in range(num_classes)])
    return matrix[:num_classes, columns], boundary[:, :num_classes], names
