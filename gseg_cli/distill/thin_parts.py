"""Whether parts of photos are too thin for what a student sees of them: no student can find what its input has lost."""

from pathlib import Path

from gseg_cli.distill.labelled_photos import labelled_photos
from gseg_cli.gan.framing import frame_labels
from gseg_runtime.class_map import MAX_CLASSES
from gseg_runtime.geometry import Letterbox
from gseg_runtime.label_map import read_label_png
from gseg_runtime.metrics import confusion_matrix, mean_iou
from gseg_runtime.spread import spread

NUM_MASKS = 8
# At 192 px 0.96 of portraits is left, 0.95 of cars, 0.87 of crops and weeds and 0.85 of cracks, which gain from tiles.
LEAST = 0.9


def left_of_masks(folder: Path, size: int) -> float:
    """Mean IoU of some masks with themselves, shrunk to squares of `size` and enlarged again; nan where these label
    nothing."""
    matrices = []
    for _, mask in spread(labelled_photos(folder), NUM_MASKS):
        labels = read_label_png(mask)
        height, width = labels.shape
        letterbox = Letterbox(height, width, size)
        matrices.append(confusion_matrix(letterbox.undo_labels(frame_labels(labels, letterbox)), labels, MAX_CLASSES))
    return mean_iou(sum(matrices[1:], matrices[0]))


def about_thin_parts(folder: Path, size: int) -> list[str]:
    """A warning, if any."""
    left = left_of_masks(folder, size)
    if not left < LEAST:  # nan, too: nothing is labelled
        return []
    lost = f"shrunk to {size} px, as the student sees photos, these masks keep {left:.2f} mean IoU: parts are thin"
    return [f"{lost}; --tile shows it photos piece by piece, --input-size sets a larger side"]
