"""The names of genforce's StyleGAN2, translated to NVIDIA's.

As in TensorFlow, a style's bias is stored without the 1 that is added to it, and the weights of an upsampling
convolution are turned by 180 degrees where they are used.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from gseg_cli.gan.foreign.filters import check_filter
from gseg_cli.gan.foreign.rosinality import layer_name
from gseg_runtime.errors import CheckpointError

_LAYER = {
    "weight": "weight",
    "bias": "bias",
    "noise": "noise_const",
    "noise_strength": "noise_strength",
    "style.weight": "affine.weight",
    "style.bias": "affine.bias",
}
_FILTER = re.compile(r".*\.kernel")


def generator_to_nvidia(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of G under NVIDIA's names, without filters; CheckpointError for a name that has none."""
    for name in filter(_FILTER.fullmatch, tensors):
        check_filter(name, tensors[name], gain=4)
    names = {name: _name(name) for name in tensors if not _FILTER.fullmatch(name)}
    return {nvidia: _value(nvidia, tensors[name]) for name, nvidia in names.items()}


def _name(name: str) -> str:
    if name in ("synthesis.early_layer.const", "truncation.w_avg"):
        return {"s": "synthesis.b4.const", "t": "mapping.w_avg"}[name[0]]
    if found := re.fullmatch(r"mapping\.dense(\d{1,3})\.(weight|bias)", name):
        return f"mapping.fc{found[1]}.{found[2]}"
    found = re.fullmatch(r"synthesis\.(layer|output)(\d{1,2})\.(.+)", name)
    if found and found[3] in _LAYER:
        part = layer_name(int(found[2])) if found[1] == "layer" else f"b{4 * 2 ** int(found[2])}.torgb"
        return f"synthesis.{part}.{_LAYER[found[3]]}"
    if name == "mapping.label_weight":
        raise CheckpointError("a conditional GAN of genforce, which is not read")
    raise CheckpointError(f"{name}: no tensor of genforce's generator")


def _value(name: str, tensor: Tensor) -> Tensor:
    if name.endswith("affine.bias"):
        return tensor + 1
    if name.endswith("conv0.weight") and tensor.ndim == 4:
        return tensor.flip(2, 3)
    if name.endswith("noise_const") and tensor.ndim == 4:
        return tensor[0, 0]
    return tensor[0] if name == "synthesis.b4.const" and tensor.ndim == 4 else tensor
