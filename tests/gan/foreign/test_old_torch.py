"""Files that Python 3.7 and torch 1.7.1 wrote, as most published checkpoints were, are read as those of today."""

from pathlib import Path

import pytest
import torch

from gseg_cli.gan.foreign.checkpoint import read_foreign

FILES = Path(__file__).parents[2] / "golden" / "torch-1.7.1"  # by make_torch_1_7.py, every tensor 0, 1, 2 ...
SIZES = {
    "nvidia": {"mapping.w_avg": (4,), "synthesis.b4.const": (3, 4, 4), "synthesis.b4.conv1.weight": (2, 3, 3, 3)},
    "rosinality": {"style.1.weight": (4, 4), "input.input": (1, 3, 4, 4), "noises.noise_0": (1, 1, 4, 4)},
}
HINTS = {
    "nvidia": {"generator": {"z_dim": 4, "mapping_kwargs": {"num_layers": 2}, "num_fp16_res": 0}},
    "rosinality": {"size": 4, "n_mlp": 1, "channel_multiplier": 2},
}


@pytest.mark.parametrize("name", ["nvidia.pkl", "rosinality.pt", "rosinality-before-1.6.pt"])
def test_old_files(name):
    gan = read_foreign(FILES / name)
    assert gan.hints == HINTS[gan.naming] and name.startswith(gan.naming)
    assert {key: tuple(tensor.shape) for key, tensor in gan.generator.items()} == SIZES[gan.naming]
    for tensor in gan.generator.values():
        assert torch.equal(tensor.flatten(), torch.arange(float(tensor.numel())))
