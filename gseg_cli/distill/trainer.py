"""A student in training: its step, and all that the next step depends on.

A step computes its batch in chunks (microbatches) that the processes share among themselves: chunk i belongs to
process i mod their number. Every random number follows from (seed, step, chunk), and batch normalisation looks at one
chunk at a time; its running statistics take the mean over the chunks. So a resumed training takes the very steps of an
uninterrupted one, and many processes take those of one with the same microbatch.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gseg_cli.device import autocast
from gseg_cli.distill.augment import Augmentation
from gseg_cli.distill.config import DistillConfig, usual_labelled_share
from gseg_cli.distill.lite_net import ENCODER_RATE, LiteNet
from gseg_cli.distill.loss import class_shares, counted_shares, make_loss
from gseg_cli.distill.net_config import NetConfig, usual_input_size
from gseg_cli.distill.pairs import PairSet
from gseg_cli.distill.student import Student, start_student
from gseg_cli.seeding import seed_step
from gseg_cli.training_state import load_state, state_of
from gseg_cli.world import ALONE, World
from gseg_runtime.class_map import ClassMap
from gseg_runtime.errors import ConfigError

WARM_UP = 0.1  # share of the training in which the learning rate rises
GOLDEN_RATIO = (1 + math.sqrt(5)) / 2
LEAST_SHARE = 1e-3  # of the pixels that an untrained network expects of any class


class StudentTrainer:
    """The student, its average and its optimiser; `step` takes one step.

    annotated, labelled: samples and photos with the labels that a person drew; see `chunk_counts`. All sets stay on the
    CPU. elapsed_s is the time spent so far, of all processes that worked on it one after another.
    """

    def __init__(
        self,
        pairs: PairSet,
        classes: ClassMap,
        config: DistillConfig,
        device: torch.device,
        world: World = ALONE,
        annotated: PairSet | None = None,
        labelled: PairSet | None = None,
    ) -> None:
        self.pairs, self.config, self.device, self.world = pairs, config, device, world
        self.num_classes = len(classes)
        self.drawn = list(_drawn(config, annotated, labelled))
        self.chunk_size = config.microbatch or config.batch // world.size
        self.num_chunks = config.batch // max(self.chunk_size, 1)
        self.chunks = range(world.rank, self.num_chunks, world.size)
        _check_chunks(config, self.chunk_size, self.num_chunks, world)
        seed_step(config.seed, 0)
        size = config.input_size or usual_input_size(config.student, pairs.images.shape[1])
        net = start_student(NetConfig(size=config.student, num_classes=len(classes), input_size=size))
        shares = self._shares()
        _expect(net, counted_shares(config.loss, shares))
        self.net = net.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = AveragedModel(self.net)  # its tensors and their names; _average moves them
        self.optimizer = torch.optim.AdamW(
            _groups(self.net), lr=config.lr, weight_decay=config.weight_decay, fused=True
        )
        self.augmentation = Augmentation(config.augment, classes, device)
        self.loss = make_loss(config.loss, shares)
        self.num_steps = 0
        self.elapsed_s = 0.0

    @property
    def student(self) -> Student:
        """The averaged weights, which are the ones that are kept."""
        return cast(Student, self.average.module)

    def step(self, progress: float) -> Tensor:
        """One update, at this share of the training (0 to 1); returns the loss, not yet synchronised."""
        self.num_steps += 1
        self._schedule(progress)
        self.optimizer.zero_grad(set_to_none=True)
        statistics = _Statistics(self.net, self.num_chunks)
        total = torch.zeros([], device=self.device)
        for chunk in self.chunks:
            statistics.begin()
            value = self._chunk_loss(chunk) / self.num_chunks
            value.backward()
            total += value.detach()
            statistics.end()
        gradients = [p.grad for p in self.net.parameters() if p.grad is not None]
        self.world.sum([*gradients, *statistics.total, total])
        statistics.keep()
        self.optimizer.step()
        self._average()
        return total

    @torch.no_grad()
    def _average(self) -> None:
        """As AveragedModel would, with its buffers; but that reads its count of steps back from the GPU, and waits.

        Over about the last ninth of the steps taken: short and long trainings alike end in their own late weights.
        """
        n = self.num_steps - 1  # averaged so far
        move = get_ema_multi_avg_fn(min(self.config.ema, (1 + n) / (10 + n)))
        for averaged, current in zip(_by_kind(self.student), _by_kind(self.net), strict=True):
            if n:
                move(averaged, current, n)
            else:
                torch._foreach_copy_(averaged, current)
        self.average.n_averaged.fill_(self.num_steps)

    def _chunk_loss(self, chunk: int) -> Tensor:
        seed_step(self.config.seed, self.num_steps, chunk)
        batch = self.augmentation(self._draw(self.num_steps * self.num_chunks + chunk))
        with autocast(self.device, self._precision):
            logits = self.net(batch.image)
        return self.loss(logits.float(), batch)

    @property
    def _precision(self) -> str:
        """On a CPU `auto` is fp32 for a pretrained encoder, much of which is so anyway; commands measure it."""
        is_fp32 = isinstance(self.net, LiteNet) and self.device.type == "cpu"
        return "fp32" if is_fp32 and self.config.precision == "auto" else self.config.precision

    def _draw(self, turn: int) -> PairSet:
        size = self.net.config.input_size
        counts = chunk_counts([share for _, share in self.drawn], self.chunk_size, turn)
        sets = [self.pairs, *(pairs for pairs, _ in self.drawn)]
        parts = [
            pairs[torch.randint(len(pairs), [count])].at(size)
            for pairs, count in zip(sets, counts, strict=True)
            if count
        ]
        return PairSet.join(parts)

    def _shares(self) -> Tensor:
        """[C], of each class in the pixels of a step."""
        shares = class_shares(self.pairs, self.num_classes)
        total = 1 - sum(share for _, share in self.drawn)
        for pairs, share in self.drawn:
            total += share
            shares = shares.lerp(class_shares(pairs, self.num_classes), share / total)
        return shares

    def _schedule(self, progress: float) -> None:
        for group in self.optimizer.param_groups:
            rate, beta1 = one_cycle(progress)
            group["lr"] = self.config.lr * rate * group["share_of_rate"]
            group["betas"] = (beta1, group["betas"][1])

    # Saving and resuming: everything a step depends on, as flat tensors.
    def state(self) -> dict[str, Tensor]:
        tensors = {
            "num_steps": torch.tensor(self.num_steps),
            "elapsed_s": torch.tensor(self.elapsed_s, dtype=torch.float64),
        }
        return {**tensors, **state_of(self._networks(), {"optimizer": self.optimizer})}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.num_steps, self.elapsed_s = int(tensors["num_steps"]), float(tensors["elapsed_s"])
        load_state(tensors, self._networks(), {"optimizer": self.optimizer})

    def _networks(self) -> dict[str, nn.Module]:
        return {"net": self.net, "average": self.average}


def check_batch(config: DistillConfig, world: World) -> None:
    """What `StudentTrainer` refuses, before pairs are made for it; ConfigError."""
    chunk_size = config.microbatch or config.batch // world.size
    _check_chunks(config, chunk_size, config.batch // max(chunk_size, 1), world)


def chunk_counts(shares: Sequence[float], size: int, turn: int) -> list[int]:
    """How many of a chunk of `size` are pairs, then how many of each set that has a share. turn: the chunk's number.

    Shares are rounded where that leaves some of each. In smaller chunks it would leave a set out for good; there each
    place of the chunks takes its turn, in steps of the golden ratio, so that over time all have their share.
    """
    rounded = [round(share * size) for share in shares]
    counts = [size - sum(rounded), *rounded]
    if min(counts) > 0:
        return counts
    places = (np.arange(turn * size, (turn + 1) * size) * GOLDEN_RATIO) % 1
    ends = np.cumsum([1 - sum(shares), *shares])
    return np.bincount(ends[:-1].searchsorted(places, side="right"), minlength=len(ends)).tolist()


def _drawn(
    config: DistillConfig, annotated: PairSet | None, labelled: PairSet | None
) -> Iterator[tuple[PairSet, float]]:
    """What a person labelled, and its share of a chunk: photos first, samples of what they leave."""
    of_photos = 0.0
    if labelled:
        of_photos = config.labelled_share or usual_labelled_share(len(labelled))
        yield labelled, of_photos
    if annotated:
        yield annotated, config.annotated * (1 - of_photos)


class _Statistics:
    """The running statistics of batch normalisation: each chunk starts from the step's, and their mean is kept."""

    def __init__(self, net: nn.Module, num_chunks: int) -> None:
        self.running = [b for b in net.buffers() if b.is_floating_point()]
        self.num_chunks = num_chunks
        self.before = [b.clone() for b in self.running]
        self.total = [torch.zeros_like(b) for b in self.running]

    def begin(self) -> None:
        torch._foreach_copy_(self.running, self.before)

    def end(self) -> None:
        torch._foreach_add_(self.total, self.running, alpha=1 / self.num_chunks)

    def keep(self) -> None:
        torch._foreach_copy_(self.running, self.total)


@torch.no_grad()
def _expect(net: Student, shares: Tensor) -> None:
    """Let an untrained network expect each class as often as it counts: large areas are then no news to it.

    As the prior of Lin et al. 2017 (focal loss), for every class. shares: [C], of the pixels as they are weighted.
    """
    cast(Tensor, net.head.bias).copy_(shares.clamp_min(LEAST_SHARE).log())


def _groups(net: Student) -> list[dict[str, Any]]:
    """The parameters, with their shares of the learning rate: what is pretrained should bend, not break."""
    encoder = list(net.encoder.parameters()) if isinstance(net, LiteNet) else []
    known = {id(parameter) for parameter in encoder}
    others = [parameter for parameter in net.parameters() if id(parameter) not in known]
    groups = [{"params": others, "share_of_rate": 1.0}, {"params": encoder, "share_of_rate": ENCODER_RATE}]
    return [group for group in groups if group["params"]]


def one_cycle(progress: float) -> tuple[float, float]:
    """Share of the peak learning rate, and Adam's beta1, at this share of the training.

    Smith and Topin 2018 with the cosines and constants of PyTorch's OneCycleLR, which counts steps; this also follows a
    clock.
    """
    if progress < WARM_UP:
        return _cosine(1 / 25, 1, progress / WARM_UP), _cosine(0.95, 0.85, progress / WARM_UP)
    after = min(1.0, (progress - WARM_UP) / (1 - WARM_UP))
    return _cosine(1, 4e-6, after), _cosine(0.85, 0.95, after)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _by_kind(net: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """Parameters and buffers: those of numbers with a fraction, and the counters."""
    tensors = [*net.parameters(), *net.buffers()]
    return [t for t in tensors if t.is_floating_point()], [t for t in tensors if not t.is_floating_point()]


def _check_chunks(config: DistillConfig, chunk_size: int, num_chunks: int, world: World) -> None:
    if chunk_size < 2 or chunk_size * num_chunks != config.batch or num_chunks % world.size:
        raise ConfigError(
            f"batch {config.batch} in microbatches of {chunk_size} cannot be shared evenly by {world.size} processes",
            hint="choose --batch and --microbatch so that each process gets as many microbatches, of 2 pairs or more",
        )
