"""Connected parts of a label map."""

import numpy as np
import numpy.typing as npt

from gseg_runtime.enlarged import Plane

Numbers = npt.NDArray[np.intp]


def connected_parts(labels: Plane, *, diagonal: bool) -> tuple[Numbers, Plane]:
    """The number of the part that each pixel belongs to, [H, W], and the label of each part, uint8 [number of parts].

    Pixels of one label are one part when they touch at a side or, with `diagonal`, at a corner. Parts are numbered in
    the order of their first pixels.
    """
    is_start = np.ones(labels.shape, bool)
    is_start[:, 1:] = labels[:, 1:] != labels[:, :-1]
    runs = (np.cumsum(is_start) - 1).reshape(labels.shape)  # of equal pixels in a row
    links = [_touching(labels, runs, 0)] + [_touching(labels, runs, step) for step in (-1, 1) if diagonal]
    roots = _roots(int(runs[-1, -1]) + 1, np.concatenate(links, axis=1))
    first, numbers = np.unique(roots, return_inverse=True)
    return numbers[runs], labels[is_start][first]


def _touching(labels: Plane, runs: Numbers, step: int) -> Numbers:
    """[2, N]: runs of a row and those of the row below that they touch `step` columns further right."""
    width = labels.shape[1]
    here = slice(max(0, -step), width - max(0, step))
    there = slice(max(0, step), width + min(0, step))
    is_one = labels[:-1, here] == labels[1:, there]
    return np.stack([runs[:-1, here][is_one], runs[1:, there][is_one]])


def _roots(count: int, links: Numbers) -> Numbers:
    """For each of `count` things the first one that links lead to, [count]."""
    roots = np.arange(count)
    while (of_links := roots[links]) is not None and (of_links[0] != of_links[1]).any():
        np.minimum.at(roots, of_links.max(axis=0), of_links.min(axis=0))
        while ((further := roots[roots]) != roots).any():
            roots = further
    return roots
