"""The student: a UNet in three sizes, made of operators that ONNX Runtime and TensorRT fuse."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_runtime.class_map import MAX_CLASSES, ClassMap
from gseg_runtime.errors import CheckpointError, ConfigError

KIND = "unet"


class Shape(NamedTuple):
    widths: tuple[int, ...]  # channels from full resolution down, each level half the size of the one before
    upsampling: Literal["nearest", "bilinear"]


SIZES = {
    "tiny": Shape((8, 16, 32, 64), "nearest"),
    "default": Shape((16, 32, 64, 128, 256), "nearest"),
    "paper": Shape((64, 128, 256, 512, 512), "bilinear"),
}


@dataclass(frozen=True, kw_only=True)
class UNetConfig:
    """ConfigError for an unknown size, too few or too many classes, or an input the levels cannot halve evenly."""

    size: str = "default"  # tiny | default | paper
    num_classes: int  # background included
    input_size: int  # side of the square input in pixels

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise ConfigError(f"student: expected one of {', '.join(SIZES)}, got {self.size!r}")
        if not 2 <= self.num_classes <= MAX_CLASSES:
            raise ConfigError(f"student: expected 2 to {MAX_CLASSES} classes, got {self.num_classes}")
        if self.input_size < self.stride or self.input_size % self.stride:
            message = f"input_size: a {self.size} student needs a multiple of {self.stride}, got {self.input_size}"
            raise ConfigError(message, hint=f"the nearest is {self._nearest_size()}")

    @property
    def shape(self) -> Shape:
        return SIZES[self.size]

    @property
    def stride(self) -> int:
        """Input pixels per pixel of the lowest level."""
        return 2 ** (len(self.shape.widths) - 1)

    def _nearest_size(self) -> int:
        # Rounds half up: of two sizes as near as each other the one that loses no detail.
        return max(1, (2 * self.input_size + self.stride) // (2 * self.stride)) * self.stride


class UNet(nn.Module):
    """Ronneberger et al. 2015, with padding and batch normalisation.

    "paper" is the network of the published code (github.com/trolytrol/RepurposingGANs, unet/) with two differences:
    no biases in front of the normalisation, which cancels them, and bilinear upsampling with align_corners=False,
    because aligned corners shift the picture by an amount that depends on its size.
    With 10 classes, parameters and multiply-adds per image:
        tiny      0.13 M    0.04 G at 64 px    0.16 G at 128 px     0.63 G at 256 px
        default   2.08 M    0.19 G at 64 px    0.77 G at 128 px     3.10 G at 256 px
        paper    17.26 M    2.50 G at 64 px   10.00 G at 128 px    40.02 G at 256 px
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        widths, upsampling = config.shape
        self.encoder = nn.ModuleList(_double_conv(i, o, o) for i, o in zip((3, *widths), widths, strict=False))
        self.pool = nn.MaxPool2d(2)
        # False is what ONNX calls half_pixel; for nearest PyTorch accepts nothing but None.
        align_corners = None if upsampling == "nearest" else False
        self.upsample = nn.Upsample(scale_factor=2, mode=upsampling, align_corners=align_corners)
        decoder, below = [], widths[-1]
        for level in range(len(widths) - 2, -1, -1):
            joined, out = below + widths[level], widths[max(level - 1, 0)]
            decoder.append(_double_conv(joined, joined // 2, out))
            below = out
        self.decoder = nn.ModuleList(decoder)
        self.head = nn.Conv2d(below, config.num_classes, kernel_size=1)
        # Under nn.Conv2d's own start some seeds hardly tell small classes apart, and learn those late or never.
        nn.init.orthogonal_(self.head.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, num_classes, S, S] of images float [N, 3, S, S] in [-1, 1], S = config.input_size."""
        x, skips = image, []
        for level, conv in enumerate(self.encoder):
            x = conv(self.pool(x) if level else x)
            skips.append(x)
        skips.pop()  # the lowest level is x itself
        for conv in self.decoder:
            x = conv(torch.cat([skips.pop(), self.upsample(x)], dim=1))
        return self.head(x)


def _double_conv(in_channels: int, mid_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(*_conv(in_channels, mid_channels), *_conv(mid_channels, out_channels))


def _conv(in_channels: int, out_channels: int) -> list[nn.Module]:
    # No bias: the normalisation behind would cancel it.
    conv = nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]


def save_unet(path: Path, net: UNet, classes: ClassMap, meta: Mapping[str, Any] | None = None) -> None:
    """Write a student. meta: "parents" and whatever else; its "config" is kept beside the network's own."""
    if len(classes) != net.config.num_classes:
        raise ConfigError(f"{path}: a student of {net.config.num_classes} classes, but {len(classes)} are named")
    meta = dict(meta or {})
    config = {**meta.pop("config", {}), **asdict(net.config), "classes": classes.to_json()}
    save_checkpoint(path, net.state_dict(), {**meta, "kind": KIND, "config": config})


def load_unet(path: Path, device: torch.device | str = "cpu") -> tuple[UNet, ClassMap, dict[str, Any]]:
    """The student in evaluation mode and without gradients, its classes, and the checkpoint's meta.

    CheckpointError when the file is missing, damaged or not a student.
    """
    tensors, meta = load_checkpoint(path, KIND)
    try:
        config = UNetConfig(**{field.name: meta["config"][field.name] for field in fields(UNetConfig)})
        classes = ClassMap.from_json(meta["config"]["classes"])
        net = UNet(config)
        net.load_state_dict(tensors)
    except (KeyError, TypeError, ConfigError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: the student cannot be rebuilt: {error}", hint="run gseg distill again"
        ) from error
    return net.eval().requires_grad_(False).to(device), classes, meta
