"""A teacher of the tiny GAN, and pictures that are easily learned."""

import numpy as np
import pytest
import torch

from gseg_cli.distill.pairs import PairSet
from gseg_cli.fewshot.config import FewshotConfig
from gseg_cli.fewshot.stage import run_fewshot_train
from gseg_cli.gan.load import load_generator
from gseg_runtime.files import sha256_file
from tests.tiny import annotate, brightness_labels


@pytest.fixture(scope="module")
def teacher(tiny_gan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    generator, seeds = load_generator(tiny_gan), [0, 1, 2]
    annotations = annotate(generator, seeds, brightness_labels(generator, seeds), sha256_file(tiny_gan))
    annotations.save(folder / "annotations", source="a test")
    config = FewshotConfig(model="mlp", steps=20, pixels=256)
    trained = run_fewshot_train(tiny_gan, folder / "annotations", config, folder / "runs", torch.device("cpu"))
    return trained.checkpoint


@pytest.fixture(scope="module")
def halves():
    """Pictures of two colours, one above the other."""
    labels = np.zeros((4, 16, 16), np.uint8)
    for i in range(4):
        labels[i, 4 + 2 * i :] = 1
    noise = np.random.RandomState(0).randint(0, 40, (4, 16, 16, 3))
    return PairSet.exact((labels[..., None] * 180 + noise).astype(np.uint8), labels)
