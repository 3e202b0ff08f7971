"""Phases of a training step as CUDA graphs: recorded once, and from then on launched as a whole.

Of small images a step is some thousand kernels, each done sooner than Python launches the next: on an H100 at 64 px
Python takes three times as long as the GPU. A graph repeats the very kernels on the very memory, so whatever changes
from step to step comes through a `Feed`: what the host draws goes into buffers that the graph reads.
"""

import gc
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gseg_cli.device import send

WARM_UPS = 3  # as PyTorch's manual has it: libraries set themselves up, cuDNN chooses, and caches fill
Draw = Callable[[], Tensor]


@dataclass(frozen=True)
class Outcome:
    """What a phase computes: a gradient for each parameter, or None; figures []; the mean w [1, L, W], or None."""

    gradients: list[Tensor | None]
    stats: dict[str, Tensor]
    w_mean: Tensor | None


class Feed:
    """Through which a phase gets what the host draws for it: at once."""

    has_fixed_shapes = False  # whether the host may draw values only, and no shapes

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __call__(self, draw: Draw) -> Tensor:
        """What `draw` gives, on the device."""
        return send(draw(), self.device)

    def host(self, act: Callable[[], None]) -> None:
        """Something to be done on the host between two draws."""
        act()


class Tape(Feed):
    """A feed that keeps what it is asked for the first time; `refill` draws it all anew, in the same order, into the
    same memory. From the first `rewind` on it draws nothing by itself and hands out that memory again.
    """

    has_fixed_shapes = True

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        self.acts: list[Callable[[], None]] = []
        self.buffers: list[Tensor] = []
        self.rest: Iterator[Tensor] | None = None  # of the buffers; None while recording

    def __call__(self, draw: Draw) -> Tensor:
        if self.rest is not None:
            return next(self.rest)
        buffer = super().__call__(draw)
        self.buffers.append(buffer)
        self.acts.append(lambda: _fill(buffer, send(draw(), self.device)))
        return buffer

    def host(self, act: Callable[[], None]) -> None:
        if self.rest is None:
            act()
            self.acts.append(act)

    def rewind(self) -> None:
        self.rest = iter(self.buffers)

    def refill(self) -> None:
        for act in self.acts:
            act()


def _fill(buffer: Tensor, drawn: Tensor) -> None:
    assert drawn.shape == buffer.shape, (drawn.shape, buffer.shape)  # copy_ would spread it
    buffer.copy_(drawn)


Compute = Callable[[Feed], Outcome]


class Graphs:
    """The graphs of one trainer, one for each key, recorded when they are first due.

    They share their memory: what is not an outcome is free for the next graph, and an outcome is used up before
    another graph runs. The device's noise follows from the seed that is set last before a replay.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.recorded: dict[Hashable, tuple[Tape, Callable[[], Outcome]]] = {}

    def run(self, key: Hashable, compute: Compute) -> Outcome:
        """What `compute` gives. It may change nothing but gradients, and read nothing from the device.

        Gradients and w_mean hold until the next run, of whatever key; the figures are the caller's.
        """
        if key not in self.recorded:
            self.recorded[key] = self._record(compute)
        tape, replay = self.recorded[key]
        tape.refill()
        outcome = replay()
        return replace(outcome, stats={name: value.clone() for name, value in outcome.stats.items()})

    def _record(self, compute: Compute) -> tuple[Tape, Callable[[], Outcome]]:
        raise NotImplementedError


class CudaGraphs(Graphs):
    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        # One stream for warming up and for recording: cuBLAS keeps its workspace for each.
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    def _record(self, compute: Compute) -> tuple[Tape, Callable[[], Outcome]]:
        tape, graph = Tape(self.device), torch.cuda.CUDAGraph()
        with torch.cuda.device(self.device):
            self._warm_up(compute, tape)
            gc.collect()  # or it might come to free what is another trainer's while this one records
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                outcome = compute(tape)

        def replay() -> Outcome:
            graph.replay()
            return outcome

        return tape, replay

    def _warm_up(self, compute: Compute, tape: Tape) -> None:
        main = torch.cuda.current_stream()
        self.stream.wait_stream(main)
        with torch.cuda.stream(self.stream):
            for _ in range(WARM_UPS):
                compute(tape)
                tape.rewind()
        main.wait_stream(self.stream)
