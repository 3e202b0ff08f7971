"""The few-shot teachers: the paper's dilated CNN in three sizes, and the pixel MLP."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.choices import Features, TeacherModel
from gseg_cli.fewshot.features import REPRESENTATIONS, LayerSum, ProjectedFeatures
from gseg_cli.gan.generator import FeatureStack
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import CheckpointError
from gseg_runtime.files import sha256_file
from gseg_runtime.label_map import check_label_map

KIND = "fewshot"
ANNOTATED = "annotated."  # prefix of the tensors that hold what the teacher was taught
# Dilations of the 3x3 convolutions behind the first, 1x1 layer; cnn-l is the published code's network, 61 px wide.
DILATIONS: dict[TeacherModel, tuple[int, ...]] = {
    "cnn-s": (2, 1, 2, 1),
    "cnn-m": (2, 4, 1, 2, 4, 1),
    "cnn-l": (2, 4, 8, 1, 2, 4, 8, 1),
}
MODELS: tuple[TeacherModel, ...] = (*DILATIONS, "mlp")
SLOPE = 0.01  # of the leaky ReLUs


@dataclass(frozen=True, kw_only=True)
class TeacherConfig:
    model: TeacherModel
    channels: tuple[int, ...]  # of the generator's layers, coarse to fine
    num_classes: int
    size: int  # side of its label maps in pixels
    num_heads: int = 1  # an ensemble of networks that differ in their seed
    features: Features = "all"


class Head(nn.Module):
    """One network: the projected features, then `rest`."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.size = config.size
        self.features = ProjectedFeatures(config.channels, 128, REPRESENTATIONS[config.features])

    def forward(self, stack: FeatureStack) -> Tensor:
        """Logits [N, num_classes, size, size]."""
        return self.rest(self.features(stack, self.size))

    def rest(self, x: Tensor) -> Tensor:
        """Logits of projected features [N, 128, size, size], which are overwritten."""
        raise NotImplementedError


class CNNHead(Head):
    """1x1 convolution to 128 channels on the features, then dilated 3x3 convolutions, leaky ReLU between them."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__(config)
        dilations = DILATIONS[config.model]
        widths = [128, *[64] * (len(dilations) - 2), 32, config.num_classes]
        self.convs = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=d, dilation=d) for i, o, d in zip(widths, widths[1:], dilations, strict=False)
        )
        for layer in (self.features.linear, *self.convs):
            # He et al. 2015. PyTorch's own start shrinks the signal layer by layer, and cnn-l stands still for long.
            nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")
            nn.init.zeros_(layer.bias)

    def rest(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(F.leaky_relu(x, SLOPE, inplace=True))
        return x


class MLPHead(Head):
    """Each pixel on its own: 128 and 32 hidden units."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__(config)
        self.hidden = nn.Linear(128, 32)
        self.out = nn.Linear(32, config.num_classes)

    def rest(self, x: Tensor) -> Tensor:
        return self._pixels(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def at_pixels(self, columns: Tensor) -> Tensor:
        """Logits [P, num_classes] of gathered hypercolumns [P, sum C]."""
        return self._pixels(self.features.at_pixels(columns))

    def _pixels(self, x: Tensor) -> Tensor:
        x = self.hidden(F.leaky_relu(x, SLOPE, inplace=True))
        return self.out(F.leaky_relu(x, SLOPE, inplace=True))


class Teacher(nn.Module):
    """An ensemble of heads; their probabilities are averaged."""

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = config
        make = MLPHead if config.model == "mlp" else CNNHead
        self.heads = nn.ModuleList(make(config) for _ in range(config.num_heads))

    def forward(self, stack: FeatureStack) -> Tensor:
        """Probabilities of every head: [H, N, num_classes, size, size]."""
        reading = Reading(self)
        for x in stack.maps:
            reading.add(x)
        return reading.probs()


class Reading:
    """A teacher that is shown a generator's layers one by one, as they are made: `synthesis(ws, reading.add)`."""

    def __init__(self, teacher: Teacher) -> None:
        self.heads = [cast(Head, head) for head in teacher.heads]
        self.sums = [LayerSum(head.features, head.size) for head in self.heads]

    def add(self, x: Tensor) -> None:
        for layer_sum in self.sums:
            layer_sum.add(x)

    def probs(self) -> Tensor:
        """Of every head: [H, N, num_classes, size, size]."""
        rest = [head.rest(layer_sum.result()) for head, layer_sum in zip(self.heads, self.sums, strict=True)]
        return torch.stack([logits.softmax(dim=1) for logits in rest])


class Annotated(NamedTuple):
    """What a teacher was taught: latents float32 [N, num_ws, w_dim] and label maps uint8 [N, S, S], 255 is ignored."""

    ws: Tensor
    labels: Tensor


def save_teacher(
    path: Path, teacher: Teacher, classes: ClassMap, meta: dict[str, Any], annotated: Annotated | None = None
) -> None:
    config = {**asdict(teacher.config), "classes": classes.to_json()}
    taught = {ANNOTATED + name: tensor for name, tensor in annotated._asdict().items()} if annotated else {}
    save_checkpoint(path, {**teacher.state_dict(), **taught}, {"kind": KIND, "config": config, **meta})


def load_teacher(path: Path, device: torch.device | str = "cpu") -> tuple[Teacher, ClassMap, dict[str, Any]]:
    """The teacher in evaluation mode, its classes, and what its file says of itself."""
    tensors, meta = load_checkpoint(path, KIND)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(ANNOTATED)}
    config = dict(meta["config"])
    classes = ClassMap.from_json(config.pop("classes"))
    teacher = Teacher(TeacherConfig(**{**config, "channels": tuple(config["channels"])}))
    try:
        teacher.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{path}: its tensors do not fit its config", "train the teacher again") from error
    return teacher.eval().requires_grad_(False).to(device), classes, meta


def load_teacher_of(
    gan: Path, path: Path, device: torch.device | str = "cpu"
) -> tuple[Teacher, ClassMap, dict[str, Any]]:
    """`load_teacher`; CheckpointError when it was trained on another GAN's features."""
    teacher, classes, meta = load_teacher(path, device)
    expected, got = meta.get("gan_sha256"), sha256_file(gan)
    if expected != got:
        message = f"{path}: was trained on the features of GAN {str(expected)[:12]}, not of {gan} ({got[:12]})"
        raise CheckpointError(message, "use the GAN it was trained with, or train the teacher again")
    return teacher, classes, meta


def load_annotated(path: Path) -> Annotated | None:
    """What the teacher in this file was taught; None of a file that does not hold it.

    CheckpointError when it does not fit the teacher.
    """
    tensors, meta = load_checkpoint(path, KIND)
    names = [ANNOTATED + name for name in Annotated._fields]
    if not set(names) <= tensors.keys():
        return None
    annotated = Annotated(*(tensors[name] for name in names))
    shape = (len(annotated.ws), meta["config"]["size"], meta["config"]["size"])
    if annotated.labels.shape != shape:
        got = list(annotated.labels.shape)
        raise CheckpointError(f"{path}: expected label maps {list(shape)}, got {got}", "train the teacher again")
    for labels in annotated.labels.numpy():
        check_label_map(labels, len(meta["config"]["classes"]), f"{path}: label map")
    return annotated
