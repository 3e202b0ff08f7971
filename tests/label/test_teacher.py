"""The live teacher learns from strokes on all samples, on the CPU and on a GPU, and its refinement does no harm."""

import threading
from itertools import islice

import numpy as np
import pytest
import torch

from gseg_cli.gan.generator import to_uint8
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.features import SampleFeatures
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.teacher import LiveTeacher
from gseg_runtime.class_map import IGNORE
from tests.tiny import make_generator

SEEDS = (3, 5, 8)
SIZE = 16


class Class:
    """A teacher of samples whose labels follow from their brightness, and what it told."""

    def __init__(self, device, tmp_path):
        generator = make_generator()
        ws = ws_for_seeds(generator, SEEDS, 1.0)
        light = to_uint8(generator.synthesis(ws)).float().mean(dim=3).numpy()  # [N, R, R]
        self.truth = {seed: (one > np.median(one)).astype(np.uint8) for seed, one in zip(SEEDS, light, strict=True)}
        self.maps = {seed: np.full((SIZE, SIZE), IGNORE, np.uint8) for seed in SEEDS}
        self.told, self._heard = [], threading.Condition()
        samples = SampleSet(tmp_path, SEEDS, ws.numpy(), 1.0, "0" * 64, SIZE)
        self.teacher = LiveTeacher(
            GanSamples(tmp_path, generator.to(device), samples), lambda seed: self.maps[seed], self._tell
        )

    def _tell(self, name, data):
        with self._heard:
            self.told.append((name, data))
            self._heard.notify()

    def show(self, seed, rows):
        labels = self.maps[seed].copy()
        labels[rows] = self.truth[seed][rows]
        self.maps[seed] = labels
        self.teacher.follow(seed)

    def wait_for(self, name, **facts):
        with self._heard:
            found = lambda: [  # noqa: E731
                data for told, data in self.told if told == name and facts.items() <= data.items()
            ]
            assert self._heard.wait_for(found, 60), self.told
            return found()[-1]

    def accuracy(self, made):
        return (self.teacher.shelf.whole(made["seed"], made["id"]).labels == self.truth[made["seed"]]).mean()


@pytest.fixture
def lesson(device, tmp_path):
    lesson = Class(device, tmp_path)
    yield lesson
    lesson.teacher.close()


def test_a_page_that_outlives_the_server_takes_no_prediction_of_the_next_one_for_one_it_has(device, tmp_path):
    ids = []
    for _ in range(2):
        lesson = Class(device, tmp_path)
        lesson.show(3, slice(0, SIZE, 3))
        lesson.wait_for("prediction", seed=3, stage="mlp")
        lesson.teacher.close()
        ids.append({data["id"] for name, data in lesson.told if name == "prediction"})
    assert not ids[0] & ids[1]


def test_a_few_rows_teach_the_rest_of_the_sample_and_the_mlp_does_no_harm(lesson):
    lesson.show(3, slice(0, SIZE, 3))
    ridge = lesson.wait_for("prediction", seed=3, stage="ridge")
    mlp = lesson.wait_for("prediction", seed=3, stage="mlp")
    assert lesson.accuracy(ridge) > 0.75  # half are light, half are dark
    assert lesson.accuracy(mlp) >= lesson.accuracy(ridge) - 0.02


def test_every_sample_follows_each_stroke(lesson):
    lesson.teacher.look_at(5)  # prepares them
    lesson.show(3, slice(0, SIZE, 3))
    lesson.wait_for("next")
    lesson.wait_for("fit", stage="mlp")
    for seed in SEEDS:
        made = lesson.wait_for("prediction", seed=seed)
        assert lesson.teacher.shelf.small(seed, made["id"]).size == SIZE


def test_a_page_that_is_turned_before_all_samples_followed_makes_nobody_learn_again(lesson):
    lesson.teacher.call(lambda: [lesson.teacher._features.small(seed) for seed in SEEDS])
    is_refined = lambda name, data: name == "prediction" and (data["seed"], data["stage"]) == (3, "mlp")  # noqa: E731
    tell = lesson.teacher._tell
    lesson.teacher._tell = lambda *event: (tell(*event), is_refined(*event) and lesson.teacher.look_at(5))
    lesson.show(3, slice(0, SIZE, 3))
    for seed in SEEDS:
        lesson.wait_for("prediction", seed=seed, stage="mlp")
    lesson.teacher.call(lambda: None)
    assert [data["stage"] for name, data in lesson.told if name == "fit"] == ["ridge", "mlp"]
    turned_to = [data["stage"] for name, data in lesson.told if name == "prediction" and data["seed"] == 5]
    assert turned_to == ["ridge", "ridge", "mlp"]  # whole, the quick one comes first
    assert lesson.told[-1][0] == "next" and lesson.teacher.shelf.has_whole(5)


def test_a_page_that_is_turned_again_at_the_quick_prediction_leaves_no_sample_behind(lesson):
    lesson.teacher.call(lambda: [lesson.teacher._features.small(seed) for seed in SEEDS])
    lesson.show(3, slice(0, SIZE, 3))
    for seed in SEEDS:
        lesson.wait_for("prediction", seed=seed, stage="mlp")
    lesson.teacher.call(lambda: None)
    tell, begin = lesson.teacher._tell, len(lesson.told)
    is_quick = lambda name, data: name == "prediction" and (data["seed"], data["stage"]) == (5, "ridge")  # noqa: E731
    lesson.teacher._tell = lambda *event: (tell(*event), is_quick(*event) and lesson.teacher.look_at(8))
    lesson.teacher.look_at(5)
    with lesson._heard:
        assert lesson._heard.wait_for(lambda: ("next", {}) in lesson.told[begin:], 60)
    stages = {data["seed"]: data["stage"] for name, data in lesson.told[begin:] if name == "prediction"}
    assert stages == {5: "mlp", 8: "mlp"}


def test_a_stroke_while_many_samples_are_gathered_does_not_begin_that_anew(lesson, monkeypatch):
    for seed in SEEDS:
        lesson.show(seed, slice(0, SIZE, 3))
    lesson.wait_for("fit", stage="mlp")
    teacher = lesson.teacher
    teacher.close()
    pixels = teacher._choice.of(lesson.maps)
    features = teacher._features = SampleFeatures(teacher._subject, budget=0)
    for seed in SEEDS:
        features.small(seed)
    teacher._table, made, make = None, [], features._make
    monkeypatch.setattr(features, "_make", lambda seed: (made.append(seed), make(seed)))
    list(islice(teacher._filled(pixels), 2))
    list(teacher._filled(pixels))
    assert made == list(SEEDS)
    table = teacher._table
    places = [torch.from_numpy(pixels.places[pixels.seeds == seed]) for seed in SEEDS]
    expected = torch.cat([features.whole(seed).at(some) for seed, some in zip(SEEDS, places, strict=True)])
    torch.testing.assert_close(table.columns * table.scale + table.mean, expected)


def test_what_was_gathered_answers_for_a_part_of_it_in_any_order(lesson):
    whole = lesson.teacher.call(lambda: lesson.teacher._gather(3, torch.tensor([7, 200, 31, 90])))
    part = lesson.teacher.call(lambda: lesson.teacher._gather(3, torch.tensor([90, 7])))
    assert torch.equal(part, whole[[3, 0]])


def test_it_is_told_that_something_is_being_learnt_until_the_sample_in_view_has_an_answer(lesson):
    lesson.show(3, slice(0, SIZE, 3))
    lesson.wait_for("next")
    told = [(name, data.get("on")) for name, data in lesson.told if name in ("learning", "prediction")]
    assert told[0] == ("learning", True)
    assert told[told.index(("prediction", None)) + 1] == ("learning", False)
    assert not lesson.teacher.is_learning


def test_what_is_undone_while_it_is_learnt_is_not_learnt_for_ever(lesson):
    blank = lesson.maps[3]
    tell = lesson.teacher._tell

    def undo(name, data):
        tell(name, data)
        if (name, data) == ("learning", {"on": True}):
            lesson.maps[3] = blank
            lesson.teacher.follow(3)

    lesson.teacher._tell = undo
    lesson.show(3, slice(0, SIZE, 3))
    lesson.wait_for("learning", on=False)
    assert not lesson.teacher.is_learning


def test_one_class_alone_teaches_nothing(lesson):
    labels = lesson.maps[3].copy()
    labels[:2] = 1
    lesson.maps[3] = labels
    lesson.teacher.follow(3)
    lesson.teacher.call(lambda: None)
    assert [name for name, _ in lesson.told if name in ("learning", "fit", "next")] == []


def test_a_teacher_can_be_closed_in_the_middle_of_its_work(lesson):
    for row in range(SIZE):
        lesson.show(3, slice(row, row + 1))
    lesson.teacher.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("gseg label")]


def test_the_generator_and_the_callers_random_numbers_stay_as_they_were(lesson):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    lesson.show(3, slice(0, SIZE, 3))
    lesson.wait_for("fit", stage="mlp")
    assert torch.equal(torch.rand(3), expected)
