"""gseg evaluate: predicted label maps against the truth."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gseg_cli.options import OverwriteOpt

if TYPE_CHECKING:
    from rich.table import Table

    from gseg_cli.evaluate.comparison import Comparison


def evaluate(
    predicted: Annotated[
        Path, typer.Argument(metavar="PREDICTED", help="Folder of label PNGs, for instance from gseg segment.")
    ],
    truth: Annotated[
        Path, typer.Argument(metavar="TRUTH", help="Folder of true label PNGs with the same names, or of gseg dataset.")
    ],
    classes: Annotated[
        str | None,
        typer.Option(
            help="Class names in the order of the values, with commas between, or a file that has them: gseg.toml, "
            "model.onnx or a report.",
            show_default="read from the folders",
        ),
    ] = None,
    boundary_tolerance: Annotated[
        float, typer.Option(min=0, max=1, help="How far apart boundaries may be, as a share of the image diagonal.")
    ] = 0.0075,
    confusion: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="File for the confusion matrix, .png, .csv or .json; can be repeated."),
    ] = None,
    overwrite: OverwriteOpt = False,
) -> None:
    """Compare a folder of label maps with the truth.

    Shows IoU, boundary F-score and accuracy, counted over all images at once.
    """
    from gseg_cli.evaluate.compare import compare_folders, find_classes
    from gseg_cli.evaluate.confusion import check_target, write_confusion
    from gseg_cli.output import current_output
    from gseg_cli.progress import progress

    for path in confusion or ():
        check_target(path, overwrite=overwrite)
    class_map = find_classes(classes) if classes else None
    with progress("evaluate", "images") as on_step:
        comparison = compare_folders(predicted, truth, class_map, tolerance=boundary_tolerance, on_step=on_step)
    for path in confusion or ():
        write_confusion(path, comparison)
    if exchanged := comparison.exchanged:
        pairs = ", ".join(f"{name} as {other}" for name, other in exchanged)
        question = "label maps are compared by index: does each mean the same class in both folders?"
        current_output().warn(f"classes that are mostly predicted as another: {pairs}; {question}")
    current_output().result({**comparison.to_json(), "confusion": confusion or []}, _table(comparison))


def _table(comparison: "Comparison") -> "Table":
    from rich.table import Table

    figures = comparison.to_json()
    table = Table("class", caption=_caption(comparison), caption_justify="left")
    for title in ("IoU", "boundary F", "share of truth"):
        table.add_column(title, justify="right")
    for name, iou in figures["per_class_iou"].items():
        if name not in comparison.absent:
            share = figures["shares"][name]
            table.add_row(name, _figure(iou), _figure(figures["per_class_boundary_f"][name]), f"{share:.2%}")
    table.add_section()
    table.add_row("mean", _figure(figures["mean_iou"]), _figure(figures["boundary_f"]), "")
    table.add_row("weighted by share", _figure(figures["weighted_iou"]), "", "")
    table.add_row("pixel accuracy", _figure(figures["accuracy"]), "", "")
    return table


def _caption(comparison: "Comparison") -> str:
    from gseg_cli.counted import counted

    lines = [f"{counted(comparison.num_images, 'image')}; boundaries within {comparison.tolerance:.2%} of the diagonal"]
    if comparison.num_resized:
        lines.append(f"predictions resized to the size of the truth: {comparison.num_resized}")
    if comparison.absent:
        lines.append(f"left out, in neither folder: {', '.join(comparison.absent)}")
    if comparison.only_predicted:
        lines.append(f"without figures, predicted but not in the truth: {', '.join(comparison.only_predicted)}")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.4f}"
