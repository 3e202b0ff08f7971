"""On pictures for people, ignored pixels look like nothing else."""

import numpy as np
import pytest

from gseg_cli.annotate.hatching import marked
from gseg_cli.annotate.legend import with_legend
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.label_map import contact_sheet, overlay

CLASSES = ClassMap.of_names(["background", "part"])


def halves(size, grey):
    """A photo without any contrast, whose right half is ignored."""
    labels = np.zeros((size, size), np.uint8)
    labels[:, size // 2 :] = IGNORE
    return np.full((size, size, 3), grey, np.uint8), labels


@pytest.mark.parametrize("size", [16, 64, 500, 1024])
@pytest.mark.parametrize("grey", [0, 128, 224, 255])
def test_lines_are_seen_on_a_sheet_whatever_the_photo_and_its_size(size, grey):
    image, labels = halves(size, grey)
    sheet = contact_sheet([[marked(image, labels, CLASSES)]], 160)[5:-5, 5:-5, 0].astype(int)
    left, right = sheet[:, :70], sheet[:, 85:]
    assert (left == grey).all()
    assert right.std() > 20 and right.max() - right.min() > 60
    changes = (np.diff((right > right.mean()).astype(int), axis=1) != 0).sum(axis=1)
    assert (changes >= 8).all()  # lines, and no shade


def test_what_is_labelled_looks_as_everywhere():
    image, labels = halves(600, 200)
    labels[:100] = 1
    shown = marked(image, labels, CLASSES)
    known = labels != IGNORE
    assert (shown[known] == overlay(image, labels, CLASSES)[known]).all()


def test_the_legend_writes_names_that_its_font_lacks_letters_for():
    sheet = np.full((8, 400, 3), 255, np.uint8)
    lines = [
        with_legend(sheet, ClassMap(names, CLASSES.colors))
        for names in (("Blüte", "Fuß"), ("Blute", "Fuss"), ("背景", "дом"), ("class 0", "class 1"))
    ]
    assert (lines[0] == lines[1]).all() and (lines[2] == lines[3]).all()


def test_a_name_that_is_wider_than_its_sheet_is_whole():
    sheet, names = np.zeros((8, 64, 3), np.uint8), ("background", "the left half of the windscreen")
    shown = with_legend(sheet, ClassMap(names, CLASSES.colors))
    legend, below = shown[:-8], shown[-8:]
    in_wide = with_legend(np.zeros((8, 1000, 3), np.uint8), ClassMap(names, CLASSES.colors))[:-8]
    ink = [(lines < 128).all(axis=2).sum() for lines in (legend, in_wide)]
    assert ink[0] == ink[1] and (below[:, :64] == 0).all() and (below[:, 64:] == 255).all()


def test_the_legend_shows_ignored_pixels_as_the_sheet_does():
    sheet = np.full((8, 400, 3), 255, np.uint8)
    hatched, plain = with_legend(sheet, CLASSES), with_legend(sheet, CLASSES, (70, 110, 220))
    differs = (hatched != plain).any(axis=(0, 2)).nonzero()[0]
    assert differs.max() - differs.min() < 16  # nothing but the last swatch
    assert (plain == (70, 110, 220)).all(axis=2).any() and not (hatched == (70, 110, 220)).all(axis=2).any()
