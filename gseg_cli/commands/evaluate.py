"""gseg evaluate: predicted label maps against the truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from gseg_cli.evaluate.compare import Comparison


def evaluate(
    predicted: Annotated[
        Path, typer.Argument(metavar="PREDICTED", help="Folder of label PNGs, of gseg segment for instance.")
    ],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="Folder of true label PNGs with the same names.")],
    classes: Annotated[
        str | None, typer.Option(help="gseg.toml, model.onnx, report or names; without it PREDICTED's report.")
    ] = None,
) -> None:
    """Intersection over union of two folders of label maps, over all images at once."""
    from gseg_cli.evaluate.compare import compare_folders, find_classes
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    class_map = find_classes(classes) if classes else None
    with progress("evaluate", "images") as on_step:
        comparison = compare_folders(predicted, truth, class_map, on_step=on_step)
    current_output().result(comparison.to_json(), _table(comparison))


def _table(comparison: "Comparison") -> "Table":
    from rich.table import Table

    figures = comparison.to_json()
    table = Table("class", caption=f"{comparison.num_images} images; - = not in the truth")
    table.add_column("IoU", justify="right")
    for name, iou in figures["per_class_iou"].items():
        table.add_row(name, "-" if iou is None else f"{iou:.4f}")
    table.add_section()
    for title, key in (("mean IoU", "mean_iou"), ("weighted IoU", "weighted_iou"), ("pixel accuracy", "accuracy")):
        table.add_row(title, f"{figures[key]:.4f}")
    return table
