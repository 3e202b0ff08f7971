"""Does a model know which of its masks are wrong?

    python -m benchmarks.confidence DATA [--draws 3]

DATA as for pretrained.py. Students of labelled photos alone segment other photos of their kind, and those of the other
kind. Every training is a cell; writes confidence.md.
"""

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.cells import ROOT, cell, made
from benchmarks.pretrained import SIDE, Domain, Labelled, faces, game_characters, pretrained_config, squares
from gseg_cli.counted import counted
from gseg_cli.device import pick_device
from gseg_cli.distill.config import PHOTOS_GEOMETRY, PRETRAINED_LOSS, find_geometry
from gseg_cli.distill.larger_input import with_larger_input
from gseg_cli.distill.net_config import PRETRAINED
from gseg_cli.distill.train import fit_student
from gseg_cli.memory import keep_freed_memory
from gseg_cli.progress import progress
from gseg_export.graph import LABELS, LOGITS, finish
from gseg_export.to_onnx import trace
from gseg_runtime.files import write_bytes, write_text
from gseg_runtime.metrics import confusion_matrix, mean_iou
from gseg_runtime.model_card import ModelCard
from gseg_runtime.prediction import Prediction
from gseg_runtime.segmenter import Segmenter

NUM_PHOTOS = {"faces": (1, 5), "sprites": (10,)}


def measured(domain: Domain, other: Domain, count: int, draw: int) -> dict[str, list[float]]:
    """The cell of one student: of each photo it did not see the mean confidence and the mean IoU, and the mean
    confidence of photos of the other kind.
    """
    config = pretrained_config(domain, draw, student=PRETRAINED, input_size=SIDE, loss=PRETRAINED_LOSS)
    config = replace(config, augment=find_geometry(PHOTOS_GEOMETRY))
    about = {"domain": domain.key, "other": other.key, "count": count, "draw": draw, "train": asdict(config)}

    def compute() -> dict[str, Any]:
        train, test = domain.split(draw, count)
        with progress(f"{count} {domain.title}, draw {draw}", "steps") as on_step:
            pairs = squares(train[:count], SIDE)
            net = fit_student(pairs, domain.classes, config, pick_device(), on_step=on_step)
        net, foreign = with_larger_input(net, config.augment), other.split(draw, 5)[1]
        with TemporaryDirectory() as folder, _exported(net, domain, Path(folder) / "model.onnx") as segmenter:
            return {**_judged(segmenter, test), "foreign": _confidence(_predicted(segmenter, foreign))}

    return cell("confidence", about, compute)["figures"]


def _exported(net: Any, domain: Domain, path: Path) -> Segmenter:
    size = net.config.input_size
    card = ModelCard(classes=domain.classes, input_size=size)
    write_bytes(path, finish(trace(net, size, (LABELS, LOGITS)), card).onnx)
    return Segmenter.load(path, "cpu")


def _predicted(segmenter: Segmenter, photos: Labelled) -> list[Prediction]:
    return segmenter.predict([pixels for pixels, _ in photos])


def _judged(segmenter: Segmenter, photos: Labelled) -> dict[str, list[float]]:
    predictions, num_classes = _predicted(segmenter, photos), len(segmenter.card.classes)
    each = zip(predictions, photos, strict=True)
    quality = [mean_iou(confusion_matrix(prediction.labels, truth, num_classes)) for prediction, (_, truth) in each]
    return {"confidence": _confidence(predictions), "miou": quality}


def _confidence(predictions: list[Prediction]) -> list[float]:
    return [round(prediction.mean_confidence or 0.0, 4) for prediction in predictions]


def row(domain: Domain, other: Domain, count: int, draws: int) -> str:
    figures = [measured(domain, other, count, draw) for draw in range(draws)]
    columns = zip(*(_summary(one) for one in figures), strict=True)
    about = f"| {counted(count, domain.title.removesuffix('s'))} | {len(figures[0]['miou'])} | "
    return about + " | ".join(f"{mean(column):.2f}" for column in columns) + " |"


def _summary(figures: dict[str, list[float]]) -> list[float]:
    """In the order of the table's columns."""
    confidence, quality, foreign = (np.array(figures[name]) for name in ("confidence", "miou", "foreign"))
    fifth = max(1, round(len(quality) / 5))
    doubted = quality[np.argsort(confidence)]
    found = np.mean(foreign < confidence.min())
    return [
        _rank_correlation(confidence, quality), doubted[:fifth].mean(), np.sort(quality)[:fifth].mean(),
        doubted[fifth:].mean(), np.median(confidence), np.median(foreign), found,
    ]  # fmt: skip


def _rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's."""
    return float(np.corrcoef(*(values.argsort().argsort() for values in (a, b)))[0, 1])


TEXT = """# Does a model know which of its masks are wrong?

`gseg segment` tells of each photo the mean over its pixels of the share of the likeliest class: `confidence` in
`gseg-stats.csv`, and the last photos of `gseg-sheet.jpg`. Here it is set against the mean IoU of that photo's mask, of
the classes that the photo shows.

`lite0` learned from labelled photos, as `gseg student-train` trains it, and segments others of their kind; portraits
and game characters are those of [pretrained.md](pretrained.md). *Correlation*: of the ranks, Spearman's. *Least sure*:
mean IoU of the fifth of the photos with the lowest confidence; *worst*: of the fifth with the lowest IoU, which is the
most that any order could find; *others*: of all but the least sure. *Foreign*: photos of the other kind; *found*: the
share of them that is below every photo of the student's own kind. Means of {draws} draws.

Made by `python -m benchmarks.confidence DATA --draws {draws}`,
commit {commit}, {date}, {hardware}.

| student of | photos | correlation | least sure | worst | others | median confidence | of foreign | found |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{rows}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    portraits, characters = faces(args.data), game_characters(args.data)
    both = ((portraits, characters), (characters, portraits))
    rows = [row(*pair, count, args.draws) for pair in both for count in NUM_PHOTOS[pair[0].name]]
    text = TEXT.format(**made(), draws=args.draws, rows="\n".join(rows))
    write_text(ROOT / "confidence.md", text)
    print(text)


if __name__ == "__main__":
    main()
