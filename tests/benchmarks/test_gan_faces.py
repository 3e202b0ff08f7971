"""The judge of generated faces counts what one sees."""

import numpy as np
import torch

from benchmarks.gan_faces import count_parts, num_pieces, real_faces, shares
from gseg_cli.datasets.toy_faces.shapes import EYES, NOSE


def test_pieces_are_counted_that_touch_and_are_large_enough():
    mask = torch.zeros(2, 64, 64, dtype=torch.bool)
    mask[0, 10:14, 10:30] = True
    mask[0, 14:40, 10] = True  # joined to the first
    mask[0, 50:53, 50:53] = True
    mask[0, 60, 60] = True  # too small
    assert num_pieces(mask, 4).tolist() == [2, 0]


def test_a_face_with_three_eyes_or_no_nose_is_not_whole():
    labels = np.zeros((1, 64, 64), np.uint8)
    labels[0, 20:23, 10:15] = labels[0, 20:23, 30:35] = labels[0, 20:23, 50:55] = EYES
    counts = count_parts(labels)
    assert counts["eyes"].tolist() == [3] and counts["nose"].tolist() == [0]
    labels[0, 40:46, 30:36] = NOSE
    assert count_parts(labels)["nose"].tolist() == [1]


def test_real_faces_are_whole_and_noise_is_not():
    real = real_faces(24, 64)
    assert shares(real)["whole"] > 0.9
    assert shares(torch.randint(0, 256, real.shape, dtype=torch.uint8))["whole"] < 0.1
