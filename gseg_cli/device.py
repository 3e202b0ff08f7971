"""Which device computes, and in which precision."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from gseg_cli.choices import check_device
from gseg_runtime.errors import BackendUnavailable


def pick_device(name: str = "auto") -> torch.device:
    """The torch device for `--device`: auto (CUDA if there is one), cpu, cuda or cuda:N.

    UsageError for another name; BackendUnavailable when CUDA is asked for and not there.
    """
    check_device(name)
    kind, _, number = name.partition(":")
    num_gpus = torch.cuda.device_count() if kind != "cpu" and torch.cuda.is_available() else 0
    if kind == "auto":
        name = kind = "cuda" if num_gpus else "cpu"
    if kind == "cuda" and int(number or 0) >= num_gpus:
        raise BackendUnavailable(
            f"--device {name}: PyTorch {torch.__version__} sees {num_gpus} CUDA devices here",
            hint="use --device cpu, or install a CUDA build of PyTorch and a matching driver",
        )
    if kind == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # on by default, and float32 is promised: a seed's image, a precision
    return torch.device(name)


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The host's tensor on the device, without waiting for what the device still has to do.

    A plain `.to` of a GPU waits: it copies out of memory that the system may move, and so must be there to the end.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()  # a copy, kept until the GPU has read it: the caller may change its own
    return tensor.to(device, non_blocking=True)


def fixed_shapes(device: torch.device) -> AbstractContextManager[None]:
    """Inside, cuDNN times its convolutions once for each shape and keeps to the fastest; a CPU has nothing to choose.

    For training steps, whose shapes come again and again: elsewhere the timing costs more than it saves.
    """
    return _timing(device.type == "cuda" or torch.backends.cudnn.benchmark)


def changing_shapes() -> AbstractContextManager[None]:
    """Inside, cuDNN times nothing: for the part of a step whose shapes are others each time."""
    return _timing(False)


@contextmanager
def _timing(is_on: bool) -> Iterator[None]:
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = is_on
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def has_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is fast there. PyTorch says yes of GPUs before Ampere too, which lack the convolutions."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return cpu_has_bf16()


@cache
def cpu_has_bf16() -> bool:
    """Whether bfloat16 is fast on this CPU; without the instructions it is emulated, slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def autocast(device: torch.device, precision: str = "auto") -> torch.autocast:
    """A context computing in bfloat16 (bf16), in float32 (fp32), or in bfloat16 where that is faster (auto)."""
    enabled = has_bf16(device) if precision == "auto" else precision == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled)
