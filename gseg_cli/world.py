"""The processes of one training: alone, or started by torchrun and joined through torch.distributed."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gseg_cli.device import pick_device

T = TypeVar("T")
PATIENCE = timedelta(hours=3)  # of processes that wait for another


@dataclass(frozen=True)
class World:
    """rank of size processes, local_rank among those of its machine."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run's files and talks."""
        return self.rank == 0

    def sum(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the processes, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.detach().reshape(-1).float() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.detach().copy_(total.view(tensor.shape))

    def agree(self, value: T) -> T:
        """The first process's value."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box)
        return box[0]

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()


ALONE = World()


@contextmanager
def join_world(device: str) -> Iterator[tuple[World, torch.device]]:
    """Under torchrun: the process group and this process's own device; otherwise a world of one, on `device`.

    device: what `--device` says; "cuda" gives every process the GPU of its local rank. Messages go by nccl between
    GPUs and by gloo between CPUs. On a single machine with fewer GPUs than processes these share them, and messages go
    by gloo, because nccl refuses two processes on one GPU. That tries things out; it is not faster than one process.
    """
    chosen = pick_device(device)
    if not dist.is_torchelastic_launched():
        yield World(), chosen
        return
    # PyTorch imports it in the first step. Its functions then keep the group as a default argument, with it gloo's
    # threads outlive the group, and the process aborts at its end now and then. Now there is no group yet to keep.
    import torch.distributed.nn

    local_rank = dist.get_node_local_rank()
    backend = "gloo"
    own_gpu: torch.device | None = None
    if chosen.type == "cuda":
        num_gpus = torch.cuda.device_count()
        share = must_share(num_gpus)
        chosen = pick_device(f"cuda:{local_rank % num_gpus if share else local_rank}")
        torch.cuda.set_device(chosen)
        if not share:
            backend, own_gpu = "nccl", chosen
    # nccl would end it all when one process decodes photos or measures for longer than ten minutes.
    dist.init_process_group(backend, timeout=PATIENCE, device_id=own_gpu)
    try:
        yield World(dist.get_rank(), dist.get_world_size(), local_rank), chosen
    finally:
        dist.destroy_process_group()


def must_share(num_gpus: int) -> bool:
    """Whether the processes that torchrun started here are more than the GPUs, and all of the training.

    On several machines all must send their messages in the same way, and none knows what the others have: there a
    process without a GPU of its own is refused.
    """
    num_here, num_all = int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"])  # PyTorch has no function
    return num_here == num_all > num_gpus
