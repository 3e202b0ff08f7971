"""What a student says of pictures, and how well that agrees with their labels."""

import numpy as np
import torch
from torch import Tensor, nn

from gseg_cli.distill.pairs import PairSet
from gseg_runtime.label_map import LabelMap
from gseg_runtime.metrics import confusion_matrix, mean_iou


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
