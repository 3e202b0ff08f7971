"""What tests on a GPU share. Each of them is run on the CPU too, so that it is known to run where there is no GPU.

Imports no PyTorch: the runtime's tests need none.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
# For what a CPU cannot show, or takes too long to.
only_on_a_gpu = pytest.mark.parametrize("device", DEVICES[1:], indirect=True)
only_with_a_gpu_engine = pytest.mark.parametrize("engine_device", DEVICES[1:], indirect=True)


def torch_device(name: str) -> "torch.device":
    """As a command picks it: with cuDNN's TF32 off."""
    import torch

    from gseg_cli.device import pick_device

    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return pick_device(name)


def engine_device(name: str) -> str:
    """The name, where ONNX Runtime can have the device."""
    from gseg_runtime.backends.ort import has_cuda_provider
    from gseg_runtime.driver import driver_problem

    if name == "cuda" and (problem := driver_problem()):
        pytest.skip(problem)
    if name == "cuda" and not has_cuda_provider():
        pytest.skip("this ONNX Runtime was built without GPU support")
    return name


def assert_same_weights(got: "torch.nn.Module", expected: "torch.nn.Module") -> None:
    """Up to rounding after a few steps; Adam may turn the sign of a gradient that is none into a whole step."""
    for (name, x), y in zip(expected.state_dict().items(), got.state_dict().values(), strict=True):
        gap = (y.cpu().double() - x.cpu().double()).abs()
        assert gap.mean() < 1e-4 and gap.max() < 5e-3, f"{name}: {gap.mean()} in the mean, {gap.max()} at most"


@contextmanager
def no_waiting(device: "torch.device") -> Iterator[None]:
    """Inside, whatever makes the CPU wait for the GPU is an error. On a CPU nothing is watched."""
    try:
        _watch(device, "error")
        yield
    finally:
        _watch(device, "default")


def _watch(device: "torch.device", mode: str) -> None:
    import torch

    if device.type == "cuda":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls itself a prototype
            torch.cuda.set_sync_debug_mode(mode)
