"""The config of a StyleGAN3, read from its tensors' shapes and names, and from the arguments that its file keeps.

What neither shows is as in NVIDIA's configurations. Whether all of it is right, the filters tell: they stand among the
tensors, and follow from the config.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gseg_cli.gan.foreign.errors import shown
from gseg_cli.gan.networks.config import LRELU_UPSAMPLING, StyleGAN3Config
from gseg_cli.gan.networks.lowpass import kernel
from gseg_cli.gan.networks.stylegan3_plan import LayerPlan, plan
from gseg_runtime.errors import CheckpointError

Tensors = Mapping[str, Tensor]
_LAYER = re.compile(r"synthesis\.(L(\d{1,3})_(\d{1,5})_(\d{1,5}))\.weight")
_FILTER = re.compile(r"synthesis\.(L\w+)\.(up|down)_filter")
_SETTINGS = (
    "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel", "margin_size", "filter_size", "conv_clamp",
    "output_scale",
)  # fmt: skip


def stylegan3_config(tensors: Tensors, hints: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of StyleGAN3Config but `discriminator`. CheckpointError for what no StyleGAN3 has."""
    is_table = "mapping.embed.weight" in tensors and "mapping.embed.bias" not in tensors  # XL's, classes or not
    if is_table or any(name.startswith("mapping.embed_proj.") for name in tensors):
        raise CheckpointError("a generator of StyleGAN-XL with StyleGAN3's layers, which is not read")
    if hints.get("square") is False:  # StyleGAN-Human's
        raise CheckpointError("a StyleGAN3 of rectangular pictures, which is not read; rectangular StyleGAN2s are")
    if hints.get("lrelu_upsampling", LRELU_UPSAMPLING) != LRELU_UPSAMPLING:
        raise CheckpointError(f"lrelu_upsampling: expected {LRELU_UPSAMPLING}, got {hints['lrelu_upsampling']}")
    sizes, channels = _layers(tensors)
    num_layers, resolution, widest = len(sizes) - 1, sizes[-1], max(channels[:-1])
    kernel_size = _shape(tensors, f"synthesis.L0_{sizes[0]}_{channels[0]}.weight", 4)[2]
    given = {name: hints[name] for name in _SETTINGS if name in hints}
    return {
        **_mapping(tensors, hints),
        **given,
        "img_resolution": resolution,
        "img_channels": channels[-1],
        "num_layers": num_layers,
        # The last layer's cutoff is half the resolution, whatever the rest is.
        "channel_base": _whole(hints, "channel_base", channels[-2] * resolution),
        "channel_max": _whole(hints, "channel_max", widest),
        "conv_kernel": kernel_size,
        "use_radial_filters": hints.get("use_radial_filters", _is_radial(tensors, kernel_size)),
    }


def without_filters(tensors: Tensors, config: StyleGAN3Config) -> dict[str, Tensor]:
    """The rest of the tensors; CheckpointError when layers or filters are others than the config's."""
    layers = {layer.name: layer for layer in plan(config)}
    for name in (found[1] for name in tensors if (found := _LAYER.fullmatch(name))):
        if name not in layers:
            expected = ", ".join(layers)
            raise CheckpointError(f"{name}: expected the layers {expected}, by channel_base and all that is known")
    kept = {}
    for name, tensor in tensors.items():
        if found := _FILTER.fullmatch(name):
            _check_filter(name, tensor, layers.get(found[1]), found[2])
        else:
            kept[name] = tensor.contiguous()
    return kept


def _check_filter(name: str, tensor: Tensor, layer: LayerPlan | None, which: str) -> None:
    lowpass = getattr(layer, f"{which}_filter", None)
    expected = None if lowpass is None else kernel(lowpass)
    if expected is None or expected.shape != tensor.shape or not torch.allclose(expected, tensor, atol=1e-5):
        got = f"another one, of shape {list(tensor.shape)}"
        raise CheckpointError(f"{name}: expected the filter that the layer's cutoff and rate ask for, got {got}")


def _layers(tensors: Tensors) -> tuple[list[int], list[int]]:
    """Sizes and channels of L0, L1, ..., as their names tell."""
    found = sorted(tuple(map(int, match.groups()[1:])) for name in tensors if (match := _LAYER.fullmatch(name)))
    if len(found) < 3 or [index for index, _, _ in found] != list(range(len(found))):
        got = ", ".join(f"L{index}" for index, _, _ in found) or "none"
        raise CheckpointError(f"expected layers L0, L1, L2 ..., got {got}")
    return [size for _, size, _ in found], [channels for _, _, channels in found]


def _is_radial(tensors: Tensors, kernel_size: int) -> bool:
    """By its filters, else by what goes with radial ones."""
    filters = [tensor for name, tensor in tensors.items() if name.endswith(".down_filter")]
    return any(tensor.ndim == 2 for tensor in filters) if filters else kernel_size == 1


def _mapping(tensors: Tensors, hints: Mapping[str, Any]) -> dict[str, Any]:
    given = hints.get("mapping_kwargs")
    num_layers = sum(re.fullmatch(r"mapping\.fc\d{1,3}\.weight", name) is not None for name in tensors)
    c_dim = _shape(tensors, "mapping.embed.weight", 2)[1] if "mapping.embed.weight" in tensors else 0
    w_dim = _shape(tensors, "synthesis.input.affine.weight", 2)[1]
    return {
        "c_dim": c_dim,
        "w_dim": w_dim,
        "z_dim": _shape(tensors, "mapping.fc0.weight", 2)[1] - (w_dim if c_dim else 0),
        "mapping_layers": num_layers,
        "mapping_lr_multiplier": (given if isinstance(given, Mapping) else hints).get("lr_multiplier", 0.01),
    }


def _shape(tensors: Tensors, name: str, num_axes: int) -> torch.Size:
    tensor = tensors.get(name)
    if tensor is None or tensor.ndim != num_axes:
        got = "none" if tensor is None else list(tensor.shape)
        raise CheckpointError(f"{name}: expected a tensor of {num_axes} axes, got {got}")
    return tensor.shape


def _whole(hints: Mapping[str, Any], name: str, default: int) -> Any:
    value = hints.get(name, default)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int):
        raise CheckpointError(f"{name}: expected a whole number, got {shown(repr(value))}")
    return value
