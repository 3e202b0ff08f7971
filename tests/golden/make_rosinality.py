"""Writes rosinality.json: what rosinality's StyleGAN2 computes from weights that anyone can draw again.

    python tests/golden/make_rosinality.py STYLEGAN2      # a checkout of github.com/rosinality/stylegan2-pytorch

Needs PyTorch alone: what the checkout compiles for CUDA is not used. tests/gan/test_foreign.py reads the file.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SIZE, NUM_LAYERS, NUM_WS, NUM_IMAGES = 8, 2, 4, 4
# As in make_stylegan2.py. The networks are 512 wide, so a small block of numbers is repeated to fill them.
BLOCK = 997
DISTRIBUTIONS = {
    r"style\.\d+\.weight": (0.0, 100.0),
    r"style\.\d+\.bias": (0.0, 30.0),
    r".*modulation\.bias": (1.0, 0.3),
    r".*noise\.weight": (0.4, 0.1),
    r".*bias": (0.0, 0.3),
    r".*": (0.0, 1.0),
}


def main(stylegan2: Path) -> None:
    import torch.utils.cpp_extension

    torch.utils.cpp_extension.load = lambda *_, **__: None
    sys.path.insert(0, str(stylegan2))
    import model as official

    generator, discriminator = official.Generator(SIZE, 512, NUM_LAYERS).eval(), official.Discriminator(SIZE).eval()
    rng = np.random.RandomState(0)
    weights = {"g_ema": _draw(generator, rng), "d": _draw(discriminator, rng)}
    mean, z = _normal(rng, [512]), _normal(rng, [2, 512])
    styles, images = _normal(rng, [2, NUM_WS, 512]), _normal(rng, [NUM_IMAGES, 3, SIZE, SIZE])
    layers: list[Tensor] = []
    for module in [generator.conv1, *generator.convs]:
        module.register_forward_hook(lambda _, __, out: layers.append(out))
    with torch.no_grad():
        w = mean + 0.5 * (generator.style(z) - mean)
        image = generator([styles], input_is_latent=True, randomize_noise=False)[0]
        computed = {
            "ws psi=0.5": _figures(w),
            "image": _figures(image),
            "layers": [_figures(x) for x in layers],
            "logits": [float(f"{v.item():.7g}") for v in discriminator(images).flatten()],
        }
    golden = {"weights": weights, **computed}
    lines = [f'"{key}": {json.dumps(value)}' for key, value in golden.items()]
    Path(__file__).with_name("rosinality.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _normal(rng: np.random.RandomState, shape: list[int]) -> Tensor:
    values = np.resize(rng.standard_normal(BLOCK).astype(np.float32), shape)
    return torch.from_numpy(values)


def _draw(net: nn.Module, rng: np.random.RandomState) -> dict[str, Any]:
    """Fill a network, the filters excepted; [shape, offset, scale] of each tensor, in the order of the draws."""
    drawn = {}
    for name, tensor in sorted(net.state_dict().items()):
        if not name.endswith("kernel"):
            offset, scale = next(v for pattern, v in DISTRIBUTIONS.items() if re.fullmatch(pattern, name))
            tensor.copy_(offset + scale * _normal(rng, list(tensor.shape)))
            drawn[name] = [list(tensor.shape), offset, scale]
    return drawn


def _figures(x: Tensor) -> list[float]:
    """Mean, deviation and seven values spread over the tensor."""
    flat = x.flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, 7).long()]
    return [float(f"{v.item():.7g}") for v in (flat.mean(), flat.std(), *picked)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
