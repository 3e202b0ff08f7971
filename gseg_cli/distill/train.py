"""Distillation: a UNet that learns from generated pairs to segment photos in one pass, without the GAN."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gseg_cli.device import autocast
from gseg_cli.distill.augment import AugmentConfig, Batch, augment
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.unet import UNet, UNetConfig
from gseg_cli.runs import Run
from gseg_cli.seeding import seed_step
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import IGNORE
from gseg_runtime.label_map import LabelMap
from gseg_runtime.metrics import confusion_matrix, mean_iou


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    student: str = "default"  # tiny | default | paper
    steps: int = 1000
    batch: int = 32
    lr: float = 3e-3  # peak of a one-cycle schedule
    weight_decay: float = 1e-4
    ema: float = 0.99  # decay per step of the averaged weights, which are the ones kept
    drop: float = 0.1  # share of the pairs left out, those the teacher doubts most
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    seed: int = 0


def fit_student(
    pairs: PairSet,
    num_classes: int,
    config: DistillConfig,
    device: torch.device,
    *,
    held_out: PairSet | None = None,
    run: Run | None = None,
    on_step: OnStep = ignore_step,
) -> UNet:
    """Train a student on pairs (of a teacher, or with exact labels); its averaged weights, in evaluation mode.

    held_out pairs are scored ten times on the way, against their first labels.
    """
    seed_step(config.seed, 0)
    net = UNet(UNetConfig(size=config.student, num_classes=num_classes, input_size=pairs.images.shape[1]))
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = AveragedModel(net, multi_avg_fn=partial(_average, config.ema), use_buffers=True)
    values: dict[str, float] = {}
    for step, loss in enumerate(_fit(net, average, pairs, config, device), start=1):
        if held_out is not None and (step % max(1, config.steps // 10) == 0 or step == config.steps):
            values["held_out_miou"] = score_student(average.module, held_out, num_classes)
        if run and (step % 20 == 0 or step == config.steps):
            run.metric(step, loss=float(loss), **values)
        on_step(Step(step, config.steps, {"loss": float(loss), **values}))
    return cast(UNet, average.module).eval().requires_grad_(False)


def _average(decay: float, averaged: list[Tensor], current: list[Tensor], num_averaged: Tensor | int) -> None:
    """The decay grows with the steps taken, so that a short training does not end in its first weights."""
    n = int(num_averaged)
    get_ema_multi_avg_fn(min(decay, (1 + n) / (10 + n)))(averaged, current, num_averaged)


def _fit(
    net: nn.Module, average: AveragedModel, pairs: PairSet, config: DistillConfig, device: torch.device
) -> Iterator[Tensor]:
    """Yield the loss of each step."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.steps, pct_start=0.1)
    net.train()
    for step in range(config.steps):
        seed_step(config.seed, step + 1)
        batch = augment(pairs[torch.randint(len(pairs), [config.batch])], config.augment, device)
        with autocast(device):
            logits = net(batch.image)
        loss = soft_cross_entropy(logits.float(), batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        average.update_parameters(net)
        yield loss.detach()


def soft_cross_entropy(logits: Tensor, target: Batch) -> Tensor:
    """Cross-entropy [] with two-class soft labels, ignored pixels left out; logits [N, C, S, S]."""
    log_probs = logits.log_softmax(dim=1)
    ignored = target.first == IGNORE
    share = target.share.float() / 255
    first = _pick(log_probs, target.first.masked_fill(ignored, 0))
    second = _pick(log_probs, target.second.masked_fill(ignored, 0))
    loss = -(share * first + (1 - share) * second).masked_fill(ignored, 0)
    return loss.sum() / (~ignored).sum().clamp_min(1)


def _pick(log_probs: Tensor, classes: Tensor) -> Tensor:
    return log_probs.gather(1, classes.long()[:, None])[:, 0]


@torch.no_grad()
def predict_labels(net: nn.Module, images: Tensor, batch: int = 64) -> LabelMap:
    """Label maps uint8 [N, S, S] of images uint8 [N, S, S, 3], in float32."""
    was_training = net.training
    net.eval()
    device = next(net.parameters()).device
    chunks = []
    for chunk in images.split(batch):
        x = chunk.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        chunks.append(net(x.contiguous(memory_format=torch.channels_last)).argmax(dim=1).to(torch.uint8).cpu())
    net.train(was_training)
    return np.asarray(torch.cat(chunks))


def score_student(net: nn.Module, pairs: PairSet, num_classes: int) -> float:
    """Mean IoU against the pairs' first labels."""
    return mean_iou(confusion_matrix(predict_labels(net, pairs.images), pairs.first.numpy(), num_classes))
