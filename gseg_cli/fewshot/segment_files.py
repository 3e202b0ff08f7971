"""What `gseg fewshot-segment` tells of all photos at once, made from the manifest: a table, and a sheet to look at."""

from pathlib import Path

from gseg_cli.annotate.hatching import marked
from gseg_cli.annotate.legend import with_legend
from gseg_cli.picture_files import titled, write_picture
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import GsegError
from gseg_runtime.files import atomic_path
from gseg_runtime.images import read_image
from gseg_runtime.label_map import Pixels, contact_sheet, read_label_png, resize_labels
from gseg_runtime.manifest import Entry, read_sorted
from gseg_runtime.plan import beside
from gseg_runtime.tables import write_row

TABLE, SHEET = "gseg-fewshot.csv", "gseg-sheet.png"
RECONSTRUCTION = ".reconstruction.png"  # what stands in its name instead of .png
LIMIT = 1.0  # of a photo's distance, see gan/inversion/domain.py
_CELL, _MAX_ROWS = 192, 64


def write_table(folder: Path) -> list[str]:
    """gseg-fewshot.csv: image, error, distance, and whether that is too far; returns the photos that are."""
    far = []
    with (
        atomic_path(folder / TABLE) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        write_row(file, ["image", "error", "distance", "far"])
        for entry in read_sorted(folder):
            figures = entry.figures or {}
            distance = figures.get("distance")
            is_far = distance is not None and distance > LIMIT
            write_row(file, [entry.name, figures.get("error"), distance, "" if distance is None else int(is_far)])
            far += [entry.input] if is_far else []
    return far


def write_sheet(folder: Path, classes: ClassMap) -> None:
    """gseg-sheet.png: the first photos, each with its reconstruction, its mask laid over, and the error."""
    rows: list[list[Pixels]] = []
    for entry in read_sorted(folder):
        if len(rows) == _MAX_ROWS:
            break
        try:
            rows.append(_row(folder, entry, classes))
        except GsegError:  # the photo was moved away since; its mask is still good
            continue
    if rows:
        sheet = contact_sheet(rows, _CELL, ("photo", "reconstruction", "mask"))
        write_picture(folder / SHEET, with_legend(sheet, classes))


def _row(folder: Path, entry: Entry, classes: ClassMap) -> list[Pixels]:
    mask = folder / entry.mask
    photo = read_image(Path(entry.input), 2 * _CELL).pixels
    reconstruction = read_image(beside(mask, RECONSTRUCTION)).pixels
    labels = resize_labels(read_label_png(mask), photo.shape[:2])
    return [_titled(photo, entry), reconstruction, marked(photo, labels, classes)]


def _titled(photo: Pixels, entry: Entry) -> Pixels:
    figures = entry.figures or {}
    is_far = (figures.get("distance") or 0) > LIMIT
    return titled(photo, f"error {figures.get('error') or 0:.0f}" + (", too far" if is_far else ""))
