"""Ridge regression of the classes on the hypercolumns, in closed form: the answer to a stroke."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.label.classifier import Classifier
from gseg_cli.label.table import Table

LAMBDA = 0.01  # how much large weights cost, for columns of length about one, per pixel
SHARPNESS = 7.0  # of the softmax: what a labelled pixel's logit leads by, on average


@torch.no_grad()
def fit_ridge(table: Table) -> Classifier:
    """By the dual, P equations for P pixels: pixels are fewer than channels, or not many more.

    A constant channel stands for the bias. Rare classes need no weights: the choice of pixels favours them.
    """
    classes, which = table.labels.unique(return_inverse=True)
    wanted = F.one_hot(which, len(classes)).to(table.gram)
    ridge = LAMBDA * len(which)
    system = table.gram + 1
    system.diagonal().add_(ridge)
    duals = torch.cholesky_solve(wanted, torch.linalg.cholesky(system))  # [P, K]
    duals *= SHARPNESS / _lead(wanted - ridge * duals, wanted)
    weight, bias = table.unscaled(duals.t() @ table.columns, duals.sum(dim=0))
    return Classifier("ridge", weight, bias, lambda logits: logits, classes.to(weight.device))


def _lead(scores: Tensor, wanted: Tensor) -> Tensor:
    """By how much the score of the true class is above the next, on average over the labelled pixels [P, K]."""
    others = scores.masked_fill(wanted > 0, -torch.inf).max(dim=1).values
    return ((scores * wanted).sum(dim=1) - others).mean().clamp_min(1e-3)
