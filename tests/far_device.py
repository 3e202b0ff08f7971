"""A device that nothing can be read back from, for tests on a CPU that a step never waits for a GPU.

It is PyTorch's meta device: it computes shapes and no values. Where code reads a value (`.item()`, `float`, `nonzero`,
a mask as an index, `.cpu()`), PyTorch raises; what else a GPU is waited for is counted by `waits`.
"""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.overrides import TorchFunctionMode
from torch.utils import _foreach_utils
from torch.utils._python_dispatch import TorchDispatchMode

FAR = torch.device("meta")
_COPY, _COPY_INTO, _INDEX = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default, torch.ops.aten.index.Tensor)
_IS_CUDA = torch.Tensor.is_cuda.__get__
_MAKERS = (torch.tensor, torch.as_tensor, torch.from_numpy)


def is_here(x: Any) -> bool:
    return isinstance(x, Tensor) and x.device.type == "cpu"


class _Copies(TorchDispatchMode):
    """Blocking copies to the device, and indices that stay on the CPU: PyTorch copies them at each use."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        is_sent = func is _COPY and is_here(args[0]) and _is_far(kwargs.get("device"))
        if is_sent and not kwargs.get("non_blocking") and not _is_kornias():
            self.found.append(f"copy of {list(args[0].shape)}")
        if func is _COPY_INTO and is_here(args[1]) and not is_here(args[0]) and not any(args[2:]):
            self.found.append(f"copy into {list(args[0].shape)}")
        if func is _INDEX and not is_here(args[0]) and any(is_here(index) for index in args[1]):
            self.found.append(f"index of {list(args[0].shape)} on the CPU")
        return func(*args, **kwargs)


class _Constants(TorchFunctionMode):
    """Tensors that are made of Python's numbers on the device. Code that asks takes the device for a GPU."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func == _IS_CUDA and not is_here(args[0]):
            return True
        if func in _MAKERS and not isinstance(args[0], Tensor) and _is_far(kwargs.get("device")):
            self.found.append(f"constant {args[0]}")
        return func(*args, **kwargs)


def _is_kornias() -> bool:
    """Whether the copy is one of those by which kornia does not wait, which it asks only of CUDA."""
    names = {frame.f_code.co_name for frame, _ in traceback.walk_stack(None)}
    return "_to_device_nonblocking" in names


def _is_far(device: Any) -> bool:
    return device is not None and torch.device(device) == FAR


@contextmanager
def waits() -> Iterator[list[str]]:
    """The list fills with what would be waited for inside."""
    found: list[str] = []
    with _Constants(found), _Copies(found):
        yield found


def allow_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch has the shapes of fused optimisers, but lets them be made only where there is a kernel."""
    known = [*_foreach_utils._get_fused_kernels_supported_devices(), FAR.type]
    monkeypatch.setattr(sys.modules[Optimizer.__module__], "_get_fused_kernels_supported_devices", lambda: known)
