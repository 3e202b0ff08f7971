"""Toy faces as arrays, and the GAN that the many experiments on them use."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.datasets.toy_faces.dataset import render
from gseg_cli.distill.pairs import PairSet

TOY = Builtin(SMALL)  # of 64 px: a quarter of the time at 128


def toy_pairs(seeds: range, size: int = 64) -> PairSet:
    """Faces with their exact labels."""
    with ProcessPoolExecutor() as pool:
        faces = list(pool.map(partial(render, size=size), seeds, chunksize=64))
    return PairSet.exact(np.stack([image for image, _ in faces]), np.stack([labels for _, labels in faces]))
