"""A student: one of two kinds of network, as a file and out of one."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.distill.lite_net import LiteNet
from gseg_cli.distill.net_config import PRETRAINED, NetConfig
from gseg_cli.distill.unet import UNet
from gseg_cli.pretrained.lite0 import load_lite0
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import CheckpointError, ConfigError

KIND = "unet"
Student = UNet | LiteNet


def make_student(config: NetConfig) -> Student:
    """Untrained, with random weights."""
    return LiteNet(config) if config.size == PRETRAINED else UNet(config)


def start_student(config: NetConfig) -> Student:
    """As it begins its training: a pretrained one knows ImageNet. BackendUnavailable without its weights."""
    net = make_student(config)
    if isinstance(net, LiteNet):
        net.encoder = load_lite0()
    return net


def save_student(path: Path, net: Student, classes: ClassMap, meta: Mapping[str, Any] | None = None) -> None:
    """Write a student. meta: "parents" and whatever else; its "config" is kept beside the network's own."""
    if len(classes) != net.config.num_classes:
        raise ConfigError(f"{path}: a student of {net.config.num_classes} classes, but {len(classes)} are named")
    meta = dict(meta or {})
    config = {**meta.pop("config", {}), **asdict(net.config), "classes": classes.to_json()}
    save_checkpoint(path, net.state_dict(), {**meta, "kind": KIND, "config": config})


def load_student(path: Path, device: torch.device | str = "cpu") -> tuple[Student, ClassMap, dict[str, Any]]:
    """The student in evaluation mode and without gradients, its classes, and the checkpoint's meta.

    CheckpointError when the file is missing, damaged or not a student.
    """
    tensors, meta = load_checkpoint(path, KIND)
    try:
        config = NetConfig(**{field.name: meta["config"][field.name] for field in fields(NetConfig)})
        classes = ClassMap.from_json(meta["config"]["classes"])
        net = make_student(config)
        net.load_state_dict(tensors)
    except (KeyError, TypeError, ConfigError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: the student cannot be rebuilt: {error}", hint="run gseg distill again"
        ) from error
    return net.eval().requires_grad_(False).to(device), classes, meta
