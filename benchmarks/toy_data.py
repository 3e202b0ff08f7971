"""Toy faces as arrays."""

from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from gseg_cli.datasets.toy_faces import render
from gseg_cli.distill.pairs import PairSet


def toy_pairs(seeds: range, size: int = 64) -> PairSet:
    """Faces with their exact labels."""
    with ProcessPoolExecutor() as pool:
        faces = list(pool.map(partial(render, size=size), seeds, chunksize=64))
    return PairSet.exact(np.stack([image for image, _ in faces]), np.stack([labels for _, labels in faces]))
