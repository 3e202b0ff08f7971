"""The config of a StyleGAN2 under NVIDIA's names, read from its tensors' shapes.

What no shape shows (clamping, group sizes, learning rate multipliers) is taken from the file's hints, which are the
arguments that NVIDIA's classes were called with.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gseg_cli.gan.foreign.errors import shown
from gseg_cli.gan.networks.config import MAX_WIDTH, Architecture, DiscriminatorConfig, StyleGAN2Config
from gseg_runtime.errors import CheckpointError

Tensors = Mapping[str, Tensor]
Hints = Mapping[str, Any]
MAX_GROUP = 2**20  # images; more than any batch, and a number where a file says infinity, or none for all of them


def generator_config(tensors: Tensors, hints: Hints) -> dict[str, Any]:
    """The fields of StyleGAN2Config but `discriminator`. CheckpointError for shapes that no StyleGAN2 has."""
    synthesis, mapping = _nested(hints, "synthesis_kwargs"), _nested(hints, "mapping_kwargs")
    _check_activation(synthesis, mapping)
    resolutions = _resolutions(tensors, r"synthesis\.b(\d{1,5})\.conv1\.weight")
    first = _size(tensors, "synthesis.b4.const", -2), _size(tensors, "synthesis.b4.const", -1)
    channels = {r: _size(tensors, f"synthesis.b{r}.conv1.weight", 0) for r in resolutions}
    num_layers = _count(tensors, r"mapping\.fc(\d{1,3})\.weight")
    c_dim = _size(tensors, "mapping.embed.weight", 1) if "mapping.embed.weight" in tensors else 0
    embedded = _size(tensors, "mapping.embed.weight", 0) if c_dim else 0
    widths = {
        "z_dim": _size(tensors, "mapping.fc0.weight", 1) - embedded,
        "w_dim": _size(tensors, f"mapping.fc{num_layers - 1}.weight", 0),
        "c_dim": c_dim,
    }
    for name, width in widths.items():
        if not (name != "c_dim") <= width <= MAX_WIDTH:
            raise CheckpointError(f"{name}: expected up to {MAX_WIDTH}, got {width}")
    return {
        **widths,
        **_channel_rule(channels),
        "img_resolution": max(first) * resolutions[-1] // 4,
        "first_layer": first,
        "img_channels": _size(tensors, f"synthesis.b{resolutions[-1]}.torgb.weight", 0),
        "mapping_layers": num_layers,
        "mapping_lr_multiplier": _number(mapping, "lr_multiplier", 0.01),
        "architecture": _architecture(tensors, "synthesis.b4.torgb.weight", "synthesis.b8.skip.weight"),
        "conv_clamp": _number(synthesis, "conv_clamp", None),
        "use_noise": "synthesis.b4.conv1.noise_strength" in tensors,
    }


def discriminator_config(tensors: Tensors, hints: Hints, config: StyleGAN2Config) -> DiscriminatorConfig:
    """CheckpointError for shapes that no discriminator of StyleGAN2 has."""
    block, epilogue = _nested(hints, "block_kwargs"), _nested(hints, "epilogue_kwargs")
    mapping = _nested(hints, "mapping_kwargs")
    _check_activation(block, epilogue, mapping)
    resolutions = _resolutions(tensors, r"b(\d{1,5})\.conv0?\.weight")
    if resolutions[-1] != config.img_resolution:
        raise CheckpointError(f"is of {resolutions[-1]} px, the generator of {config.img_resolution}")
    channels = {r: _size(tensors, f"b{r}.conv0.weight" if r > 4 else "b4.conv.weight", 0) for r in resolutions}
    num_std = _size(tensors, "b4.conv.weight", 1) - channels[4]
    if num_std < 0 or (num_std and channels[4] % num_std):
        raise CheckpointError(f"b4.conv.weight: expected a few channels beside {channels[4]}, got {num_std}")
    group = _number(epilogue, "mbstd_group_size", 4)
    is_conditional = "mapping.embed.weight" in tensors
    return DiscriminatorConfig(
        **_channel_rule(channels),
        architecture=_architecture(tensors, "b4.fromrgb.weight", "b8.skip.weight"),
        conv_clamp=_number(hints, "conv_clamp", None),
        cmap_dim=_size(tensors, "b4.out.weight", 0) if is_conditional else None,
        mapping_layers=_count(tensors, r"mapping\.fc(\d{1,3})\.weight") if is_conditional else 8,
        mapping_lr_multiplier=_number(mapping, "lr_multiplier", 0.01),
        mbstd_group_size=MAX_GROUP if group is None else max(1, int(min(group, MAX_GROUP))),
        mbstd_num_channels=num_std,
    )


def _architecture(tensors: Tensors, of_skip: str, of_resnet: str) -> Architecture:
    return "skip" if of_skip in tensors else "resnet" if of_resnet in tensors else "orig"


def _resolutions(names: Mapping[str, Any], pattern: str) -> list[int]:
    found = sorted(int(match[1]) for name in names if (match := re.fullmatch(pattern, name)))
    if len(found) < 2 or found != [4 * 2**i for i in range(len(found))]:
        raise CheckpointError(f"expected blocks of 4, 8, 16 ... pixels, got {found or 'none'}")
    return found


def _count(names: Mapping[str, Any], pattern: str) -> int:
    found = sorted(int(match[1]) for name in names if (match := re.fullmatch(pattern, name)))
    if not found or found != list(range(len(found))):
        raise CheckpointError(f"expected mapping layers 0, 1, 2 ..., got {found or 'none'}")
    return len(found)


def _channel_rule(channels: Mapping[int, int]) -> dict[str, int]:
    """channel_base and channel_max: min(base // r, max) channels at every resolution r."""
    rule = {"channel_base": max(r * c for r, c in channels.items()), "channel_max": max(channels.values())}
    if any(c != min(rule["channel_base"] // r, rule["channel_max"]) for r, c in channels.items()):
        got = ", ".join(f"{c} at {r}" for r, c in channels.items())
        raise CheckpointError(f"expected min(base / r, max) channels at resolution r, got {got}")
    return rule


def _size(tensors: Tensors, name: str, axis: int) -> int:
    tensor = tensors.get(name)
    if tensor is None or not -tensor.ndim <= axis < tensor.ndim:
        raise CheckpointError(f"{name}: expected a tensor, got {'none' if tensor is None else list(tensor.shape)}")
    return tensor.shape[axis]


def _nested(hints: Hints, name: str) -> Hints:
    """The arguments of a part; NVIDIA's two repositories differ in which of them stand at the top."""
    inner = hints.get(name)
    return {**hints, **inner} if isinstance(inner, Mapping) else hints


def _number(hints: Hints, name: str, default: float | None) -> Any:
    value = hints.get(name, default)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise CheckpointError(f"{name}: expected a number above 0, got {shown(repr(value))}")
    return value


def _check_activation(*hints: Hints) -> None:
    for activation in {str(part.get("activation", "lrelu")) for part in hints}:
        if activation != "lrelu":
            raise CheckpointError(f"activation: expected lrelu, got {shown(activation)}")
