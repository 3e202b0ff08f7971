"""What people see of a teacher: annotated samples beside their labels, and samples that nobody annotated."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.annotate.annotation_set import FIRST_PHOTO
from gseg_cli.annotate.hatching import marked
from gseg_cli.app import main
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.sheet import CELL, FRESH_SEED, MOST, draw_teacher, fresh_seeds
from gseg_cli.fewshot.train import fit_teacher
from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.load import load_generator
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import contact_sheet
from tests.tiny import CLASSES, annotate, brightness_labels

LEGEND, TITLES, GAP = 24, CELL // 6, CELL // 32
CONFIG = FewshotConfig(model="mlp", steps=5, pixels=64)


@pytest.fixture(scope="module")
def generator(tiny_gan):
    return load_generator(tiny_gan)


def annotated(generator, seeds, **changes):
    return replace(annotate(generator, seeds, brightness_labels(generator, seeds)), **changes)


def drawn(generator, annotations):
    return draw_teacher(generator, fit_teacher(generator, annotations, CONFIG), annotations)


def cell(sheet, line, column):
    """One of the pictures of annotated samples, below a legend of one line."""
    top, left = LEGEND + GAP + TITLES + line * (CELL + GAP), GAP + column * (CELL + GAP)
    return sheet[top : top + CELL, left : left + CELL]


def height(*num_lines):
    return LEGEND + sum(TITLES + lines * (CELL + GAP) + GAP for lines in num_lines)


def test_it_shows_annotated_samples_two_to_a_line_and_eight_fresh_ones(generator):
    assert drawn(generator, annotated(generator, [3])).shape[:2] == (height(1, 4), 6 * (CELL + GAP) + GAP)
    assert drawn(generator, annotated(generator, list(range(20)))).shape[0] == height(4, 4)


def test_labels_stand_as_they_were_drawn_with_what_is_ignored_hatched(generator):
    labels = brightness_labels(generator, [3, 4])
    labels[1, 4:] = IGNORE
    annotations = annotated(generator, [3, 4], labels=labels)
    sheet = drawn(generator, annotations)
    images = to_uint8(generator.synthesis(torch.from_numpy(annotations.ws))).numpy()
    for row, column in ((0, 1), (1, 4)):
        alone = contact_sheet([[marked(images[row], labels[row], CLASSES)]], CELL)
        assert (cell(sheet, 0, column) == alone[GAP:-GAP, GAP:-GAP]).all()


def test_doubt_is_seen_where_networks_of_an_ensemble_are_unsure_alike(generator):
    annotations = annotated(generator, [3])
    teacher = fit_teacher(generator, annotations, replace(CONFIG, num_heads=2, lr=1e-9))
    fresh = draw_teacher(generator, teacher, annotations)[height(1) - LEGEND :]
    assert cell(fresh, 0, 2).mean() > 128


def test_no_sample_that_somebody_annotated_passes_for_a_fresh_one(generator):
    annotations = annotated(generator, [FRESH_SEED + 1, FRESH_SEED + 3])
    assert fresh_seeds(annotations, 4) == [FRESH_SEED + offset for offset in (0, 2, 4, 5)]


def test_inverted_photos_are_shown_by_name(generator):
    number = FIRST_PHOTO + 7
    annotations = replace(annotated(generator, [1, 2]), seeds=(1, number), photos={number: "a/photo of a car.jpg"})
    assert drawn(generator, annotations).shape[0] == height(1, 4)


def test_of_large_samples_fewer_are_shown(generator, monkeypatch):
    monkeypatch.setattr("gseg_cli.fewshot.sheet.MAX_PIXELS", 16 * 16)
    assert drawn(generator, annotated(generator, list(range(MOST)))).shape[0] == height(1, 1)


@pytest.mark.parametrize("classes", [["background"], [f"part {i}" for i in range(30)]])
def test_any_number_of_classes_goes(generator, classes):
    annotations = annotated(generator, [0])
    labels = np.minimum(annotations.labels, len(classes) - 1)
    sheet = drawn(generator, replace(annotations, labels=labels, classes=ClassMap.of_names(classes)))
    assert sheet.shape[1] == 6 * (CELL + GAP) + GAP


def test_the_command_says_where_it_is_before_what_comes_next(tiny_gan, generator, tmp_path, capsys):
    annotations = annotated(generator, [0, 1], gan_sha256=sha256_file(tiny_gan))
    assert main(["init", str(tmp_path / "p"), "--gan", str(tiny_gan), "--classes", ",".join(CLASSES.names)]) == 0
    annotations.save(tmp_path / "p" / "annotations", source="a test")
    capsys.readouterr()
    picture = tmp_path / "p" / "runs" / "0001-fewshot" / "teacher.png"
    for json_too in ([], ["--json"]):
        assert main(["-C", str(tmp_path / "p"), "fewshot-train", "--steps", "2", "--device", "cpu", *json_too]) == 0
        out, err = capsys.readouterr()
        assert err.index(f"look at {picture}: ") < err.index("next: ") and picture.is_file()
        picture = picture.parent.parent / "0002-fewshot" / "teacher.png"
    assert json.loads(out)["status"] == "success"
