"""What exact labels give: the student's own UNet, steps, augmentation and optimiser, on N exactly labelled toy faces.

    python -m benchmarks.supervised [--draws 3]

Writes supervised.md; `gseg demo` prints its rows beside the student's figure.
"""

import argparse
from dataclasses import asdict, replace
from statistics import mean, stdev
from typing import Any

from benchmarks.cells import ROOT, cell
from benchmarks.reference import SIZE_OF
from benchmarks.toy_data import toy_pairs
from gseg_cli.builtin import DEFAULT
from gseg_cli.datasets.splits import SUPERVISED_SEED, TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import CLASSES
from gseg_cli.demo import DemoSize
from gseg_cli.device import pick_device
from gseg_cli.distill.score import predict_labels
from gseg_cli.distill.train import fit_student
from gseg_cli.progress import progress
from gseg_runtime.metrics import confusion_matrix, iou_per_class, mean_iou

COUNTS = (1, 10, 100)
ONE_DRAW = 100  # from here on draws hardly differ, so there is one


def supervised(count: int, draw: int) -> dict[str, Any]:
    """The cell of one training: mean and per-class IoU on the test faces."""
    config, size = replace(DemoSize().student.train, seed=draw), SIZE_OF[DEFAULT]

    def compute() -> dict[str, Any]:
        first = SUPERVISED_SEED + draw * 10_000
        with progress(f"{count} labels, draw {draw}", "steps") as on_step:
            net = fit_student(
                toy_pairs(range(first, first + count), size), CLASSES, config, pick_device(), on_step=on_step
            )
        test = toy_pairs(TEST_SEEDS, size)
        matrix = confusion_matrix(predict_labels(net, test.images), test.first.numpy(), len(CLASSES))
        iou = [round(float(v), 4) for v in iou_per_class(matrix)]
        return {"miou": round(mean_iou(matrix), 4), "per_class_iou": dict(zip(CLASSES.names, iou, strict=True))}

    return cell("supervised", {"labels": count, "draw": draw, "size": size, "train": asdict(config)}, compute)


def rows(draws: int) -> list[dict[str, Any]]:
    """One row per number of labels, over the draws."""
    out = []
    for count in COUNTS:
        cells = [supervised(count, draw) for draw in range(1 if count >= ONE_DRAW else draws)]
        figures = [c["figures"]["miou"] for c in cells]
        spread = round(stdev(figures), 4) if len(figures) > 1 else None
        about = {key: cells[0][key] for key in ("commit", "hardware", "date")}
        out.append({"labels": count, "miou": round(mean(figures), 4), "sd": spread, "draws": len(cells), **about})
    return out


def page(table: list[dict[str, Any]]) -> str:
    lines = [
        "# The student's UNet on exact labels",
        "",
        f"Mean IoU on {len(TEST_SEEDS)} fresh toy faces of {SIZE_OF[DEFAULT]} px (seeds from {TEST_SEEDS[0]}),",
        "all ten classes. The same network, number of steps, augmentation and optimiser as in `gseg demo`, trained on",
        "N exactly labelled toy faces instead of generated pairs. No GAN is involved.",
        "",
        f"Made by `python -m benchmarks.supervised --draws {table[0]['draws']}`.",
        "",
        "| exact labels | mean IoU | sd over draws | draws | commit | date | hardware |",
        "|---:|---:|---:|---:|---|---|---|",
    ]
    for row in table:
        spread = "-" if row["sd"] is None else f"{row['sd']:.3f}"
        about = f"{row['commit']} | {row['date']} | {row['hardware']}"
        lines.append(f"| {row['labels']} | {row['miou']:.3f} | {spread} | {row['draws']} | {about} |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3)
    table = rows(parser.parse_args().draws)
    (ROOT / "supervised.md").write_text(page(table))
    print(page(table))


if __name__ == "__main__":
    main()
