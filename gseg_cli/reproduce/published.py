"""Published figures on the paper's tasks, IoU in percent, as others quote them.

The paper's own tables were not at hand: what is known of them comes from SLiMe (Khani et al., ICLR 2024, arXiv
2309.03179v4, tables 2 to 4) and SMITE (tables 8 and 9), which quote them. What is not known is None, and stays so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gseg_cli.reproduce.markdown import MISSING, table

SLIME, SMITE = "SLiMe, table {}", "SMITE, table {}"
ALL = "all"  # of the training part


@dataclass(frozen=True)
class Row:
    """iou: in percent, in the order of the classes; mean: as printed there; labels: that it learned from."""

    method: str
    labels: str
    iou: tuple[float | None, ...]
    mean: float | None
    source: str


@dataclass(frozen=True)
class Published:
    """classes: as gseg calls them."""

    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def text(self, ours: Sequence[Sequence[str]] = ()) -> str:
        """A Markdown table and what is to be known of it. ours: rows to put on top, of as many cells."""
        head = ["method", "labels", "source", *self.classes, "mean"]
        rows = [[r.method, r.labels, r.source, *map(_cell, r.iou), _cell(r.mean)] for r in self.rows]
        return "\n\n".join([table(head, [*ours, *rows], text_columns=3), *self.notes])


def _cell(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}".removesuffix("0")  # as printed: 84.0, but 52.15


def _unknown(count: int) -> tuple[None, ...]:
    return (None,) * count


CAR = Published(
    ("body", "light", "plate", "wheel", "window", "background"),
    (
        Row("the paper, auto-shot", "10", (75.5, 29.3, 17.8, 57.2, 62.4, 70.7), 52.15, SLIME.format(2)),
        Row("CNN (DeepCNN-DenseCRF)", ALL, (73.4, 42.2, 41.7, 66.3, 61.0, 67.4), 58.7, SLIME.format(2)),
        Row("CNN+CRF (DeepCNN-DenseCRF)", ALL, (75.4, 36.1, 35.8, 64.3, 61.8, 68.7), 57.0, SLIME.format(2)),
        Row("Ordinal Multitask Part Segmentation", ALL, _unknown(6), None, "the paper, table 4"),
        Row("SegGPT", "1", (62.7, 18.5, 25.8, 65.8, 69.5, 77.7), 53.3, SLIME.format(2)),
        Row("OIParts", "1", (77.7, 59.1, 57.2, 66.9, 59.2, 71.1), 65.2, SMITE.format(8)),
        Row("SLiMe", "1", (79.6, 37.5, 46.5, 65.0, 65.6, 75.7), 61.6, SLIME.format(2)),
        Row("SLiMe", "10", (81.5, 56.8, 54.8, 68.3, 70.3, 78.4), 68.3, SLIME.format(2)),
        Row("SMITE", "10", (82.3, 57.5, 55.9, 70.1, 72.6, 80.1), 69.8, SMITE.format(8)),
    ),
    (
        "The paper reports Ordinal Multitask Part Segmentation (Zhao et al., TPAMI 2019) beside these; the figures "
        "could not be recovered.",
    ),
)
HORSE = Published(
    ("head", "leg", "neck+torso", "tail", "background"),
    (
        Row("the paper, auto-shot", "10", (50.1, 49.6, 70.5, 19.9, 81.6), 54.3, SLIME.format(3)),
        Row("Shape+Appearance", ALL, (47.2, 38.2, 66.7, None, None), None, SLIME.format(3)),
        Row("CNN+CRF", ALL, (55.0, 46.8, None, 37.2, 76.0), None, SLIME.format(3)),
        Row("SegGPT", "1", (41.1, 49.8, 58.6, 15.5, 36.4), 40.3, SLIME.format(3)),
        Row("SegDDPM (DDPM-seg)", "1", (12.1, 42.4, 54.5, 32.0, 74.1), 43.0, SLIME.format(3)),
        Row("SegDDPM (DDPM-seg)", "10", (41.0, 59.1, 69.9, 39.3, 84.3), 58.7, SLIME.format(3)),
        Row("OIParts", "1", (73.0, 50.7, 72.6, 60.3, 77.7), 66.9, SMITE.format(9)),
        Row("SLiMe", "1", (61.5, 50.3, 55.7, 40.1, 74.4), 56.4, SLIME.format(3)),
        Row("SLiMe", "10", (63.8, 59.5, 68.1, 45.4, 79.6), 63.3, SLIME.format(3)),
        Row("SMITE", "10", (64.5, 61.9, 73.2, 48.1, 83.5), 66.2, SMITE.format(9)),
    ),
)
HORSE_TABLE_6 = Published(
    HORSE.classes,
    (
        Row("the paper, auto-shot", "10", _unknown(5), None, "the paper, table 6"),
        Row("RefineNet", ALL, _unknown(5), None, "the paper, table 6"),
        Row("Pose-Guided Knowledge Transfer", "more than 300", _unknown(5), None, "the paper, table 6"),
    ),
    (
        "Of the paper's table 6 only its order is known (by the summary at ai-scholar.tech): auto-shot is better than "
        "RefineNet and slightly worse than Pose-Guided Knowledge Transfer, which learns from more than 300 labels. Its "
        "figures could not be recovered, nor whether its classes are these.",
    ),
)
FACE = Published(
    ("clothes", "eyebrow", "ear", "eye", "hair", "mouth", "neck", "nose", "skin", "background"),
    (
        Row("the paper, auto-shot", "10", (15.5, 68.2, 37.3, 75.4, 84.0, 86.5, 80.3, 84.6, 90.0, 84.7), 69.9,
            SLIME.format(4)),
        Row("SegGPT", "1", (24.0, 48.8, 32.3, 51.7, 82.7, 66.7, 77.3, 73.6, 85.7, 28.0), 57.1, SLIME.format(4)),
        Row("SegDDPM (DDPM-seg)", "1", (28.9, 46.6, 57.3, 61.5, 72.3, 44.0, 66.6, 69.4, 77.5, 76.6), 60.1,
            SLIME.format(4)),
        Row("SegDDPM (DDPM-seg)", "10", (61.6, 67.5, 71.3, 73.5, 86.1, 83.5, 79.2, 81.9, 89.2, 86.5), 78.0,
            SLIME.format(4)),
        Row("SLiMe", "1", (52.6, 44.2, 57.1, 61.3, 80.9, 74.8, 78.9, 77.5, 86.8, 81.6), 69.6, SLIME.format(4)),
        Row("SLiMe", "10", (63.1, 62.0, 64.2, 65.5, 85.3, 82.1, 79.4, 79.1, 88.8, 87.1), 75.7, SLIME.format(4)),
    ),
    (
        "The ten values of the paper's row average 70.65, not the printed 69.9: the mean or a cell is off there. "
        "With one label and the three classes alone the paper has eye 57.8, mouth 71.1, nose 76.0 (SLiMe, table 4).",
    ),
)  # fmt: skip
