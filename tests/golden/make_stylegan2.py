"""Writes stylegan2*.json: what NVIDIA's own StyleGAN2 computes from weights that anyone can draw again.

    python tests/golden/make_stylegan2.py STYLEGAN3      # a checkout of github.com/NVlabs/stylegan3

Needs PyTorch, and `requests` and setuptools below 82, which the checkout imports. tests/gan/test_stylegan2.py and
tests/gan/test_foreign.py read them.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

CONFIG = {"img_resolution": 16, "channel_base": 128, "channel_max": 16, "z_dim": 16, "w_dim": 16, "mapping_layers": 2}
# Further files: arguments of the generator and of the discriminator, beyond those of CONFIG.
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "stylegan2": ({}, {}),
    "stylegan2_orig": ({"architecture": "orig", "use_noise": False}, {"architecture": "orig"}),
    "stylegan2_resnet": (
        {"architecture": "resnet", "c_dim": 3, "conv_clamp": 0.8},
        {"architecture": "resnet", "c_dim": 3, "conv_clamp": 0.8, "mapping_kwargs": {"num_layers": 2}},
    ),
    "stylegan2_skip": (
        {"img_channels": 1, "conv_clamp": 3.0},
        {
            "architecture": "skip",
            "img_channels": 1,
            "epilogue_kwargs": {"mbstd_group_size": 2, "mbstd_num_channels": 2},
        },
    ),
}
CLASS = 1
NUM_LATENTS, NUM_WS, NUM_IMAGES = 2, 6, 8
# Name in the state dict -> offset and scale of its normal distribution. Nothing is left at a value, such as a bias of
# zero, that would hide a mistake; the weights and biases of the mapping network count a hundredth.
DISTRIBUTIONS = {
    r"mapping\.fc\d+\.weight": (0.0, 100.0),
    r"mapping\.fc\d+\.bias": (0.0, 30.0),
    r"mapping\.w_avg": (0.0, 0.5),
    r".*affine\.bias": (1.0, 0.3),
    r".*noise_strength": (0.4, 0.1),
    r".*bias": (0.0, 0.3),
    r".*": (0.0, 1.0),
}


def main(stylegan3: Path) -> None:
    sys.path.insert(0, str(stylegan3))
    from training import networks_stylegan2 as official

    for name, (of_g, of_d) in VARIANTS.items():
        golden = _compute(official, of_g, of_d)
        lines = [f'"{key}": {json.dumps(value)}' for key, value in golden.items()]
        Path(__file__).with_name(f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def _compute(official: Any, of_g: dict[str, Any], of_d: dict[str, Any]) -> dict[str, Any]:
    size = {name: CONFIG[name] for name in ("img_resolution", "channel_base", "channel_max")}
    common = {**size, "c_dim": 0, "img_channels": 3, "num_fp16_res": 0, "conv_clamp": None}
    latent = {name: CONFIG[name] for name in ("z_dim", "w_dim")}
    mapping = {"mapping_kwargs": {"num_layers": CONFIG["mapping_layers"]}}
    arguments = {"generator": {**common, **latent, **mapping, **of_g}, "discriminator": {**common, **of_d}}
    generator = official.Generator(**arguments["generator"]).eval()
    discriminator = official.Discriminator(**arguments["discriminator"]).eval()
    rng = np.random.RandomState(0)
    weights = {"G_ema": _draw(generator, rng), "D": _draw(discriminator, rng)}
    z = _normal(rng, [NUM_LATENTS, CONFIG["z_dim"]])
    styles = _normal(rng, [NUM_LATENTS, NUM_WS, CONFIG["w_dim"]])
    images = _normal(rng, [NUM_IMAGES, generator.img_channels, *2 * [CONFIG["img_resolution"]]])
    images *= torch.linspace(0.25, 2, NUM_IMAGES)[
        :, None, None, None
    ]  # so that it counts who is in whose group of four
    computed = {**_generate(generator, z, styles), **_judge(discriminator, images)}
    return {"config": CONFIG, "arguments": arguments, "weights": weights, **computed}


def _normal(rng: np.random.RandomState, shape: list[int]) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def _draw(net: nn.Module, rng: np.random.RandomState) -> dict[str, Any]:
    """Fill a network, the filters excepted; [shape, offset, scale] of each tensor, in the order of the draws."""
    drawn = {}
    for name, tensor in sorted(net.state_dict().items()):
        if not name.endswith("resample_filter"):
            offset, scale = next(v for pattern, v in DISTRIBUTIONS.items() if re.fullmatch(pattern, name))
            tensor.copy_(offset + scale * _normal(rng, list(tensor.shape)))
            drawn[name] = [list(tensor.shape), offset, scale]
    return drawn


@torch.no_grad()
def _generate(generator: nn.Module, z: Tensor, styles: Tensor) -> dict[str, Any]:
    """ws with truncation and without; the image, and the activations on its way, of styles that differ by layer."""
    layers: dict[str, Tensor] = {}
    for name, module in generator.named_modules():
        if re.fullmatch(r"synthesis\.b\d+\.conv\d", name):
            module.register_forward_hook(lambda _, __, out, name=name: layers.__setitem__(name, out))
    c = _class(generator, len(z))
    latents = {f"ws psi={psi}": _figures(generator.mapping(z, c, truncation_psi=psi)) for psi in (1, 0.5)}
    image = generator.synthesis(styles, noise_mode="const", force_fp32=True)
    order = sorted(layers, key=lambda name: (int(re.findall(r"b(\d+)", name)[0]), name))
    return {**latents, "image": _figures(image), "layers": {name: _figures(layers[name]) for name in order}}


def _judge(discriminator: nn.Module, images: Tensor) -> dict[str, Any]:
    """Logits, and the R1 penalty with the size of its gradient for each weight."""
    images = images.requires_grad_(True)
    logits = discriminator(images, _class(discriminator, len(images)))
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    r1 = gradient.square().sum(dim=[1, 2, 3]).mean()
    weights = {name: p for name, p in discriminator.named_parameters() if name.endswith("weight")}
    gradients = torch.autograd.grad(r1, list(weights.values()))
    norms = {name: _round(g.norm()) for name, g in zip(weights, gradients, strict=True)}
    return {"logits": [_round(v) for v in logits.flatten()], "r1": _round(r1), "r1_gradients": norms}


def _class(net: Any, n: int) -> Tensor | None:
    return torch.eye(net.c_dim)[[CLASS] * n] if net.c_dim else None


def _figures(x: Tensor) -> list[float]:
    """Mean, deviation and seven values spread over the tensor."""
    flat = x.flatten()
    picked = flat[torch.linspace(0, len(flat) - 1, 7).long()]
    return [_round(v) for v in (flat.mean(), flat.std(), *picked)]


def _round(value: Tensor) -> float:
    return float(f"{value.item():.7g}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
