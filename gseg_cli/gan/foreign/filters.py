"""The filter of StyleGAN2's resampling, which gseg computes with whatever a file holds."""

import torch
from torch import Tensor

from gseg_cli.gan.networks import ops
from gseg_runtime.errors import CheckpointError


def check_filter(name: str, tensor: Tensor, gain: float = 1) -> None:
    """CheckpointError for another filter than [1, 3, 3, 1]. gain: the sum of its numbers."""
    expected = gain * ops.resample_filter()
    is_square = tensor.shape[-2:] == expected.shape and tensor.numel() == expected.numel()
    if not is_square or not torch.allclose(tensor.reshape(expected.shape), expected, atol=1e-5):
        raise CheckpointError(f"{name}: expected the filter [1, 3, 3, 1], got one of shape {list(tensor.shape)}")
