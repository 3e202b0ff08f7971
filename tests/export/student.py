"""A student small enough to train while tests run."""

import torch

from gseg_cli.distill.net_config import NetConfig
from gseg_cli.distill.unet import UNet
from gseg_export.verification_images import clouds
from gseg_runtime import ClassMap, ModelCard

SIZE = 32
CLASSES = ClassMap.of_names(["background", "skin", "hair", "ear, left"])
GAN = {"kind": "generator", "path": "/home/someone/faces/runs/0001-gan/checkpoint.safetensors", "sha256": "1" * 64}


def plain_card() -> ModelCard:
    return ModelCard(classes=CLASSES, input_size=SIZE)


def trained_net() -> UNet:
    """Sixty steps on clouds: the class is the brightness in three steps, so the student is sure of most pixels."""
    torch.manual_seed(0)
    net = UNet(NetConfig(size="tiny", num_classes=len(CLASSES), input_size=SIZE))
    image = torch.from_numpy(clouds(size=SIZE, seed=1, count=8).images).permute(0, 3, 1, 2) / 127.5 - 1
    target = (image.mean(dim=1) * 1.5 + 1.5).long().clamp(0, 2)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(image), target).backward()
        optimizer.step()
    return net
