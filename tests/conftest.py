"""What the tests of the training side share. Imports no PyTorch: the runtime's tests need none."""

import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Networks this small are slower on more threads, and sums differ in their last bits."""
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a 16-px StyleGAN2 that nobody trained."""
    from tests.tiny import write_gan

    return write_gan(tmp_path_factory.mktemp("gan") / "gan.safetensors", seed=0)
