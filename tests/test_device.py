"""What a device needs is done to GPUs only."""

import pytest
import torch

from gseg_cli.device import changing_shapes, fixed_shapes, send

CPU, GPU = torch.device("cpu"), torch.device("cuda")  # naming one needs none


def test_on_a_cpu_nothing_is_copied_and_nothing_set():
    x = torch.rand(3)
    assert send(x, CPU) is x
    with fixed_shapes(CPU):
        assert not torch.backends.cudnn.benchmark


def test_cudnn_is_timed_inside_only_and_not_where_shapes_change():
    with pytest.raises(KeyboardInterrupt), fixed_shapes(GPU):
        assert torch.backends.cudnn.benchmark
        with changing_shapes():
            assert not torch.backends.cudnn.benchmark
        assert torch.backends.cudnn.benchmark
        raise KeyboardInterrupt
    assert not torch.backends.cudnn.benchmark
