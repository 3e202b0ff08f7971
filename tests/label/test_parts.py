"""What the teacher is made of: pixels chosen, features gathered, layers projected, predictions accepted."""

import numpy as np
import pytest
import torch

from gseg_cli.fewshot.features import REPRESENTATIONS, gather_hypercolumns
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.gan.sample_set import SampleSet
from gseg_cli.label.accept import Wish, difference
from gseg_cli.label.features import SampleFeatures
from gseg_cli.label.gan_samples import GanSamples
from gseg_cli.label.journal import Rectangle
from gseg_cli.label.pixels import PixelChoice
from gseg_cli.label.prediction import Picture
from gseg_cli.label.projection import Projection
from gseg_cli.label.propose import Standing, propose
from gseg_cli.label.table import Table
from gseg_cli.label.worker import Worker
from gseg_runtime.class_map import IGNORE
from tests.tiny import make_generator

SIZE = 16


def labelled(**rows):
    """A label map with whole rows labelled: {"r3": 1}."""
    labels = np.full((SIZE, SIZE), IGNORE, np.uint8)
    for row, label in rows.items():
        labels[int(row[1:])] = label
    return labels


def finish(steps):
    """Go through with it."""
    for _ in steps:
        pass


@pytest.fixture(scope="module")
def generator():
    return make_generator()


@pytest.fixture
def features(generator, tmp_path):
    seeds = (3, 5, 8)
    ws = ws_for_seeds(generator, seeds, 1.0).numpy()
    return SampleFeatures(GanSamples(tmp_path, generator, SampleSet(tmp_path, seeds, ws, 1.0, "0" * 64, SIZE)))


def test_every_pixel_is_chosen_while_there_is_room():
    maps = {3: labelled(r0=0, r1=1), 5: labelled(r2=2), 8: labelled()}
    pixels = PixelChoice(1000).of(maps)
    assert len(pixels) == 3 * SIZE
    for seed, place, label in zip(pixels.seeds, pixels.places, pixels.labels, strict=True):
        assert maps[seed].ravel()[place] == label


def test_where_there_is_no_room_each_class_of_each_sample_gives_the_root_of_what_it_has():
    few = labelled()
    few[0, :1] = 2
    pixels = PixelChoice(41).of({3: labelled(r0=0, r1=0, r2=0, r3=0, r5=1), 5: labelled(r3=0), 8: few})
    groups = ((3, 0), (3, 1), (5, 0), (8, 2))
    counts = [((pixels.seeds == seed) & (pixels.labels == label)).sum() for seed, label in groups]
    assert counts == [20, 10, 10, 1]


def test_one_more_stroke_leaves_the_choice_nearly_as_it_was():
    choice = PixelChoice(60)
    before = choice.of({3: labelled(r0=0, r1=1, r2=0, r3=1, r4=0)})
    after = choice.of({3: labelled(r0=0, r1=1, r2=0, r3=1, r4=0, r5=1)})
    kept = set(before.places.tolist()) & set(after.places.tolist())
    assert len(kept) >= 0.7 * len(before)


def test_nothing_labelled_is_nothing_chosen():
    assert len(PixelChoice(10).of({3: labelled()})) == 0


def test_features_at_pixels_are_the_hypercolumns_of_the_generator(generator, features):
    places = torch.tensor([0, 5, 100, 255])
    _, stack = generator.features(torch.from_numpy(features.subject.samples.ws_of([5])))
    where = torch.stack([torch.zeros(4, dtype=torch.long), places // SIZE, places % SIZE], dim=1)
    exact = gather_hypercolumns(stack, SIZE, where, REPRESENTATIONS["all"])
    torch.testing.assert_close(features.whole(5).at(places), exact, atol=5e-3, rtol=5e-3)


def test_whole_features_keep_to_their_budget_and_small_ones_stay(features):
    one = features.whole(3).num_bytes
    features.budget = 2 * one
    for seed in (5, 8, 3):
        features.whole(seed)
    assert len(features._whole) == 2
    assert set(features.known()) == {3, 5, 8}
    features.budget = 0
    features.whole(5)
    assert list(features._whole) == [5]


@pytest.mark.parametrize("strip", [1, 2**22])
def test_a_projection_strip_by_strip_is_the_linear_layer_on_the_hypercolumns(features, monkeypatch, strip):
    monkeypatch.setattr("gseg_cli.label.projection._STRIP", strip)
    layers = features.whole(3)
    columns = layers.at(torch.arange(SIZE**2))
    weight, bias = torch.randn(5, columns.shape[1]), torch.randn(5)
    result = torch.cat(list(Projection(layers, weight, bias).strips()))
    exact = (columns @ weight.t() + bias).view(SIZE, SIZE, 5)
    torch.testing.assert_close(result, exact, atol=0.05, rtol=1e-2)


def test_a_table_that_followed_strokes_is_the_one_that_was_made_at_once(features):
    for seed in (3, 5):
        features.small(seed)
    statistics = features.statistics()
    choice = PixelChoice(40)
    followed, at_once = Table(*statistics), Table(*statistics)
    steps = [{3: labelled(r0=0)}, {3: labelled(r0=0, r5=1)}, {3: labelled(r5=1), 5: labelled(r2=2, r3=0)}]
    for maps in steps:
        finish(followed.follow(choice.of(maps), lambda seed, places: features.whole(seed).at(places)))
    finish(at_once.follow(PixelChoice(40).of(steps[-1]), lambda seed, places: features.whole(seed).at(places)))
    one, two = (torch.argsort(table.columns[:, 0]) for table in (followed, at_once))
    torch.testing.assert_close(followed.columns[one], at_once.columns[two])
    torch.testing.assert_close(followed.gram, followed.columns @ followed.columns.t(), atol=1e-5, rtol=1e-4)
    assert followed.labels[one].tolist() == at_once.labels[two].tolist()


def test_a_table_can_be_standardised_anew_without_gathering(features):
    places = PixelChoice(40).of({3: labelled(r0=0, r5=1)})
    features.small(3)
    table = Table(*features.statistics())
    finish(table.follow(places, lambda seed, where: features.whole(seed).at(where)))
    features.small(5)
    table.rescale(*features.statistics())
    fresh = Table(*features.statistics())
    finish(fresh.follow(places, lambda seed, where: features.whole(seed).at(where)))
    torch.testing.assert_close(table.columns, fresh.columns, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(table.gram, fresh.gram, atol=1e-4, rtol=1e-3)


BEFORE = np.array([[0, 1], [IGNORE, IGNORE]], np.uint8)
PICTURE = Picture(np.array([[1, 2], [1, 2]], np.uint8), np.array([[255, 100], [100, 255]], np.uint8))
WISHES = [
    (Wish("1"), [[1, 2], [1, 2]]),
    (Wish("1", only_unlabelled=True), [[0, 1], [1, 2]]),
    (Wish("1", "class", 2), [[0, 2], [255, 2]]),
    (Wish("1", "sure"), [[1, 1], [255, 2]]),
    (Wish("1", locked=(0,)), [[0, 2], [1, 2]]),
    (Wish("1", locked=(2,)), [[1, 1], [1, 255]]),
]


@pytest.mark.parametrize(("wish", "expected"), WISHES)
def test_what_is_accepted_is_what_was_wished(wish, expected):
    assert wish.taken(BEFORE, PICTURE, BEFORE).tolist() == expected


@pytest.mark.parametrize("learnt", [np.array([[1, 1], [IGNORE, 2]], np.uint8), None])
def test_what_a_prediction_has_not_learnt_from_is_not_replaced_by_it(learnt):
    expected = [[0, 1 if learnt is None else 2], [1, 2]]  # what was erased since is filled again
    assert Wish("1").taken(BEFORE, PICTURE, learnt).tolist() == expected


def test_the_difference_of_two_label_maps_is_the_smallest_rectangle():
    before, after = labelled(), labelled()
    assert difference(before, after) is None
    after[3, 5] = after[7, 2] = 1
    assert difference(before, after) == Rectangle(2, 3, 4, 5)


def test_doubt_looks_at_the_worst_tenth():
    confidence = np.full((10, 10), 255, np.uint8)
    confidence[0] = 0
    assert Picture(confidence, confidence).doubt == 1.0


SAMPLES = [Standing(3, 0.5, 0.9), Standing(5, 0.0, 0.2), Standing(8, 0.0, 0.6)]


@pytest.mark.parametrize(
    ("samples", "missing", "seed", "word"),
    [(SAMPLES, {2: "nose"}, 8, "nose"), (SAMPLES, {}, 8, "without labels"), (SAMPLES[:1], {}, 3, "doubts"),
     ([Standing(5, 0.0, None), Standing(3, 0.0, None)], {}, 3, "nothing is predicted")],
)  # fmt: skip
def test_next_is_a_missing_class_then_a_sample_without_labels_then_doubt(samples, missing, seed, word):
    proposal = propose(samples, missing)
    assert proposal["seed"] == seed and word in proposal["why"]
    assert ("class" in proposal) == bool(missing)


def test_the_newest_work_wins_and_an_error_does_not_end_the_worker(caplog):
    import threading

    worker, log, may_go, done = Worker("worker"), [], threading.Event(), threading.Event()

    def old():
        for number in range(1000):
            log.append(number)
            may_go.wait()
            yield

    def broken():
        raise ValueError("broken")
        yield

    def new():
        done.set()
        yield

    worker.submit(old)
    while not log:
        pass
    worker.submit(broken)
    may_go.set()
    assert worker.call(lambda: 3) == 3
    with pytest.raises(KeyError):
        worker.call(lambda: {}["x"])
    worker.submit(new)
    assert done.wait(10)
    worker.close()
    assert len(log) < 1000


def test_a_table_that_is_left_while_it_fills_stays_as_it_was(features):
    for seed in (3, 5, 8):
        features.small(seed)
    table = Table(*features.statistics())
    pixels = PixelChoice(40).of({3: labelled(r0=0, r1=1), 5: labelled(r2=2), 8: labelled()})
    steps = table.follow(pixels, lambda seed, places: features.whole(seed).at(places))
    next(steps)
    steps.close()
    assert len(table.columns) == len(table.labels) == 0
    finish(table.follow(pixels, lambda seed, places: features.whole(seed).at(places)))
    assert len(table.columns) == len(pixels)


def test_what_lies_beside_a_picture_makes_its_prediction_no_surer():
    random = np.random.default_rng(0)
    whole = Picture(np.zeros((32, 32), np.uint8), random.integers(0, 256, (32, 32), dtype=np.uint8))
    window = (slice(12, 20), slice(0, 32))
    alone = Picture(whole.labels[window], whole.confidence[window])
    assert whole.within(window).doubt == pytest.approx(alone.doubt)
