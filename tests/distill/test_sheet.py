"""The sheet shows which pairs were left out, and which pixels."""

import numpy as np
import torch

from gseg_cli.distill.config import DistillConfig
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.sheet import CELL, IGNORED, draw_pairs
from tests.tiny import CLASSES


def doubtful_pairs(n):
    """Each pair grey as its score, on the right half certain."""
    score = torch.arange(n) / n
    images = (score * 255).to(torch.uint8)[:, None, None, None].expand(n, 16, 16, 3).contiguous()
    share = torch.full([n, 16, 16], 255, dtype=torch.uint8)
    share[:, :, :8] = 140
    first = torch.zeros_like(share)
    return PairSet(images, first, first + 1, share, score)


LEGEND = 24  # pixels


def shown_greys(sheet, column):
    """The grey at the foot of each picture of a column, below the legend."""
    sheet = sheet[LEGEND:]
    gap, top = max(2, CELL // 32), max(16, CELL // 6)
    x = gap + column * (CELL + gap) + CELL // 2
    return [int(sheet[top + row * (CELL + gap) + CELL, x, 0]) for row in range((len(sheet) - top) // (CELL + gap))]


def test_kept_pairs_stand_left_and_dropped_ones_right_in_the_order_of_doubt():
    pairs = doubtful_pairs(40)
    sheet = draw_pairs(pairs, DistillConfig(drop=0.25), CLASSES)
    greys = pairs.images[:, 0, 0, 0].tolist()
    assert shown_greys(sheet, 0) == [greys[i] for i in (0, 6, 12, 17, 23, 29)]
    assert shown_greys(sheet, 3) == [greys[i] for i in (30, 32, 34, 35, 37, 39)]


def test_ignored_pixels_are_marked_and_nothing_dropped_needs_no_columns():
    sheet = draw_pairs(doubtful_pairs(3), DistillConfig(drop=0, ignore_below=0.6), CLASSES)
    assert sheet.shape[1] < 4 * CELL
    is_blue = (sheet == np.array(IGNORED)).all(axis=2)
    assert is_blue[:LEGEND].any()
    assert is_blue[LEGEND:].sum() == 3 * CELL * CELL // 2  # of three pictures the left half
    sheet = draw_pairs(doubtful_pairs(3), DistillConfig(drop=0), CLASSES)[LEGEND:]
    assert not (sheet == np.array(IGNORED)).all(axis=2).any()
