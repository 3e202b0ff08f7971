"""A sheet of the pairs that were kept and of those that were left out, to see what the teacher doubts."""

import numpy as np
from torch import Tensor

from gseg_cli.annotate.legend import with_legend
from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.picture_files import titled
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.label_map import Pixels, contact_sheet, overlay
from gseg_runtime.spread import spread

ROWS = 6
CELL = 160  # pixels of a picture on the sheet
IGNORED = (70, 110, 220)


def draw_pairs(pairs: PairSet, config: DistillConfig, classes: ClassMap) -> Pixels:
    """Kept pairs on the left and dropped ones on the right, each from the least doubtful to the most, evenly spaced.

    Of each pair: the image with its score, the labels over it, and the doubt, white where two classes are as likely as
    each other, blue where the pixel is ignored. The score is the doubt, or how much a second opinion differs. A legend
    stands above.
    """
    is_kept = pairs.is_kept(config.drop)
    shown = pairs.ignoring_below(config.ignore_below)
    kept, dropped = (_spread(pairs.score, chosen) for chosen in (is_kept, ~is_kept))
    rows = []
    for i in range(max(len(kept), len(dropped))):
        left, right = (_row(shown, rows_of[i], classes) if i < len(rows_of) else [] for rows_of in (kept, dropped))
        rows.append([*(left or [np.full((8, 8, 3), 255, np.uint8)] * 3), *right])
    titles = ["kept", "labels", "doubt"] + (["dropped", "labels", "doubt"] if dropped else [])
    return with_legend(contact_sheet(rows, CELL, titles), classes, IGNORED)


def _spread(score: Tensor, chosen: Tensor) -> list[int]:
    """Up to ROWS of the chosen pairs, by their place in the order of scores."""
    rows = chosen.nonzero()[:, 0]
    ordered = rows[score[rows].argsort(stable=True)]
    return spread(ordered.tolist(), ROWS)


def _row(pairs: PairSet, row: int, classes: ClassMap) -> list[Pixels]:
    image, labels = pairs.images[row].numpy(), pairs.first[row].numpy()
    doubt = (2 * (255 - pairs.share[row].numpy().astype(int))).clip(0, 255).astype(np.uint8)
    picture = np.repeat(doubt[..., None], 3, axis=2)
    picture[labels == IGNORE] = IGNORED
    return [titled(image, f"{float(pairs.score[row]):.3f}"), overlay(image, labels, classes), picture]
