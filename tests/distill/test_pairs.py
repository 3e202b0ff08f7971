"""Pairs: made once, compactly, and whatever happens between never mixed with others."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from gseg_cli.datasets.splits import TEST_SEEDS
from gseg_cli.datasets.toy_faces.dataset import render
from gseg_cli.distill import pairs as module
from gseg_cli.distill.pairs import PairSet, make_pairs, read_pairs
from gseg_cli.fewshot.model import Teacher, TeacherConfig
from gseg_cli.fewshot.predict import predict
from gseg_cli.gan.sample import ws_for_seeds
from gseg_cli.steps import Step
from gseg_runtime.errors import GsegError
from gseg_runtime.label_map import resize_labels
from gseg_runtime.metrics import confusion_matrix, mean_iou
from tests.tiny import make_generator

SEEDS = range(100, 110)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(module, "SHARD", 4)


@pytest.fixture(scope="module")
def generator():
    return make_generator()


def make_teacher(generator, num_classes=3):
    torch.manual_seed(0)
    channels = generator.feature_channels
    teacher = Teacher(TeacherConfig(model="mlp", channels=channels, num_classes=num_classes, size=16, num_heads=2))
    for head in teacher.heads:
        head.out.weight.mul_(20)  # a teacher with opinions
    return teacher.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def teacher(generator):
    with torch.no_grad():
        return make_teacher(generator)


def assert_same(one, other):
    for name in module.NAMES:
        assert torch.equal(getattr(one, name), getattr(other, name)), name


def shards(folder):
    return sorted(path.name for path in folder.glob("*.npz"))


def test_pairs_are_the_samples_of_their_seeds_with_the_teachers_labels(generator, teacher, tmp_path):
    steps = []
    pairs = make_pairs(generator, teacher, SEEDS, tmp_path, truncation_psi=0.7, batch=3, on_step=steps.append)
    prediction = predict(generator, teacher, ws_for_seeds(generator, SEEDS, 0.7))
    assert pairs.images.shape == (10, 16, 16, 3) and shards(tmp_path) == ["00000.npz", "00001.npz", "00002.npz"]
    assert (pairs.images.int() - prediction.images.int()).abs().max() <= 1
    assert (pairs.first == prediction.labels).float().mean() > 0.99  # batches of another size round differently
    torch.testing.assert_close(pairs.score, prediction.score(), rtol=1e-3, atol=1e-5)
    assert [step.done for step in steps] == [3, 4, 7, 8, 10, 10] and steps[-1] == Step(10, 10, unit="pairs")


def test_soft_labels_keep_the_mass_of_the_two_likeliest_classes(generator, teacher, tmp_path):
    pairs = make_pairs(generator, teacher, SEEDS, tmp_path)
    probs = predict(generator, teacher, ws_for_seeds(generator, SEEDS, 1.0)).probs
    share = pairs.share.float() / 255
    soft = torch.zeros_like(probs).scatter_(1, pairs.first.long()[:, None], share[:, None])
    soft.scatter_(1, pairs.second.long()[:, None], 1 - share[:, None])
    top = probs.topk(2, dim=1)
    expected = torch.zeros_like(probs).scatter_(1, top.indices, top.values / top.values.sum(dim=1, keepdim=True))
    assert (soft - expected).abs().mean() < 0.5 / 255 and (pairs.share >= 127).all()
    assert (pairs.first != pairs.second).all()


def test_with_two_classes_nothing_is_lost(generator, tmp_path):
    with torch.no_grad():
        teacher = make_teacher(generator, num_classes=2)
    pairs = make_pairs(generator, teacher, SEEDS, tmp_path)
    probs = predict(generator, teacher, ws_for_seeds(generator, SEEDS, 1.0)).probs
    share = pairs.share.float() / 255
    first = torch.where(pairs.first == 1, share, 1 - share)
    torch.testing.assert_close(first, probs[:, 1], rtol=0, atol=0.5 / 255 + 1e-4)


def test_only_a_missing_shard_is_made_again_and_comes_out_equal(generator, teacher, tmp_path):
    before = make_pairs(generator, teacher, SEEDS, tmp_path)
    (tmp_path / "00001.npz").unlink()
    steps, times = [], {name: (tmp_path / name).stat().st_mtime_ns for name in shards(tmp_path)}
    after = make_pairs(generator, teacher, SEEDS, tmp_path, on_step=steps.append)
    assert_same(before, after)
    assert [step.done for step in steps] == [8, 10]
    assert all((tmp_path / name).stat().st_mtime_ns == time for name, time in times.items())


def test_an_interrupted_call_keeps_its_whole_shards(generator, teacher, tmp_path):
    def interrupt(step):
        if step.done > 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_pairs(generator, teacher, SEEDS, tmp_path, batch=2, on_step=interrupt)
    assert shards(tmp_path) == ["00000.npz"]
    assert_same(
        make_pairs(generator, teacher, SEEDS, tmp_path, batch=2),
        make_pairs(generator, teacher, SEEDS, tmp_path / "whole", batch=2),
    )


def test_pairs_of_other_settings_are_refused(generator, teacher, tmp_path):
    make_pairs(generator, teacher, SEEDS, tmp_path)
    for seeds, psi in ((range(100, 111), 1.0), (range(10), 1.0), (SEEDS, 0.7)):
        with pytest.raises(GsegError, match=r"pairs\.json: .* other settings") as caught:
            make_pairs(generator, teacher, seeds, tmp_path, truncation_psi=psi)
        assert caught.value.hint and shards(tmp_path) == ["00000.npz", "00001.npz", "00002.npz"]
    assert len(make_pairs(generator, teacher, SEEDS, tmp_path)) == 10


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_shard_is_never_unpickled(generator, teacher, tmp_path):
    make_pairs(generator, teacher, SEEDS, tmp_path)
    bomb = np.array([Bomb(tmp_path / "exploded")], dtype=object)
    np.savez(tmp_path / "00001.npz", **dict.fromkeys(module.NAMES, bomb))
    with pytest.raises(GsegError, match=r"00001\.npz: not a readable shard") as caught:
        make_pairs(generator, teacher, SEEDS, tmp_path)
    assert "delete it" in caught.value.hint
    (tmp_path / "00001.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "exploded")))
    with pytest.raises(GsegError, match="not a readable shard"):
        make_pairs(generator, teacher, SEEDS, tmp_path)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other arrays"])
def test_a_damaged_shard_is_named(generator, teacher, tmp_path, damage):
    make_pairs(generator, teacher, SEEDS, tmp_path)
    path = tmp_path / "00000.npz"
    data = bytearray(path.read_bytes())
    if damage == "flipped":
        data[100:400] = bytes(300)
    path.write_bytes({"cut": data[: len(data) // 2], "empty": b""}.get(damage, data))
    if damage == "other arrays":
        np.savez(path, images=np.zeros(3))
    with pytest.raises(GsegError, match=r"00000\.npz: not a readable shard") as caught:
        make_pairs(generator, teacher, SEEDS, tmp_path)
    assert "delete it" in caught.value.hint


def scored(*scores):
    n = len(scores)
    labels = torch.arange(n, dtype=torch.uint8)[:, None, None].expand(n, 2, 2)
    return PairSet(labels[..., None].expand(n, 2, 2, 3), labels, labels, labels, torch.tensor(scores))


@pytest.mark.parametrize(
    ("n", "drop", "kept"),
    [(1, 0.9, 1), (5, 0, 5), (5, 0.1, 5), (5, 0.5, 3), (6, 0.1, 5), (10, 0.1, 9), (10, 0.9, 1), (100, 0.29, 71)],
)
def test_the_most_doubtful_are_left_out_in_number(n, drop, kept):
    pairs = scored(*np.random.RandomState(0).permutation(n).astype(float))
    left = pairs.without_doubtful(drop)
    assert len(left) == kept and left.score.max() == kept - 1
    assert (left.images[:, 0, 0, 0].int().diff() > 0).all()  # in their old order
    for i, score in zip(left.first[:, 0, 0].tolist(), left.score.tolist(), strict=True):
        assert pairs.score[i] == score


def test_of_pairs_as_doubtful_as_each_other_the_first_are_kept():
    assert scored(*[0.5] * 100).without_doubtful(0.3).first[:, 0, 0].tolist() == list(range(70))


def test_doubtful_pixels_are_ignored_and_hard_labels_are_certain():
    share = torch.tensor([[[128, 178, 179, 255]]], dtype=torch.uint8)
    first = torch.ones_like(share)
    pairs = PairSet(torch.zeros(1, 1, 4, 3, dtype=torch.uint8), first, first + 1, share, torch.zeros(1))
    assert pairs.ignoring_below(0.7).first.tolist() == [[[255, 255, 1, 1]]]
    assert pairs.ignoring_below(0).first.tolist() == first.tolist() == pairs.hard().first.tolist()
    assert (pairs.hard().share == 255).all() and pairs.share.tolist() == share.tolist()


def test_exact_labels_are_certain():
    labels = np.array([[[0, 1], [2, 255]]], np.uint8)
    pairs = PairSet.exact(np.zeros((1, 2, 2, 3), np.uint8), labels)
    assert np.array_equal(pairs.first, labels) and (pairs.share == 255).all() and pairs.score.tolist() == [0]


@pytest.mark.parametrize(("before", "after"), [(64, 32), (256, 32), (256, 224), (64, 64), (32, 128)])
def test_labels_of_another_size_lie_on_their_picture(before, after):
    y, x = np.mgrid[:before, :before] + 0.5
    disc = np.hypot(x - before * 0.6, y - before * 0.45) < before / 4
    pictures = np.repeat(disc[None, ..., None] * np.uint8(255), 3, axis=3)
    pairs = PairSet.exact(pictures, disc[None].astype(np.uint8)).at(after)
    amount = torch.where(pairs.first == 1, pairs.share, 255 - pairs.share)
    assert centre(amount[0].double()) == pytest.approx(centre(pairs.images[0, ..., 0].double()), abs=0.1)


def centre(amount):
    places = torch.arange(len(amount)) + 0.5
    return tuple(float((amount.sum(dim=dim) * places).sum() / amount.sum()) for dim in (0, 1))


@pytest.mark.parametrize("factor", [2, 4])
def test_shrunk_labels_tell_more_of_the_large_ones_than_one_pixel_in_each_block(factor):
    faces = [render(seed, 128) for seed in TEST_SEEDS[:8]]
    pictures, labels = (np.stack(arrays) for arrays in zip(*faces, strict=True))
    first = PairSet.exact(pictures, labels).at(128 // factor).first.numpy()
    centres = np.stack([resize_labels(one, (128 // factor,) * 2) for one in labels])
    ours, theirs = (
        mean_iou(confusion_matrix(small.repeat(factor, 1).repeat(factor, 2), labels, int(labels.max()) + 1))
        for small in (first, centres)
    )
    assert ours > theirs


def test_a_pixel_keeps_the_two_classes_that_have_most_of_its_block():
    first = torch.tensor([[[3, 3], [1, 2]], [[1, 255], [255, 255]], [[255, 1], [1, 255]]], dtype=torch.uint8)
    second = torch.tensor([[[1, 1], [3, 3]], [[2, 2], [2, 2]], [[2, 0], [0, 2]]], dtype=torch.uint8)
    share = torch.tensor(
        [[[155, 155], [155, 255]], [[255, 128], [128, 128]], [[128, 255], [205, 128]]], dtype=torch.uint8
    )
    small = PairSet(torch.zeros(3, 2, 2, 3, dtype=torch.uint8), first, second, share, torch.zeros(3)).at(1)
    assert small.first.flatten().tolist() == [3, 255, 1]  # 410 of 1020; three quarters ignored; a half
    assert small.second.flatten()[[0, 2]].tolist() == [1, 0]
    assert small.share.flatten()[[0, 2]].tolist() == [round(255 * 410 / 765), round(255 * 460 / 510)]


def test_labels_are_shrunk_alike_however_many_at_once(monkeypatch):
    labels = np.random.default_rng(0).integers(0, 4, (5, 16, 16), np.uint8)
    pairs = PairSet.exact(np.zeros((5, 16, 16, 3), np.uint8), labels)
    whole = pairs.at(8)
    monkeypatch.setattr("gseg_cli.distill.shrink.MAX_PIXELS", 1)
    assert_same(whole, pairs.at(8))


def test_the_settings_are_written_for_people_too(generator, teacher, tmp_path):
    make_pairs(generator, teacher, SEEDS, tmp_path, truncation_psi=0.7)
    settings = json.loads((tmp_path / "pairs.json").read_text())
    assert (settings["kind"], settings["seeds"], settings["count"]) == ("pairs", [100, 109], 10)
    assert settings["truncation_psi"] == 0.7


def test_files_of_large_pairs_are_small_and_hold_the_same_pairs(generator, teacher, tmp_path, monkeypatch):
    """Whole ones have batches of 3 and 1, and so have small ones."""
    whole = make_pairs(generator, teacher, SEEDS, tmp_path / "whole", batch=3)
    monkeypatch.setattr(module, "SHARD_BYTES", 5 * module.NUM_BYTES * 16**2)
    small = make_pairs(generator, teacher, SEEDS, tmp_path / "small", batch=3)
    assert shards(tmp_path / "small") == [f"{i:05d}.npz" for i in range(5)]
    assert_same(whole, small)
    assert_same(read_pairs(tmp_path / "small"), small)
    sizes = [len(np.load(tmp_path / "small" / name)["images"]) for name in shards(tmp_path / "small")]
    assert sizes == [3, 1, 3, 1, 2]


def test_a_folder_goes_on_with_files_of_the_size_it_began_with(generator, teacher, tmp_path, monkeypatch):
    whole = make_pairs(generator, teacher, SEEDS, tmp_path, batch=3)
    settings = json.loads((tmp_path / "pairs.json").read_text())
    assert settings.pop("shard") == 4
    (tmp_path / "pairs.json").write_text(json.dumps(settings))  # as earlier versions wrote it
    (tmp_path / "00002.npz").unlink()
    monkeypatch.setattr(module, "SHARD_BYTES", 1)
    assert_same(make_pairs(generator, teacher, SEEDS, tmp_path, batch=3), whole)
    assert shards(tmp_path) == ["00000.npz", "00001.npz", "00002.npz"]


@pytest.mark.parametrize(("resolution", "batch", "size"), [(64, 32, 500), (128, 32, 500), (256, 32, 160), (512, 8, 40)])
def test_files_of_pairs_take_a_bounded_number_of_bytes(monkeypatch, resolution, batch, size):
    monkeypatch.setattr(module, "SHARD", 500)
    assert module._shard_size(resolution, batch) == size and size * resolution**2 * 6 <= 2**26
