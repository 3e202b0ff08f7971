"""What a student is told of its errors: cross-entropy with two-class soft labels, and what may help small parts."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gseg_cli.device import send
from gseg_cli.distill.augment import Batch
from gseg_cli.distill.pairs import PairSet
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import ConfigError

Loss = Callable[[Tensor, Batch], Tensor]  # logits [N, C, S, S] and their batch to a value []
LOSSES = ("ce", "dice", "balanced", "focal")
FOCUS = 2.0  # gamma of Lin et al. 2017
BALANCE = 0.25  # power of a class's rarity by which its pixels weigh; with 0.5 toy faces lost what they gain by it


def make_loss(name: str, shares: Tensor) -> Loss:
    """One of LOSSES; ConfigError for another name. shares: [C], of the pixels to train on, by class.

    ce: cross-entropy. dice: with soft Dice added. balanced: classes weighted by their rarity. focal: pixels weighted by
    how wrong they are.
    """
    if name == "ce":
        return soft_cross_entropy
    if name == "dice":
        return lambda logits, target: soft_cross_entropy(logits, target) + soft_dice(logits, target)
    if name == "balanced":
        return partial(soft_cross_entropy, weights=class_weights(shares))
    if name == "focal":
        return partial(soft_cross_entropy, focus=FOCUS)
    raise ConfigError(f"loss: expected one of {', '.join(LOSSES)}, got {name!r}")


def soft_cross_entropy(logits: Tensor, target: Batch, *, weights: Tensor | None = None, focus: float = 0.0) -> Tensor:
    """Cross-entropy [] with two-class soft labels, ignored pixels left out; logits [N, C, S, S].

    weights: of the classes [C]; the mean over the pixels is weighted too. focus: the power of 1 - p of the focal loss.
    """
    classes, amount = _two_classes(target)
    log_p = logits.log_softmax(dim=1).gather(1, classes)
    if weights is not None:
        amount = amount * send(weights, amount.device)[classes]
    error = (1 - log_p.exp()) ** focus * log_p if focus else log_p
    return -(amount * error).sum() / amount.sum().clamp_min(1e-6)


def soft_dice(logits: Tensor, target: Batch) -> Tensor:
    """1 - Dice [] of the batch as a whole, the mean over its classes; ignored pixels left out.

    With squares in the denominator (V-Net, Milletari et al. 2016): only then the soft labels themselves are the best.
    """
    truth = torch.zeros_like(logits).scatter_add_(1, *_two_classes(target))
    probs = logits.softmax(dim=1) * (target.first != IGNORE)[:, None]
    both, either = (t.sum(dim=(0, 2, 3)) for t in (probs * truth, probs**2 + truth**2))
    is_there = truth.sum(dim=(0, 2, 3)) > 0
    lost = (1 - 2 * both / either.clamp_min(1e-6)) * is_there
    return lost.sum() / is_there.sum().clamp_min(1)


def class_weights(shares: Tensor) -> Tensor:
    """[C], of each class by its share of the pixels [C], the rarer the more, 1 in the mean of a pixel.

    The plain inverse makes a class of a thousandth of the pixels outweigh all others.
    """
    weights = shares.clamp_min(1e-4) ** -BALANCE
    return (weights / (weights * shares).sum().clamp_min(1e-6)).float()


def counted_shares(name: str, shares: Tensor) -> Tensor:
    """[C], of each class in what the loss of this name adds up."""
    return shares * class_weights(shares) if name == "balanced" else shares


def class_shares(pairs: PairSet, num_classes: int) -> Tensor:
    """[C], of the pixels that are not ignored, by their likeliest class."""
    parts = pairs.first.split(64)  # together they would fill the memory as integers of bincount
    counts = torch.stack([torch.bincount(part[part != IGNORE], minlength=num_classes) for part in parts]).sum(dim=0)
    return counts.double() / counts.sum().clamp_min(1)


def _two_classes(target: Batch) -> tuple[Tensor, Tensor]:
    """The two classes of each pixel, int64 [N, 2, S, S], and their shares, 0 where it is ignored."""
    ignored = (target.first == IGNORE)[:, None]
    share = target.share.float() / 255
    classes = torch.stack([target.first, target.second], dim=1).masked_fill(ignored, 0).long()
    return classes, torch.stack([share, 1 - share], dim=1).masked_fill(ignored, 0)
