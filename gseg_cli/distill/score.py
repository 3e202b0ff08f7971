"""What a student says of pictures, and how well that agrees with their labels."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.student import Student
from gseg_runtime.label_map import LabelMap
from gseg_runtime.metrics import confusion_matrix, mean_iou

MAX_BATCH, MAX_PIXELS = 64, 2**22  # at once


@torch.no_grad()
def predict_labels(net: Student, images: Tensor, batch: int | None = None) -> LabelMap:
    """Label maps uint8 [N, S, S] of images uint8 [N, S, S, 3] of any side, in float32.

    batch: None takes 64, fewer above 256 px.
    """
    batch = batch or max(1, min(MAX_BATCH, MAX_PIXELS // max(images.shape[1], net.config.input_size) ** 2))
    was_training = net.training
    net.eval()
    device = next(net.parameters()).device
    chunks = [_logits(net, chunk.to(device)).argmax(dim=1).to(torch.uint8).cpu() for chunk in images.split(batch)]
    net.train(was_training)
    return np.asarray(torch.cat(chunks))


def _logits(net: Student, images: Tensor) -> Tensor:
    """Of the images' size, whatever the network's is."""
    x, size = images.permute(0, 3, 1, 2).float() / 127.5 - 1, images.shape[1]
    logits = net(_resized(x, net.config.input_size).contiguous(memory_format=torch.channels_last))
    return _resized(logits, size)


def _resized(x: Tensor, size: int) -> Tensor:
    return x if x.shape[-1] == size else F.interpolate(x, (size, size), mode="bilinear", antialias=True)


def score_student(net: Student, pairs: PairSet, num_classes: int) -> float:
    """Mean IoU against the pairs' first labels."""
    return mean_iou(confusion_matrix(predict_labels(net, pairs.images), pairs.first.numpy(), num_classes))
