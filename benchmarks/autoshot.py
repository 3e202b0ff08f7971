"""What few annotations give: teacher and student from the shipped GAN and 1 or 10 of its annotations.

    python -m benchmarks.autoshot [--draws 3]

Runs `gseg demo` for each cell. Writes autoshot.md, and gseg_cli/assets/figures.json, which the demo prints.
"""

import argparse
import tempfile
from dataclasses import asdict
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks import supervised
from benchmarks.cells import ROOT, cell
from benchmarks.reference import SIZE_OF
from gseg_cli.builtin import DEFAULT, Builtin, assets
from gseg_cli.datasets.splits import TEST_SEEDS
from gseg_cli.demo import DemoSize, run_demo
from gseg_cli.device import pick_device
from gseg_cli.progress import progress
from gseg_runtime.files import write_json

SHOTS = (1, 10)
SHIPPED = Builtin(DEFAULT)


def autoshot(shots: int, draw: int) -> dict[str, Any]:
    """The cell of one run: mean IoU of teacher and student, per class, and seconds per stage."""
    size = DemoSize(shots=shots)

    def compute() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            figures = run_demo(Path(folder) / "demo", size, pick_device(), progress, seed=draw)
        wanted = ("miou_teacher", "miou_student", "held_out_miou", "per_class_iou", "seconds")
        return {name: getattr(figures, name) for name in wanted}

    config = {"size": asdict(size), "draw": draw, "reference": SHIPPED.reference_sha256}
    return cell("autoshot", config, compute, gan=SHIPPED.gan_sha256)


def row(shots: int, draws: int) -> dict[str, Any]:
    """Mean and spread over the draws."""
    cells = [autoshot(shots, draw) for draw in range(draws)]
    out: dict[str, Any] = {"annotations": shots, "draws": draws}
    for name in ("miou_teacher", "miou_student"):
        values = [c["figures"][name] for c in cells]
        out[name] = round(mean(values), 4)
        out[name + "_sd"] = round(stdev(values), 4) if draws > 1 else None
    first = cells[0]
    return out | {key: first[key] for key in ("commit", "hardware", "date")} | {"cell": first["figures"]}


def page(rows: list[dict[str, Any]], exact: list[dict[str, Any]]) -> str:
    by_count = {r["labels"]: r for r in exact}
    lines = [
        "# Few annotations against few exact labels",
        "",
        "Mean IoU over all ten classes. Teacher: on 200 generated samples it was not trained on, against the",
        f"reference annotator. Student: the ONNX model on {len(TEST_SEEDS)} fresh toy faces of {SIZE_OF[DEFAULT]} px,",
        "exact labels.",
        "Supervised: the same UNet, steps, augmentation and optimiser on as many exactly labelled toy faces",
        "([supervised.md](supervised.md)). With one annotation each draw uses another one of the ten; a draw",
        "is also the seed of teacher and student.",
        "",
        "The default teacher was chosen on other samples ([teachers.md](teachers.md)), and the faces of the student",
        "column had no part in any choice.",
        "",
        f"Made by `python -m benchmarks.autoshot --draws {rows[0]['draws']}`.",
        "",
        f"GAN `{SHIPPED.gan_sha256}`, reference annotator `{SHIPPED.reference_sha256}`.",
        "",
        "| annotations | teacher | student | supervised | gain | draws | commit | date | hardware |",
        "|---:|---:|---:|---:|---:|---:|---|---|---|",
    ]
    for r in rows:
        plain = by_count[r["annotations"]]["miou"]
        figures = f"{_with_sd(r, 'miou_teacher')} | {_with_sd(r, 'miou_student')} | {plain:.3f}"
        gain = f"{r['miou_student'] - plain:+.3f}"
        about = f"{r['draws']} | {r['commit']} | {r['date']} | {r['hardware']}"
        lines.append(f"| {r['annotations']} | {figures} | {gain} | {about} |")
    return "\n".join([*lines, "", *_per_class(rows)])


def _with_sd(r: dict[str, Any], name: str) -> str:
    return f"{r[name]:.3f}" + (f" ± {r[name + '_sd']:.3f}" if r[name + "_sd"] is not None else "")


def _per_class(rows: list[dict[str, Any]]) -> list[str]:
    names = list(rows[0]["cell"]["per_class_iou"])
    lines = ["IoU of the student by class, first draw:", "", "| annotations | " + " | ".join(names) + " |"]
    lines.append("|---:|" + "---:|" * len(names))
    for r in rows:
        values = r["cell"]["per_class_iou"].values()
        lines.append(f"| {r['annotations']} | " + " | ".join("-" if v is None else f"{v:.3f}" for v in values) + " |")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=3)
    draws = parser.parse_args().draws
    exact = supervised.rows(draws)
    rows = [row(shots, draws) for shots in SHOTS]
    about = {key: rows[0][key] for key in ("commit", "hardware", "date")}
    plain = [{key: r[key] for key in ("labels", "miou", "draws")} for r in exact]
    table = {"rows": plain, "file": "benchmarks/supervised.md", **{k: exact[0][k] for k in about}}
    figures = [{k: v for k, v in r.items() if k != "cell"} for r in rows]
    hashes = {"gan_sha256": SHIPPED.gan_sha256, "reference_sha256": SHIPPED.reference_sha256}
    write_json(assets() / "figures.json", {**hashes, "supervised": table, "autoshot": figures})
    (ROOT / "autoshot.md").write_text(page(rows, exact))
    print(page(rows, exact))


if __name__ == "__main__":
    main()
