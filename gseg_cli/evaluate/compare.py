"""Two folders of label maps against each other: one confusion matrix over all images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gseg_cli.project_file import parse_classes
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import MAX_CLASSES, ClassMap
from gseg_runtime.errors import ConfigError, GsegError
from gseg_runtime.files import read_json
from gseg_runtime.folder import REPORT
from gseg_runtime.label_map import read_label_png
from gseg_runtime.metrics import Matrix, confusion_matrix, iou_per_class, mean_iou, pixel_accuracy, weighted_iou
from gseg_runtime.model_card import ModelCard

NUM_NAMED = 5  # missing files that an error names


@dataclass(frozen=True)
class Comparison:
    """matrix: int64 [C, C + 1], see gseg_runtime.metrics; num_images: how many were compared."""

    matrix: Matrix
    classes: ClassMap
    num_images: int

    @property
    def per_class_iou(self) -> dict[str, float | None]:
        """None for a class that the truth does not hold."""
        iou = [float(value) for value in iou_per_class(self.matrix)]
        return {name: value if value == value else None for name, value in zip(self.classes.names, iou, strict=True)}

    def to_json(self) -> dict[str, Any]:
        return {
            "mean_iou": mean_iou(self.matrix),
            "per_class_iou": self.per_class_iou,
            "weighted_iou": weighted_iou(self.matrix),
            "accuracy": pixel_accuracy(self.matrix),
            "images": self.num_images,
        }


def compare_folders(
    predicted: Path, truth: Path, classes: ClassMap | None = None, *, on_step: OnStep = ignore_step
) -> Comparison:
    """Compare every label PNG below `truth` with the one of the same relative name below `predicted`.

    classes: None takes those of the report that `gseg segment` left in `predicted`, else numbers them.
    Raises GsegError when a prediction is missing, of another size, or holds an index without a class.
    """
    pairs = _match(predicted, truth)
    classes = classes or _classes_of_report(predicted)
    num_classes = len(classes) if classes else MAX_CLASSES
    total = _compare(*pairs[0], num_classes)
    on_step(Step(1, len(pairs)))
    for done, pair in enumerate(pairs[1:], start=2):
        total += _compare(*pair, num_classes)
        on_step(Step(done, len(pairs)))
    if classes is None:
        total, classes = _numbered(total)
    return Comparison(total, classes, len(pairs))


def find_classes(text: str) -> ClassMap:
    """The classes in an exported model or a JSON file of gseg's (a report, annotations.json); else as `gseg init`."""
    path = Path(text)
    if path.suffix == ".onnx":
        return _card_of(path).classes
    if path.suffix == ".json":
        return _classes_in(path)
    return parse_classes(text)


def _classes_in(path: Path) -> ClassMap:
    data = read_json(path)
    if not isinstance(data, dict) or "classes" not in data:
        raise ConfigError(f"{path}: holds no classes", "give a gseg.toml, a model.onnx or a gseg-report.json")
    return ClassMap.from_json(data["classes"])


def _card_of(model: Path) -> ModelCard:
    from gseg_runtime.backends.ort import OrtBackend

    return OrtBackend(model).card


def _classes_of_report(folder: Path) -> ClassMap | None:
    report = folder / REPORT
    return _classes_in(report) if report.is_file() else None


def _match(predicted: Path, truth: Path) -> list[tuple[Path, Path]]:
    """(prediction, truth) of every label PNG below `truth`, sorted."""
    for folder in (predicted, truth):
        if not folder.is_dir():
            raise GsegError(f"{folder}: no such folder")
    relative = sorted(path.relative_to(truth) for path in truth.rglob("*") if path.suffix.lower() == ".png")
    if not relative:
        raise GsegError(f"{truth}: no label map (PNG) found")
    pairs = [(predicted / path.with_suffix(".png"), truth / path) for path in relative]
    missing = [prediction for prediction, _ in pairs if not prediction.is_file()]
    if missing:
        raise _missing(missing, predicted, len(pairs))
    return pairs


def _missing(missing: list[Path], predicted: Path, num_truths: int) -> GsegError:
    names = ", ".join(str(path.relative_to(predicted)) for path in missing[:NUM_NAMED])
    rest = f" and {len(missing) - NUM_NAMED} more" if len(missing) > NUM_NAMED else ""
    message = f"{predicted}: {len(missing)} of {num_truths} predictions are missing: {names}{rest}"
    return GsegError(message, "gseg segment --resume makes what is missing; a truth without its photo has to go")


def _compare(prediction: Path, truth: Path, num_classes: int) -> Matrix:
    try:
        return confusion_matrix(read_label_png(prediction), read_label_png(truth), num_classes)
    except GsegError as error:
        if error.message.startswith((str(prediction), str(truth))):
            raise
        raise GsegError(f"{prediction} against {truth}: {error.message}", error.hint) from error


def _numbered(matrix: Matrix) -> tuple[Matrix, ClassMap]:
    """The matrix cut to the indices in use, and numbers as their names."""
    used = matrix.sum(axis=1) + matrix[:, :-1].sum(axis=0)
    num_classes = int(used.nonzero()[0].max(initial=0)) + 1
    columns = [*range(num_classes), matrix.shape[1] - 1]
    return matrix[:num_classes, columns], ClassMap.of_names([str(index) for index in range(num_classes)])
