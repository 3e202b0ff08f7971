"""Teaching: from one to ten annotated samples to a segmenter of generated images."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, StepLR

from gseg_cli.annotate.annotation_set import AnnotationSet
from gseg_cli.device import send
from gseg_cli.fewshot.config import FewshotConfig, ResolvedConfig
from gseg_cli.fewshot.features import REPRESENTATIONS, Representation, collect_features, gather_hypercolumns
from gseg_cli.fewshot.model import Annotated, Head, MLPHead, Teacher, TeacherConfig, save_teacher
from gseg_cli.gan.generator import FeatureStack, Generator
from gseg_cli.runs import Run
from gseg_cli.seeding import seed_step
from gseg_cli.steps import OnStep, Step, ignore_step
from gseg_runtime.class_map import IGNORE
from gseg_runtime.errors import GsegError

REPORT_STEPS = 10
MAX_TABLE = 2**28  # floats of the hypercolumns gathered once, a gigabyte


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
    save_teacher(run.checkpoint, teacher, annotations.classes, meta, taught(annotations))
    return run.checkpoint


def fit_teacher(
    generator: Generator,
    annotations: AnnotationSet,
    config: FewshotConfig,
    run: Run | None = None,
    on_step: OnStep = ignore_step,
) -> Teacher:
    """The trained teacher. GsegError when nothing is labelled, or the label maps are not square as the samples are."""
    check_labels(annotations)
    device = next(iter(generator.parameters())).device  # type: ignore[attr-defined]
    labels = torch.as_tensor(annotations.labels).long()  # [N, S, S], on the CPU
    size = labels.shape[-1]
    how = config.resolved(len(labels), size)
    stack = collect_features(generator, torch.as_tensor(annotations.ws).to(device), size)
    seed_step(config.seed, 0)
    teacher = Teacher(
        TeacherConfig(
            model=config.model,
            channels=stack.channels,
            num_classes=len(annotations.classes),
            size=size,
            num_heads=config.num_heads,
            features=config.features,
        )
    ).to(device)
    total = how.num_heads * how.steps
    values: dict[str, float] = {}  # of the last report
    for h, head in enumerate(teacher.heads):
        cast(Head, head).features.standardize(stack)
        for step, loss in enumerate(_fit(cast(Head, head), stack, labels, how, config.seed * 1000 + h), start=1):
            done = h * how.steps + step
            if done % REPORT_STEPS == 0 or done == total:
                values = {"loss": float(loss)}  # reading it waits for the GPU: between reports, the last one stands
                if run:
                    run.metric(done, **values)
            on_step(Step(done, total, values))
    return teacher.eval().requires_grad_(False)


def taught(annotations: AnnotationSet) -> Annotated:
    """What a teacher of these annotations is taught, as its file keeps it."""
    return Annotated(torch.as_tensor(annotations.ws), torch.as_tensor(annotations.labels))


def check_labels(annotations: AnnotationSet) -> None:
    """What can be told before any work; GsegError when there is nothing to learn from."""
    height, width = annotations.labels.shape[1:]
    if height != width:
        message = f"annotations: expected square label maps like the samples, got {width}x{height} pixels"
        raise GsegError(message, "import them with gseg annotate-import, which fits them to the samples")
    if (annotations.labels == IGNORE).all():
        raise GsegError("annotations: no labelled pixel, all are 255 (ignore)", "label some parts of the samples")


def _fit(head: Head, stack: FeatureStack, labels: Tensor, config: ResolvedConfig, seed: int) -> Iterator[Tensor]:
    """Yield the loss of each step."""
    optimizer = torch.optim.Adam(head.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = _schedule(optimizer, config, len(labels))
    next_loss = _pixel_loss if isinstance(head, MLPHead) else _image_loss
    loss_of = next_loss(head, stack, labels, config)  # type: ignore[arg-type]
    for step in range(config.steps):
        seed_step(seed, step + 1)
        loss = loss_of()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        yield loss.detach()


def _schedule(optimizer: torch.optim.Optimizer, config: ResolvedConfig, num_images: int) -> LRScheduler:
    if config.schedule == "paper":
        return StepLR(optimizer, step_size=50 * num_images, gamma=0.9)
    rise = 0.1 if config.steps != 10 else 0.15  # PyTorch divides by zero where the rise is one step
    return OneCycleLR(optimizer, config.lr, total_steps=config.steps, pct_start=rise)


def _image_loss(head: Head, stack: FeatureStack, labels: Tensor, config: FewshotConfig) -> Callable[[], Tensor]:
    """Of random images, whole."""
    device = stack.maps[0].device
    wanted = send(labels, device)

    def loss() -> Tensor:
        rows = send(torch.randperm(len(labels))[: config.batch], device)
        return F.cross_entropy(head(stack[rows]), wanted[rows], ignore_index=IGNORE)

    return loss


def _pixel_loss(head: MLPHead, stack: FeatureStack, labels: Tensor, config: FewshotConfig) -> Callable[[], Tensor]:
    """Of random labelled pixels, whatever their image. No full map of features is ever made."""
    device = stack.maps[0].device
    pixels = (labels != IGNORE).nonzero()  # [P, 3]: image, row, column
    wanted = labels[tuple(pixels.unbind(1))]  # [P]
    draw = draw_pixels(wanted, config.balance)
    wanted, pixels = send(wanted, device), send(pixels, device)
    columns_of = _columns(stack, labels.shape[-1], pixels, REPRESENTATIONS[config.features])

    def loss() -> Tensor:
        chosen = send(draw(config.pixels), device)
        return F.cross_entropy(head.at_pixels(columns_of(chosen)), wanted[chosen])

    return loss


def draw_pixels(classes: Tensor, balance: float) -> Callable[[int], Tensor]:
    """Draws indices of pixels at random, so many as one asks for.

    classes: int64 [P], of each pixel. Those of a class of n pixels are drawn in proportion to n ** (1 - balance).
    """
    order, counts = classes.argsort(), classes.bincount().double()
    starts, shares = counts.cumsum(0) - counts, counts ** (1 - balance) * (counts > 0)

    def draw(num: int) -> Tensor:
        of = shares.multinomial(num, replacement=True)
        return order[(starts[of] + torch.rand(num, dtype=torch.float64) * counts[of]).long()]

    return draw


def _columns(stack: FeatureStack, size: int, pixels: Tensor, how: Representation) -> Callable[[Tensor], Tensor]:
    """Hypercolumns of some of the pixels: from a table of all, or gathered each time if that were too large."""
    if len(pixels) * sum(stack.channels) > MAX_TABLE:
        return lambda chosen: gather_hypercolumns(stack, size, pixels[chosen], how)
    table = gather_hypercolumns(stack, size, pixels, how)
    return lambda chosen: table[chosen]
