"""The names of rosinality/stylegan2-pytorch, translated to NVIDIA's; the weights are the same but for axes of length 1.

Its convolutions are scaled by 1/sqrt(fan-in), NVIDIA's are not; demodulation cancels the factor.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from gseg_cli.gan.foreign.filters import check_filter
from gseg_runtime.errors import CheckpointError

_LAYER = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}
_DISCRIMINATOR_BLOCK = {
    "conv1.0.weight": "conv0.weight",
    "conv1.1.bias": "conv0.bias",
    "conv2.1.weight": "conv1.weight",
    "conv2.2.bias": "conv1.bias",
    "skip.1.weight": "skip.weight",
}
_DISCRIMINATOR_END = {
    "final_conv.0.weight": "b4.conv.weight",
    "final_conv.1.bias": "b4.conv.bias",
    "final_linear.0.weight": "b4.fc.weight",
    "final_linear.0.bias": "b4.fc.bias",
    "final_linear.1.weight": "b4.out.weight",
    "final_linear.1.bias": "b4.out.bias",
}
_FILTER = re.compile(r"(.*\.)?kernel")
_ENLARGING = re.compile(r"(convs\.\d?[02468]\.conv\.)weight")


def generator_to_nvidia(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of g_ema under NVIDIA's names, without filters; CheckpointError for a name that has none.

    Filters are those of [1, 3, 3, 1], or the generator is not StyleGAN2's.
    """
    _check_filters(tensors, gain=4)  # an upsampled pixel spreads over four
    _check_upsampling(tensors)
    return {_generator_name(name): _reshaped(name, t) for name, t in tensors.items() if not _FILTER.fullmatch(name)}


def discriminator_to_nvidia(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of d under NVIDIA's names, without filters; CheckpointError for a name that has none."""
    _check_filters(tensors, gain=1)
    # convs.0 reads the colours, convs.1 is the block of the picture's size, the last one that of 8 x 8.
    blocks = {int(found[1]) for name in tensors if (found := re.match(r"convs\.(\d{1,2})\.", name))}
    resolution = 4 * 2 ** max(blocks, default=0)
    names = [name for name in tensors if not _FILTER.fullmatch(name)]
    return {_discriminator_name(name, resolution): tensors[name] for name in names}


def _check_filters(tensors: Mapping[str, Tensor], gain: float) -> None:
    for name in filter(_FILTER.fullmatch, tensors):
        check_filter(name, tensors[name], gain)


def _check_upsampling(tensors: Mapping[str, Tensor]) -> None:
    """CheckpointError when a file keeps filters, but a layer that enlarges has none: it does so in another way.

    MMGeneration's networks for positional encodings are such; nothing else tells them from StyleGAN2.
    """
    filters = [name for name in tensors if _FILTER.fullmatch(name)]
    for layer in (found[1] for name in tensors if (found := _ENLARGING.fullmatch(name))):
        if filters and not any(name.startswith(layer) for name in filters):
            raise CheckpointError(f"{layer[:-1]}: enlarges without the filter [1, 3, 3, 1], otherwise than StyleGAN2")


def _generator_name(name: str) -> str:
    if name == "input.input":
        return "synthesis.b4.const"
    if found := re.fullmatch(r"style\.(\d{1,3})\.(weight|bias)", name):
        return f"mapping.fc{int(found[1]) - 1}.{found[2]}"  # style.0 is the normalisation
    if found := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        return f"synthesis.{layer_name(int(found[1]))}.noise_const"
    if found := re.fullmatch(r"(conv1|to_rgb1|convs\.\d{1,2}|to_rgbs\.\d{1,2})\.(.+)", name):
        part, _, number = found[1].partition(".")
        if found[2] in _LAYER:
            return f"synthesis.{_part_name(part, int(number or 0))}.{_LAYER[found[2]]}"
    raise CheckpointError(f"{name}: no tensor of rosinality's generator")


def _part_name(part: str, number: int) -> str:
    if part == "conv1":
        return layer_name(0)
    if part == "convs":
        return layer_name(number + 1)
    return "b4.torgb" if part == "to_rgb1" else f"b{8 * 2**number}.torgb"


def layer_name(index: int) -> str:
    """Layers in the order in which they compute: one at 4 x 4, then two at each size."""
    return "b4.conv1" if index == 0 else f"b{4 * 2 ** ((index + 1) // 2)}.conv{(index + 1) % 2}"


def _discriminator_name(name: str, resolution: int) -> str:
    if name in _DISCRIMINATOR_END:
        return _DISCRIMINATOR_END[name]
    found = re.fullmatch(r"convs\.(\d{1,2})\.(.+)", name)
    if found and found[1] == "0" and found[2] in ("0.weight", "1.bias"):
        return f"b{resolution}.fromrgb.{found[2][2:]}"
    if found and found[2] in _DISCRIMINATOR_BLOCK:
        return f"b{resolution // 2 ** (int(found[1]) - 1)}.{_DISCRIMINATOR_BLOCK[found[2]]}"
    raise CheckpointError(f"{name}: no tensor of rosinality's discriminator")


def _reshaped(name: str, tensor: Tensor) -> Tensor:
    try:
        return _without_extra_axes(name, tensor)
    except RuntimeError as error:
        message = f"{name}: a tensor of the shape {list(tensor.shape)}, which no layer of rosinality's code has"
        raise CheckpointError(message, "the file is damaged; download it again from where it was published") from error


def _without_extra_axes(name: str, tensor: Tensor) -> Tensor:
    if name.startswith("noises."):
        return tensor.reshape(tensor.shape[-2:])
    if name.endswith("noise.weight"):
        return tensor.reshape([])
    if name == "input.input" or name.endswith(".conv.weight"):
        return tensor.reshape(tensor.shape[1:])
    return tensor.reshape(-1) if re.match(r"to_rgb.*\.bias", name) and tensor.ndim == 4 else tensor
