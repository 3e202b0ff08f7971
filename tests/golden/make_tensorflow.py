"""Writes tensorflow.json: what stylegan2-ada-pytorch's own converter makes of pickles that anyone can write again.

    python -m tests.golden.make_tensorflow ADA      # a checkout of github.com/NVlabs/stylegan2-ada-pytorch

Needs PyTorch, and `requests`, which the checkout imports. The converter unpickles, which is no harm here: the pickles
are tests/gan/foreign/tensorflow_files.py's. tests/gan/foreign/test_tensorflow.py reads the file.
"""

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.gan.foreign.tensorflow_files import Layout, tensorflow_pickle

LAYOUTS = {
    "stylegan2": Layout(),
    "ada, conditional": Layout(is_ada=True, label_size=3, of_g={"conv_clamp": 3.0}, of_d={"conv_clamp": 3.0}),
    "resnet, grey": Layout(is_ada=True, architecture="resnet", num_channels=1, of_d={"mbstd_group_size": 2}),
}
CLASS, NUM_IMAGES = 1, 4


def main(checkout: Path) -> None:
    sys.path.insert(0, str(checkout))
    import legacy

    golden = {name: _compute(legacy, layout) for name, layout in LAYOUTS.items()}
    lines = [f'"{name}": {json.dumps(value)}' for name, value in golden.items()]
    Path(__file__).with_name("tensorflow.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


@torch.no_grad()
def _compute(legacy: Any, layout: Layout) -> dict[str, list[float]]:
    networks = legacy.load_network_pkl(io.BytesIO(tensorflow_pickle(layout)))
    z, images = inputs(layout)
    c = torch.zeros(len(images), layout.label_size)
    if layout.label_size:
        c[:, CLASS] = 1
    ws = networks["G_ema"].mapping(z, c[: len(z)], truncation_psi=0.5)
    image = networks["G_ema"].synthesis(ws, noise_mode="const", force_fp32=True)
    logits = networks["D"](images, c, force_fp32=True)
    return {"ws": figures(ws), "image": figures(image), "logits": logits.flatten().tolist()}


def inputs(layout: Layout) -> tuple[Tensor, Tensor]:
    """z [2, z_dim] and images [4, C, R, R]."""
    random = np.random.RandomState(1)
    shapes = ([2, layout.latent_size], [NUM_IMAGES, layout.num_channels, layout.resolution, layout.resolution])
    z, images = (torch.from_numpy(random.standard_normal(shape).astype(np.float32)) for shape in shapes)
    return z, images


def figures(x: Tensor) -> list[float]:
    """Mean, deviation and seven values."""
    flat = x.flatten()
    return [flat.mean().item(), flat.std().item(), *flat[torch.linspace(0, len(flat) - 1, 7).long()].tolist()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
