"""Gaps in label maps are filled where that is sure; what somebody labelled stays."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.annotate.annotation_set import FIRST_PHOTO
from gseg_cli.checkpoint import load_checkpoint
from gseg_cli.fewshot.complete import completed
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.edges import drawn_to_edges
from gseg_cli.fewshot.model import KIND
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.gan.load import load_generator
from gseg_runtime.class_map import IGNORE
from gseg_runtime.files import sha256_file
from tests.tiny import annotate, brightness_labels

SEEDS = [0, 1, 2]


@pytest.fixture(scope="module")
def generator(tiny_gan):
    return load_generator(tiny_gan)


@pytest.fixture(scope="module")
def truth(generator):
    return brightness_labels(generator, SEEDS)


@pytest.fixture(scope="module")
def strokes(truth):
    """Every third row alone is labelled."""
    labels = np.full_like(truth, IGNORE)
    labels[:, ::3] = truth[:, ::3]
    return labels


def test_most_of_what_is_filled_is_right_and_what_was_labelled_stays(generator, truth, strokes):
    filled = completed(generator, annotate(generator, SEEDS, strokes)).labels
    new = (strokes == IGNORE) & (filled != IGNORE)
    assert (filled == strokes)[strokes != IGNORE].all()
    assert new.sum() > 0.2 * (strokes == IGNORE).sum()
    assert (filled == truth)[new].mean() > 0.85


def test_complete_label_maps_come_back_untouched_without_any_training(generator, truth):
    annotations, steps = annotate(generator, SEEDS, truth), []
    assert completed(generator, annotations, on_step=steps.append) is annotations
    assert steps == []


def test_what_lies_beside_a_photo_stays_empty(generator, strokes):
    annotations = annotate(generator, SEEDS, strokes)
    photo = replace(annotations, seeds=(0, 1, FIRST_PHOTO), photos={FIRST_PHOTO: "anna.jpg"})
    filled = completed(generator, photo).labels
    assert (filled[2] == strokes[2]).all()
    assert (filled[:2] != IGNORE).sum() > (strokes[:2] != IGNORE).sum()


def test_steps_count_up_over_all_rounds(generator, strokes):
    steps = []
    completed(generator, annotate(generator, SEEDS, strokes), on_step=steps.append)
    assert [step.done for step in steps] == list(range(1, steps[-1].total + 1))


def test_the_command_fills_gaps_before_it_trains(tiny_gan, generator, strokes, tmp_path):
    annotate(generator, SEEDS, strokes, sha256_file(tiny_gan)).save(tmp_path / "a", source="a test")
    config, steps = FewshotConfig(steps=2), []
    cpu = torch.device("cpu")
    done = run_fewshot_train(tiny_gan, tmp_path / "a", config, tmp_path / "runs", cpu, on_step=steps.append)
    units = [step.unit for step in steps]  # else it would look as if it trained twice
    assert units[:-2] == ["steps to fill gaps"] * 400 and units[-2:] == [None, None]
    tensors, _ = load_checkpoint(done.checkpoint, KIND)
    assert (tensors["annotated.labels"].numpy() != IGNORE).sum() > (strokes != IGNORE).sum()


def test_a_prediction_that_missed_an_edge_is_drawn_to_it():
    image = torch.zeros(3, 12, 12)
    image[:, :, 6:] = 1
    probs = torch.full((2, 12, 12), 0.1)
    probs[0, :, :5], probs[1, :, 5:] = 0.9, 0.9  # a pixel too far to the left
    probs[:, :, 5] = torch.tensor([0.4, 0.6])[:, None]  # and not sure of it
    drawn = drawn_to_edges(probs, image)
    assert (drawn.argmax(dim=0) == (torch.arange(12) >= 6).long()).all()
    assert torch.allclose(drawn.sum(dim=0), torch.ones(12, 12))


def test_a_prediction_on_a_flat_picture_loses_its_specks():
    probs = torch.full((2, 9, 9), 0.5)
    probs[0], probs[1] = 0.7, 0.3
    probs[:, 4, 4] = torch.tensor([0.2, 0.8])
    assert (drawn_to_edges(probs, torch.zeros(3, 9, 9)).argmax(dim=0) == 0).all()
