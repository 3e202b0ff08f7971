"""Teaching: from one to ten annotated samples to a segmenter of generated images."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.fewshot.features import gather_hypercolumns
from gseg_cli.fewshot.model import MODELS, CNNHead, MLPHead, Teacher, TeacherConfig, save_teacher
from gseg_cli.gan.generator import FeatureStack, Generator
from gseg_cli.runs import Run
from gseg_cli.seeding import seed_step
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import ConfigError, GsegError


@dataclass(frozen=True, kw_only=True)
class FewshotConfig:
    """The published code trains 1,000 epochs of single images with Adam at 1e-3 and weight decay 1e-3."""

    model: str = "mlp"  # 0.77 against 0.74 of cnn-s on ten annotated toy faces, one run each
    steps: int = 400
    batch: int = 4  # annotated images per step
    pixels: int = 4096  # per step, of the MLP
    lr: float = 2e-3  # peak of a one-cycle schedule, which needs far fewer steps than a constant rate
    weight_decay: float = 1e-3
    num_heads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ConfigError(f"model: expected one of {', '.join(MODELS)}, got {self.model!r}")


def train_fewshot(
    generator: Generator,
    annotations: AnnotationSet,
    config: FewshotConfig,
    run: Run,
    *,
    parents: list[dict[str, str]] | None = None,
    on_step: OnStep = ignore_step,
) -> Path:
    """Train a teacher on all labelled pixels (255 is ignored); the checkpoint's path."""
    teacher = fit_teacher(generator, annotations, config, run, on_step)
    meta: dict[str, Any] = {
        "parents": parents or [],
        "gan_sha256": annotations.gan_sha256,
        "gan_class": annotations.class_index,
        "trained": {**asdict(config), "seeds": list(annotations.seeds)},
    }
    save_teacher(run.checkpoint, teacher, annotations.classes, meta)
    return run.checkpoint


def fit_teacher(
    generator: Generator,
    annotations: AnnotationSet,
    config: FewshotConfig,
    run: Run | None = None,
    on_step: OnStep = ignore_step,
) -> Teacher:
    device = next(iter(generator.parameters())).device  # type: ignore[attr-defined]
    labels = torch.as_tensor(annotations.labels).long().to(device)  # [N, S, S]
    if (labels == IGNORE).all():
        raise GsegError("annotations: no labelled pixel, all are 255 (ignore)", "label some parts of the samples")
    with torch.no_grad():
        stack = generator.features(torch.as_tensor(annotations.ws).to(device))[1].float()
    seed_step(config.seed, 0)
    teacher = Teacher(
        TeacherConfig(
            model=config.model,
            channels=stack.channels,
            num_classes=len(annotations.classes),
            size=labels.shape[-1],
            num_heads=config.num_heads,
        )
    ).to(device)
    total = config.num_heads * config.steps
    for h, head in enumerate(teacher.heads):
        cast(CNNHead | MLPHead, head).features.standardize(stack)
        for step, loss in enumerate(_fit(head, stack, labels, config, seed=config.seed * 1000 + h), start=1):
            done = h * config.steps + step
            if run and (done % 10 == 0 or done == total):
                run.metric(done, loss=float(loss))
            on_step(Step(done, total, {"loss": float(loss)}))
    return teacher.eval().requires_grad_(False)


def _fit(head: nn.Module, stack: FeatureStack, labels: Tensor, config: FewshotConfig, seed: int) -> Iterator[Tensor]:
    """Yield the loss of each step."""
    optimizer = torch.optim.Adam(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=config.steps, pct_start=0.1)
    next_loss = _pixel_loss if isinstance(head, MLPHead) else _image_loss
    pixels = (labels != IGNORE).nonzero()  # [P, 3]: image, row, column
    for step in range(config.steps):
        seed_step(seed, step + 1)
        loss = next_loss(head, stack, labels, pixels, config)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        yield loss.detach()


def _image_loss(head: nn.Module, stack: FeatureStack, labels: Tensor, _: Tensor, config: FewshotConfig) -> Tensor:
    rows = torch.randperm(len(labels))[: config.batch].to(labels.device)
    return F.cross_entropy(head(stack[rows]), labels[rows], ignore_index=IGNORE)


def _pixel_loss(head: nn.Module, stack: FeatureStack, labels: Tensor, pixels: Tensor, config: FewshotConfig) -> Tensor:
    image, row, column = pixels[torch.randint(len(pixels), [config.pixels]).to(pixels.device)].unbind(1)
    columns = gather_hypercolumns(stack, labels.shape[-1], image, row, column)
    return F.cross_entropy(head.at_pixels(columns), labels[image, row, column])  # type: ignore[operator]
