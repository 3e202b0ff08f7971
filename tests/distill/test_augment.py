"""Augmentation moves a picture and its labels as one, and marks what it uncovers as unknown."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from gseg_cli.distill.augment import Augmentation
from gseg_cli.distill.config import GEOMETRIES, AugmentConfig, find_geometry
from gseg_cli.distill.pairs import PairSet
from gseg_runtime.class_map import IGNORE, ClassMap
from gseg_runtime.errors import ConfigError
from gseg_runtime.geometry import FILL

CPU = torch.device("cpu")
STILL = AugmentConfig(mirror=False, scale_min=1, scale_max=1, rotation_deg=0, shift=0, colour=0)
CLASSES = ClassMap.of_names(["red", "green", "blue", "yellow"])
COLOURS = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250], [250, 250, 10]], np.uint8)


def blocks(n=32, size=32):
    """Blocks of eight pixels, each in the colour of its class: what is seen says what the label must be."""
    coarse = np.random.RandomState(0).randint(0, len(COLOURS), (n, size // 8, size // 8))
    labels = coarse.repeat(8, axis=1).repeat(8, axis=2).astype(np.uint8)
    return PairSet.exact(COLOURS[labels], labels)


def moved(pairs, config, seed=0, classes=CLASSES):
    torch.manual_seed(seed)
    return Augmentation(config, classes, CPU)(pairs)


def to_uint8(image):
    return ((image + 1) * 127.5).round().permute(0, 2, 3, 1).to(torch.int64)


def is_interior(labels):
    """Where all nine labels around a pixel are the same: no edge crosses it."""
    windows = labels.unfold(1, 3, 1).unfold(2, 3, 1).flatten(3)
    inner = (windows == windows[..., :1]).all(dim=-1)
    return torch.nn.functional.pad(inner, [1, 1, 1, 1])


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_labels_stay_on_what_they_label(geometry):
    batch = moved(blocks(), replace(GEOMETRIES[geometry], colour=0))
    image, first = to_uint8(batch.image), batch.first
    distances = (image[..., None, :] - torch.from_numpy(COLOURS).long()).abs().sum(dim=-1)
    seen = distances.argmin(dim=-1)
    inside = is_interior(first) & (first != IGNORE)
    assert inside.float().mean() > 0.15
    assert (seen == first)[inside].float().mean() > 0.99


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_what_is_uncovered_is_filled_as_a_letterbox_and_ignored(geometry):
    batch = moved(blocks(), replace(GEOMETRIES[geometry], background=0.5))
    outside = is_interior(batch.first) & (batch.first == IGNORE)
    assert 0.02 < outside.float().mean() < 0.8
    assert (to_uint8(batch.image)[outside] == torch.tensor(FILL)).all()


def test_pixels_nobody_labelled_stay_ignored_and_soft_labels_travel_along():
    pairs = blocks()
    pairs.first[:, 8:16] = IGNORE
    soft = PairSet(pairs.images, pairs.first, (pairs.second + 1) % 4, pairs.second * 30 + 130, pairs.score)
    batch = moved(soft, AugmentConfig(mirror=True))
    known = batch.first != IGNORE
    hard = moved(blocks(), AugmentConfig(mirror=True)).first  # the same move
    assert (hard != IGNORE)[~known].any() and (batch.first == hard)[known].all()
    assert (batch.second == (hard + 1) % 4)[known].all() and (batch.share == hard * 30 + 130)[known].all()


def test_standing_still_changes_nothing():
    pairs = blocks()
    batch = moved(pairs, STILL)
    assert torch.equal(to_uint8(batch.image), pairs.images.long()) and torch.equal(batch.first, pairs.first)
    assert batch.image.dtype == torch.float32 and batch.image.abs().max() <= 1


def test_mirroring_happens_only_when_asked_and_to_half_of_the_pairs():
    pairs = blocks()
    for seed in range(5):
        assert torch.equal(moved(pairs, STILL, seed).first, pairs.first)
    batch = moved(pairs, replace(STILL, mirror=True))
    is_mirrored = (batch.first == pairs.first.flip(2)).all(dim=2).all(dim=1)
    is_same = (batch.first == pairs.first).all(dim=2).all(dim=1)
    assert (is_mirrored ^ is_same).all() and 8 <= is_mirrored.sum() <= 24
    assert torch.equal(to_uint8(batch.image)[is_mirrored], pairs.images.flip(2)[is_mirrored].long())


@pytest.mark.parametrize("move", [STILL, GEOMETRIES["paper"]])
def test_the_left_eye_of_a_mirrored_pair_is_its_right_eye(move):
    """Blocks of the second and third class; the second of the two likeliest classes is always the other one."""
    pairs = blocks()
    pairs = replace(pairs, first=pairs.first.clamp(1, 2), second=3 - pairs.first.clamp(1, 2))
    config = replace(move, mirror=True)
    plain = moved(pairs, config, classes=ClassMap.of_names(["background", "open eye", "shut eye", "mouth"]))
    sided = moved(pairs, config, classes=ClassMap.of_names(["background", "left eye", "right eye", "mouth"]))
    assert torch.equal(plain.image, sided.image) and torch.equal(plain.share, sided.share)
    known = plain.first != IGNORE
    is_mirrored = torch.tensor([bool((a != b).any()) for a, b in zip(plain.first, sided.first, strict=True)])
    assert 8 <= is_mirrored.sum() <= 24 and torch.equal(plain.first[~is_mirrored], sided.first[~is_mirrored])
    for before, after in ((plain.first, sided.first), (plain.second, sided.second)):
        assert (after[is_mirrored] == 3 - before[is_mirrored].long())[known[is_mirrored]].all()


@pytest.mark.parametrize("config", [*GEOMETRIES.values(), AugmentConfig(scale_min=1, scale_max=1.6, shift=0)])
def test_moves_keep_within_their_bounds_and_use_them(config):
    """The picture's red is its column and its green its row, so that every pixel tells where it came from."""
    config = replace(config, colour=0)
    position = torch.arange(0, 256, 4, dtype=torch.uint8)
    picture = torch.stack([position.expand(64, 64), position[:, None].expand(64, 64), torch.zeros(64, 64)], dim=2)
    pairs = PairSet.exact(picture.to(torch.uint8).expand(256, 64, 64, 3).numpy(), np.zeros((256, 64, 64), np.uint8))
    batch = moved(pairs, config)
    scales, angles, mirrored, shifts = [], [], [], []
    for image, labels in zip((batch.image + 1) * 127.5 / 4, batch.first, strict=True):
        rows, columns = ((is_interior(labels[None]) & (labels == 0))[0]).nonzero().unbind(1)
        x, y = image[0, rows, columns], image[1, rows, columns]
        inner = (x > 0.5) & (x < 62.5) & (y > 0.5) & (y < 62.5)
        if inner.sum() < 50:
            continue
        centred = torch.stack([columns - 31.5, rows - 31.5, torch.ones(len(rows))], dim=1)[inner]
        matrix = torch.linalg.lstsq(centred, torch.stack([x, y], dim=1)[inner]).solution.T  # output -> source
        determinant = float(matrix[:, :2].det())
        scales.append(abs(determinant) ** -0.5)
        mirrored.append(determinant < 0)
        angles.append(math.degrees(math.atan2(-matrix[0, 1], matrix[1, 1])))
        shifts += (matrix[:, :2].inverse() @ (matrix[:, 2] - 31.5) / 64).tolist()
    low, high = config.scale_min, config.scale_max
    assert low * 0.98 < min(scales) < low * 1.1 and high * 0.9 < max(scales) < high * 1.02
    assert 8 < max(map(abs, angles)) < 10.3 and 0.35 < np.mean(mirrored) < 0.65
    assert config.shift * 0.9 < max(map(abs, shifts)) < config.shift * 1.02 + 0.005


def test_colours_change_by_image_and_stay_in_range_while_labels_do_not_move():
    pairs = blocks()
    batch = moved(pairs, replace(STILL, colour=0.2))
    assert torch.equal(batch.first, pairs.first) and batch.image.abs().max() <= 1
    change = (to_uint8(batch.image) - pairs.images.long()).float().mean(dim=[1, 2, 3])
    assert change.std() > 3 and change.abs().max() < 0.3 * 255


def test_one_seed_is_one_change_whatever_was_drawn_before():
    pairs, augmentation = blocks(), Augmentation(replace(GEOMETRIES["paper"], background=0.5), CLASSES, CPU)
    torch.manual_seed(3)
    first = augmentation(pairs)
    augmentation(pairs)
    torch.manual_seed(3)
    again = augmentation(pairs)
    assert torch.equal(first.image, again.image) and torch.equal(first.first, again.first)


def test_another_background_comes_to_some_images_and_follows_the_soft_labels():
    pairs = replace(blocks(n=64), second=torch.zeros(64, 32, 32, dtype=torch.uint8))
    pairs.images[:] = 128
    pairs.share[:, :, 16:] = 128  # half background, where another class is first
    pairs.first[:, :8] = IGNORE
    before, after = moved(pairs, STILL), moved(pairs, replace(STILL, background=0.5))
    change = (after.image - before.image).abs().amax(dim=1)
    is_changed = change.amax(dim=[1, 2]) > 0
    assert 20 <= is_changed.sum() <= 44 and torch.equal(after.first, before.first)
    other, certain = after.first != 0, after.share == 255
    assert (change[(after.first == IGNORE) | (other & certain)] == 0).all()
    pure, mixed = (after.first == 0), other & ~certain & (after.first != IGNORE)
    pure[~is_changed], mixed[~is_changed] = False, False
    assert change[pure].mean() > 0.3 and 0.4 < change[mixed].mean() / change[pure].mean() < 0.6


def test_an_unknown_geometry_is_told():
    with pytest.raises(ConfigError, match="expected one of aligned, paper, got 'wild'"):
        find_geometry("wild")
