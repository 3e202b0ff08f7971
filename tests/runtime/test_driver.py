"""NVIDIA's library is replaced by one that answers as it does; where there is no GPU there is no other."""

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from gseg_runtime.driver import Gpu, describe_gpu, driver_problem
from gseg_runtime.errors import BackendUnavailable


class Driver:
    """One GPU of compute capability 9.0. init: what cuInit returns."""

    def __init__(self, init: int = 0) -> None:
        self.init = init

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.init

    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *args: getattr(self, f"_{name}")(*(getattr(arg, "_obj", arg) for arg in args))

    def _cuGetErrorString(self, status: int, text: Any) -> int:  # noqa: N802
        text.value = b"no CUDA-capable device is detected"
        return 0

    def _cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count.value = 1
        return 0

    def _cuDeviceGet(self, device: Any, index: int) -> int:  # noqa: N802
        device.value = index
        return 0

    def _cuDeviceGetName(self, name: Any, length: int, device: Any) -> int:  # noqa: N802
        name.value = b"NVIDIA H100"
        return 0

    def _cuDeviceGetAttribute(self, value: Any, number: int, device: Any) -> int:  # noqa: N802
        value.value = {75: 9, 76: 0}[number]
        return 0

    def _cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version.value = 13020
        return 0


def test_a_gpu_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver())
    assert driver_problem() == ""
    assert describe_gpu() == Gpu("NVIDIA H100", "9.0", "CUDA 13.2")
    with pytest.raises(BackendUnavailable, match="no GPU 1: the driver knows 1"):
        describe_gpu(1)


def test_a_driver_without_a_gpu_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: Driver(init=100))
    assert driver_problem() == "the NVIDIA driver finds no usable GPU: no CUDA-capable device is detected (100)"


def test_no_driver_is_a_problem_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert "no NVIDIA driver" in driver_problem()
    with pytest.raises(BackendUnavailable, match="no NVIDIA driver") as caught:
        describe_gpu()
    assert "nvidia-smi" in str(caught.value.hint)
