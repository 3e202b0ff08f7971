"""The words that options and configs know, each defined once. Needs no PyTorch: a wrong word is refused at once.

What the words mean stands where they are used; `tests/test_choices.py` holds the two together.
"""

import re
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin

from gseg_runtime.errors import ConfigError, UsageError

GanKind = Literal["stylegan2", "stylegan3", "dcgan"]
Arch = Literal["stylegan2", "dcgan"]  # those that gan-train trains
Discriminator = Literal["stylegan2", "projected"]
GanPrecision = Literal["auto", "fp32", "bf16", "fp16"]
Augment = Literal["none", "ada", "fixed"]
Fit = Literal["crop", "letterbox"]
Edges = Literal["nearest", "smooth", "guided"]
Engine = Literal["local", "ray"]
Space = Literal["w", "w+", "f"]
PhotoSpace = Literal["w", "w+"]  # where the latents alone draw the photo, which is all that annotations hold
Tool = Literal["labelme", "cvat", "label-studio"]
Prefill = Literal["labelme", "cvat", "label-studio", "template"]
Unlabelled = Literal["background", "ignore"]
Pick = Literal["random", "diverse", "uncertain"]
TeacherModel = Literal["mlp", "cnn-s", "cnn-m", "cnn-l"]
Schedule = Literal["short", "paper"]
Features = Literal["all", "paper"]
Labels = Literal["soft", "hard", "agreed"]
StudentSize = Literal["tiny", "default", "paper", "lite0"]
Loss = Literal["ce", "dice", "balanced", "focal"]
Geometry = Literal["aligned", "paper"]
Precision = Literal["auto", "fp32", "bf16"]
ProtocolName = Literal["celebamask-3", "celebamask-10", "pascal-car", "pascal-horse"]
Split = Literal["test", "val", "train", "all"]
TableName = Literal["table1", "table2", "table3", "figure6", "table4", "table5", "table6", "geometry", "all"]


def check_choices(config: Any) -> None:
    """ConfigError when a field of a dataclass is typed as a choice and holds another word."""
    for field in fields(config):
        words, value = get_args(field.type), getattr(config, field.name)
        if get_origin(field.type) is Literal and value not in words:
            raise ConfigError(f"{field.name}: expected one of {', '.join(words)}, got {value!r}")


def check_device(name: str) -> None:
    """UsageError when this is no device of PyTorch's; whether the machine has it is another question."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name, re.ASCII):
        raise UsageError(f"--device: expected auto, cpu, cuda or cuda:N, got {name!r}")
