"""A distillation's precision on a CPU, where nobody gave one: by a trial of the student's own network."""

from dataclasses import replace
from pathlib import Path

import torch

from gseg_cli.device import autocast, has_bf16
from gseg_cli.distill.config import StudentConfig
from gseg_cli.distill.net_config import NetConfig, usual_input_size
from gseg_cli.distill.student import start_student
from gseg_cli.precision_trials import Work, try_once
from gseg_cli.steps import Say, ignore_say

CPU = torch.device("cpu")
# Pixels in a trial, which a slow core computes in a quarter of a second, forth and back.
PIXELS = {"tiny": 2**17, "default": 2**15, "paper": 2**12, "lite0": 2**15}


def settle_precision(
    config: StudentConfig, gan_size: int, device: torch.device, file: Path | None, say: Say = ignore_say
) -> StudentConfig:
    """With the quicker precision in place of `auto` on a CPU; on a GPU as it is.

    gan_size: side of the GAN's images. file: where trials are remembered.
    """
    train = config.train
    if train.precision != "auto" or device.type != "cpu":
        return config
    if not has_bf16(device):
        return replace(config, train=replace(train, precision="fp32"))
    side = train.input_size or usual_input_size(train.student, gan_size)
    net = NetConfig(size=train.student, num_classes=10, input_size=side)
    trial = try_once(f"training {net.size} at {side} px", torch.get_num_threads(), lambda p: _work(net, p), file)
    say(f"precision: {trial}")
    return replace(config, train=replace(train, precision=trial.quicker))


def _work(config: NetConfig, precision: str) -> Work:
    """Forth and back through the student, on few and perhaps smaller images."""
    side = config.input_size
    while 2 * side**2 > PIXELS[config.size] and side // 2 >= config.stride:
        side = side // 2 // config.stride * config.stride
    net = start_student(config).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    images = torch.rand(max(2, PIXELS[config.size] // side**2), 3, side, side)
    images = images.contiguous(memory_format=torch.channels_last)

    def step() -> None:
        with autocast(CPU, precision):
            logits = net(images)
        logits.float().log_softmax(dim=1)[:, 0].mean().backward()

    return step
