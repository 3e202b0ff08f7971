"""What the tests of the training side share. Imports no PyTorch: the runtime's tests need none."""

import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gseg_cli import precision_trials
from tests import gpu

if TYPE_CHECKING:
    import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Networks this small are slower on more threads, and sums differ in their last bits."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def one_precision(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """On every machine that has bfloat16 it is quicker, and nothing of the user's cache is read or written."""
    monkeypatch.setattr(precision_trials, "measure", lambda start: {"bf16": 1.0, "fp32": 2.0})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def tiny_gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a 16-px StyleGAN2 that nobody trained."""
    from tests.tiny import write_gan

    return write_gan(tmp_path_factory.mktemp("gan") / "gan.safetensors", seed=0)


@pytest.fixture
def small_disk() -> AbstractContextManager[None]:
    """Within, no file can be larger than 4 kB: the writing of one fails as on a full disk."""

    @contextmanager
    def limited() -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited()


@pytest.fixture(scope="session", params=gpu.DEVICES)
def device(request: pytest.FixtureRequest) -> "torch.device":
    """PyTorch's CPU and, where there is one, its GPU."""
    return gpu.torch_device(request.param)


@pytest.fixture(scope="session", params=gpu.DEVICES)
def engine_device(request: pytest.FixtureRequest) -> str:
    """cpu and, where ONNX Runtime can have a GPU, cuda."""
    return gpu.engine_device(request.param)


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Started by nohup, a process ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
