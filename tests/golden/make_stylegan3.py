"""Writes stylegan3_t.json and _r.json: what NVIDIA's own StyleGAN3 computes from weights that anyone can draw again.

    python tests/golden/make_stylegan3.py STYLEGAN3      # a checkout of github.com/NVlabs/stylegan3

Needs PyTorch and SciPy, and `requests` and setuptools below 82, which the checkout imports. tests/gan/test_stylegan3.py
reads them.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SIZE = {"img_resolution": 32, "channel_base": 256, "channel_max": 12, "z_dim": 16, "w_dim": 16, "num_layers": 6}
VARIANTS: dict[str, dict[str, Any]] = {
    "t": {**SIZE, "c_dim": 3, "margin_size": 8, "conv_clamp": 2.5},
    "r": {**SIZE, "c_dim": 0, "conv_kernel": 1, "use_radial_filters": True, "output_scale": 0.5, "num_critical": 1},
}
CLASS, NUM_LATENTS = 1, 2
# Name in the state dict -> offset and scale of its normal distribution. Nothing is left at a value that would hide a
# mistake; the weights and biases of the mapping network count a hundredth.
DISTRIBUTIONS = {
    r"mapping\.fc\d+\.weight": (0.0, 100.0),
    r"mapping\.fc\d+\.bias": (0.0, 30.0),
    r"mapping\.w_avg": (0.0, 0.5),
    r".*magnitude_ema": (1.0, 0.2),
    r".*affine\.bias": (1.0, 0.3),
    r".*(bias|phases)": (0.0, 0.3),
    r".*": (0.0, 1.0),
}


def main(stylegan3: Path) -> None:
    sys.path.insert(0, str(stylegan3))
    from training.networks_stylegan3 import Generator

    for name, arguments in VARIANTS.items():
        generator = Generator(img_channels=3, **arguments).eval().requires_grad_(False)
        golden = {"arguments": arguments, **_compute(generator, np.random.RandomState(0))}
        lines = [f'"{key}": {json.dumps(value)}' for key, value in golden.items()]
        Path(__file__).with_name(f"stylegan3_{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _compute(generator: Any, rng: np.random.RandomState) -> dict[str, Any]:
    """ws with truncation; image and layers of styles that differ by layer."""
    weights = _draw(generator, rng)
    z = _normal(rng, [NUM_LATENTS, generator.z_dim])
    styles = _normal(rng, [NUM_LATENTS, generator.num_ws, generator.w_dim])
    layers: dict[str, list[float]] = {}
    for name in generator.synthesis.layer_names[:-1]:
        layer = getattr(generator.synthesis, name)
        layer.register_forward_hook(lambda it, _, x, name=name: layers.__setitem__(name, _figures(_within(it, x))))
    c = torch.eye(generator.c_dim)[[CLASS] * len(z)] if generator.c_dim else None
    latents = _figures(generator.mapping(z, c, truncation_psi=0.5))
    return {"weights": weights, "ws": latents, "image": _figures(generator.synthesis(styles)), "layers": layers}


def _normal(rng: np.random.RandomState, shape: list[int]) -> Tensor:
    return torch.from_numpy(np.asarray(rng.standard_normal(shape), np.float32))


def _draw(net: nn.Module, rng: np.random.RandomState) -> dict[str, Any]:
    """Fill a network, the filters excepted; [shape, offset, scale] of each tensor, in the order of the draws."""
    drawn = {}
    for name, tensor in sorted(net.state_dict().items()):
        if not name.endswith("_filter"):
            offset, scale = next(v for pattern, v in DISTRIBUTIONS.items() if re.fullmatch(pattern, name))
            tensor.copy_(offset + scale * _normal(rng, list(tensor.shape)))
            drawn[name] = [list(tensor.shape), offset, scale]
    return drawn


def _within(layer: Any, x: Tensor) -> Tensor:
    """Without what lies beside the picture."""
    margin = (x.shape[-1] - layer.out_sampling_rate) // 2
    return x[:, :, margin : x.shape[2] - margin, margin : x.shape[3] - margin]


def _figures(x: Tensor) -> list[float]:
    """Mean, deviation and seven values spread over the tensor."""
    flat = x.flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, 7).long()]
    return [float(f"{v.item():.7g}") for v in (flat.mean(), flat.std(), *picked)]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
