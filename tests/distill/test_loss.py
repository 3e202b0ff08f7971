"""What each loss weighs: pixels alike, classes alike, or what is wrong."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gseg_cli.distill.augment import Batch
from gseg_cli.distill.loss import (
    LOSSES,
    class_shares,
    class_weights,
    counted_shares,
    make_loss,
    soft_cross_entropy,
    soft_dice,
)
from gseg_cli.distill.pairs import PairSet
from gseg_runtime.class_map import IGNORE


@pytest.fixture
def target():
    torch.manual_seed(0)
    first, second = torch.randint(0, 5, [2, 3, 8, 8]).to(torch.uint8)
    share = torch.randint(128, 256, [3, 8, 8]).to(torch.uint8)
    first[0, :3] = IGNORE
    return Batch(torch.zeros(3, 3, 8, 8), first, second, share)


@pytest.fixture
def pairs():
    """Ninety-nine parts of class 0, one of class 1, and nothing known of the rest."""
    labels = np.full((1, 20, 10), IGNORE, np.uint8)
    labels[:, :10], labels[:, 0, 0] = 0, 1
    return PairSet.exact(np.zeros((1, 20, 10, 3), np.uint8), labels)


def hard(target):
    return replace(target, share=torch.full_like(target.share, 255))


def dense(target):
    """Probabilities [P, 5] of the labelled pixels."""
    known = target.first != IGNORE
    first, second, share = target.first[known].long(), target.second[known].long(), target.share[known] / 255
    return F.one_hot(first, 5) * share[:, None] + F.one_hot(second, 5) * (1 - share)[:, None]


def test_cross_entropy_is_that_with_the_dense_soft_labels(target):
    logits = torch.randn(3, 5, 8, 8, requires_grad=True)
    loss = soft_cross_entropy(logits, target)
    at_known = logits.movedim(1, -1)[target.first != IGNORE]
    expected = F.cross_entropy(at_known, dense(target))
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(*(torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (loss, expected)))


def test_class_weights_and_focus_are_as_published_on_hard_labels(target):
    logits, weights = torch.randn(3, 5, 8, 8), torch.rand(5)
    expected = F.cross_entropy(logits, target.first.long(), weights, ignore_index=IGNORE)
    torch.testing.assert_close(soft_cross_entropy(logits, hard(target), weights=weights), expected)
    log_p = -F.cross_entropy(logits, target.first.long(), ignore_index=IGNORE, reduction="none")
    focal = -((1 - log_p.exp()) ** 2 * log_p)[target.first != IGNORE].mean()
    torch.testing.assert_close(soft_cross_entropy(logits, hard(target), focus=2.0), focal)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_do_not_matter_to_any_loss(target, pairs, name):
    loss, logits = make_loss(name, class_shares(pairs, 5)), torch.randn(3, 5, 8, 8)
    changed = logits.masked_fill((target.first == IGNORE)[:, None], 1e4)
    other = replace(target, second=torch.where(target.first == IGNORE, 3, target.second))
    assert torch.equal(loss(logits, target), loss(changed, other)) and loss(logits, target) > 0
    nothing = replace(target, first=torch.full_like(target.first, IGNORE))
    logits.requires_grad_(True)
    loss(logits, nothing).backward()
    assert loss(logits, nothing) == 0 and (logits.grad == 0).all()


def test_dice_has_no_better_answer_than_the_soft_labels_themselves(target):
    known = target.first != IGNORE
    probs = torch.full([3, 8, 8, 5], 0.2)
    probs[known] = dense(target)
    logits = probs.movedim(-1, 1).clamp_min(1e-9).log().requires_grad_(True)
    loss = soft_dice(logits, target)
    loss.backward()
    assert loss < 1e-6 and logits.grad.abs().max() < 1e-6


def test_dice_counts_a_small_class_as_much_as_a_large_one(pairs):
    target = Batch(torch.zeros(1, 3, 20, 10), pairs.first, pairs.second, pairs.share)
    blind = torch.zeros(1, 2, 20, 10)
    blind[:, 0] = 20.0  # sees class 0 everywhere
    assert soft_dice(blind, target) > 0.49 and soft_cross_entropy(blind, target) < 0.21


def test_rare_classes_weigh_more_by_the_fourth_root_of_their_rarity(pairs):
    shares = class_shares(pairs, 3)
    weights = class_weights(shares)
    assert weights[1] / weights[0] == pytest.approx(99**0.25) and weights.isfinite().all()
    assert (weights[0] * 99 + weights[1]) / 100 == pytest.approx(1)
    assert counted_shares("ce", shares).tolist() == shares.tolist()
    assert counted_shares("balanced", shares).sum() == pytest.approx(1)
