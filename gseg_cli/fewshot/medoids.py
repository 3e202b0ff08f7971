"""Greedy k-medoids: a few points that stand for all, in the order in which they help most."""

import torch
from torch import Tensor


def greedy_medoids(distances: Tensor, count: int, *, weights: Tensor, taken: Tensor) -> list[int]:
    """`count` of N points, each the one that brings the weighted sum of distances to the nearest medoid down most.

    The first phase (BUILD) of PAM, Kaufman and Rousseeuw 1990. Unlike k-centre, which begins with the points farthest
    off, it leaves an odd sample alone: that would stand for nothing but itself.

    distances: [N, N]. weights: [N], how much each point counts. taken: bool [N], medoids that there are already; they
    are not chosen again. At least `count` points are to be left.
    """
    weights, chosen = weights[:, None], []
    nearest = distances[:, taken].min(dim=1).values if taken.any() else distances.max().expand(len(distances))
    taken = taken.clone()
    for _ in range(count):
        gains = ((nearest[:, None] - distances).clamp_min(0) * weights).sum(dim=0)
        best = int(gains.masked_fill(taken, -1).argmax())
        chosen.append(best)
        taken[best] = True
        nearest = torch.minimum(nearest, distances[:, best])
    return chosen
