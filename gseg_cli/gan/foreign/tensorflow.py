"""NVIDIA's pickles of 2019 and 2020, by the TensorFlow code of stylegan2 and stylegan2-ada, read as data.

A file holds G, D and Gs, or one network alone. A network's state has its version, the arguments it was made with, the
names and arrays of its variables, its parts (`components`), and the source code that would build it again, which is not
looked at. The arrays are TensorFlow's: linear layers [in, out], convolutions [h, w, in, out], a style's bias without
the 1 that is added to it, and the weights of an upsampling convolution turned by 180 degrees.

Source of the names: training/networks_stylegan2.py of stylegan2, legacy.py of stylegan2-ada-pytorch.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gseg_cli.gan.foreign.allowance import Allowance
from gseg_cli.gan.foreign.contents import MAX_NAME, plain
from gseg_cli.gan.foreign.errors import damaged, shown
from gseg_cli.gan.foreign.known import TensorflowNetwork
from gseg_cli.gan.foreign.rosinality import layer_name
from gseg_cli.gan.foreign.stored import StoredTensor, to_tensor
from gseg_runtime.errors import CheckpointError

Hints = dict[str, Any]
_ONLY = "only StyleGAN2 has the layers that are read; give a GAN of stylegan2 or stylegan2-ada, configuration E or F"
_FILTER = [1, 3, 3, 1]
MAX_VARIABLES = 10_000  # of a network and its parts; a generator of 1024 px has 160


@dataclass(frozen=True)
class TensorflowGan:
    """Both networks' tensors by TensorFlow's names, and their arguments by those of NVIDIA's PyTorch code."""

    generator: dict[str, Tensor]
    discriminator: dict[str, Tensor]
    hints: Hints
    origin: str


def find_networks(value: Any) -> list[TensorflowNetwork]:
    """G, D and Gs, or one network; [] when the value of a file is something else."""
    networks = list(value) if isinstance(value, tuple | list) and len(value) <= 3 else [value]
    return networks if all(isinstance(network, TensorflowNetwork) for network in networks) else []


def read_networks(networks: list[TensorflowNetwork], allowance: Allowance) -> TensorflowGan:
    """CheckpointError for networks that are no StyleGAN2, or that compute otherwise."""
    if len(networks) not in (1, 3):
        raise CheckpointError(f"a pickle of {len(networks)} networks of TensorFlow, expected G, D and Gs", _ONLY)
    g = networks[-1]
    variables = _variables(g)
    _check_kind(variables)
    arguments = _arguments(g)
    d = networks[1] if len(networks) == 3 else None
    is_ada = "synthesis/4x4/Const/const" in variables and "stylegan2" not in _function(_part(g, "synthesis"))
    what = f"NVIDIA's TensorFlow pickle ({'stylegan2-ada' if is_ada else 'stylegan2'})"
    return TensorflowGan(
        generator=_tensors(variables, allowance),
        discriminator={} if d is None else _tensors(_variables(d), allowance),
        hints={"generator": _of_generator(arguments), **({} if d is None else {"discriminator": _of_discriminator(d)})},
        origin=what if d is not None else f"{what}, one network alone",
    )


def _variables(network: TensorflowNetwork) -> dict[str, Any]:
    """Those of a network and of its parts, by TensorFlow's names."""
    found: dict[str, Any] = {}
    waiting, num_seen = [("", network)], 0
    while waiting:
        prefix, network = waiting.pop()
        pairs, parts = network.state.get("variables"), network.state.get("components")
        if not isinstance(pairs, list) or not isinstance(parts, dict):
            raise damaged("it holds a network of TensorFlow without variables or components")
        num_seen += 1 + len(pairs) + len(parts)
        if num_seen > MAX_VARIABLES:
            raise damaged("it holds more variables than any network")
        found |= {prefix + name: value for name, value in map(_pair, pairs)}
        waiting += [(f"{prefix}{_name(name)}/", part) for name, part in parts.items() if _is_network(part)]
    return found


def _is_network(value: Any) -> bool:
    return isinstance(value, TensorflowNetwork)


def _pair(pair: Any) -> tuple[str, Any]:
    match pair:
        case (name, StoredTensor() | float() | int() as value):
            return _name(name), value
    raise damaged("it holds a network of TensorFlow whose variables are no names and numbers")


def _name(name: Any) -> str:
    if isinstance(name, str) and len(name) <= MAX_NAME and name.isascii() and name.isprintable():
        return name
    raise damaged("it holds a network of TensorFlow whose variables have names that are no names")


def _tensors(variables: Mapping[str, Any], allowance: Allowance) -> dict[str, Tensor]:
    """Single numbers are written as such, not as arrays."""
    return {
        name: to_tensor(value, allowance) if isinstance(value, StoredTensor) else torch.tensor(float(value))
        for name, value in variables.items()
    }


def _check_kind(variables: Mapping[str, Any]) -> None:
    if any("StyleMod" in name for name in variables):
        raise CheckpointError("a StyleGAN1 generator of NVIDIA's TensorFlow code, which is not read", _ONLY)
    if any("ToRGB_lod" in name for name in variables):
        raise CheckpointError("a generator of TensorFlow that grew, as StyleGAN2's configurations A to D", _ONLY)
    if "mapping/LabelConcat/weight" in variables:
        raise CheckpointError("a conditional StyleGAN2 of 2019, whose classes are mixed in otherwise than since", _ONLY)
    if "synthesis/4x4/Const/const" not in variables:
        raise CheckpointError("a network of NVIDIA's TensorFlow code that is no StyleGAN2 generator", _ONLY)


def _part(network: TensorflowNetwork, name: str) -> Any:
    parts = network.state.get("components")
    return parts.get(name) if isinstance(parts, dict) else None


def _function(network: Any) -> str:
    """The name of the function that would build the network."""
    name = network.state.get("build_func_name") if isinstance(network, TensorflowNetwork) else None
    return name if isinstance(name, str) else ""


def _arguments(network: TensorflowNetwork) -> Hints:
    arguments = plain(network.state.get("static_kwargs"))
    arguments = arguments if isinstance(arguments, dict) else {}
    kernel = arguments.get("resample_kernel", _FILTER)
    if kernel != _FILTER:
        raise CheckpointError(f"resample_kernel: expected {_FILTER}, got {shown(str(kernel))}", _ONLY)
    if arguments.get("normalize_latents", True) is not True:
        raise CheckpointError("normalize_latents: expected True, got something else", _ONLY)
    return arguments


def _of_generator(arguments: Hints) -> Hints:
    hints = {"c_dim": arguments.get("label_size", 0), "conv_clamp": arguments.get("conv_clamp")}
    if isinstance(arguments.get("latent_size"), int):
        hints["z_dim"] = arguments["latent_size"]
    mapping = {"activation": arguments.get("mapping_nonlinearity", "lrelu")}
    mapping["lr_multiplier"] = arguments.get("mapping_lrmul", 0.01)
    return {**hints, "activation": arguments.get("nonlinearity", "lrelu"), "mapping_kwargs": mapping}


def _of_discriminator(network: TensorflowNetwork) -> Hints:
    """The group of the minibatch's deviation is four images in stylegan2, and since then the whole batch."""
    arguments = _arguments(network)
    usual = 4 if "stylegan2" in _function(network) else None
    return {
        "conv_clamp": arguments.get("conv_clamp"),
        "activation": arguments.get("nonlinearity", "lrelu"),
        "mapping_kwargs": {"lr_multiplier": arguments.get("mapping_lrmul", 0.1)},
        "epilogue_kwargs": {"mbstd_group_size": arguments.get("mbstd_group_size", usual) or None},
    }


_KINDS = {
    "weight": "weight",
    "bias": "bias",
    "noise_strength": "noise_strength",
    "mod_weight": "affine.weight",
    "mod_bias": "affine.bias",
}
_LAYERS = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb", "Skip": "skip"}
_D_LAYERS = {
    "FromRGB": "fromrgb",
    "Conv0": "conv0",
    "Conv1_down": "conv1",
    "Skip": "skip",
    "Conv": "conv",
    "Dense0": "fc",
}


def generator_to_nvidia(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under the names and in the shapes of NVIDIA's PyTorch code; CheckpointError for a name that has none there."""
    return _converted({name: t for name, t in tensors.items() if name != "lod"}, _generator_name)


def discriminator_to_nvidia(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Under the names and in the shapes of NVIDIA's PyTorch code; CheckpointError for a name that has none there."""
    return _converted(tensors, _discriminator_name)


def _converted(tensors: Mapping[str, Tensor], rename: Callable[[str], str]) -> dict[str, Tensor]:
    return {rename(name): _value(name, tensor) for name, tensor in tensors.items()}


def _generator_name(name: str) -> str:
    if name == "dlatent_avg":
        return "mapping.w_avg"
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const"
    if found := re.fullmatch(r"mapping/(Dense(\d{1,3})|LabelEmbed)/(weight|bias)", name):
        return f"mapping.{'embed' if found[2] is None else f'fc{found[2]}'}.{found[3]}"
    if found := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
        return f"synthesis.{layer_name(int(found[1]))}.noise_const"
    found = re.fullmatch(r"synthesis/(\d{1,4})x\1/(\w+)/(\w+)", name)
    if found and found[2] in _LAYERS and found[3] in _KINDS:
        return f"synthesis.b{found[1]}.{_LAYERS[found[2]]}.{_KINDS[found[3]]}"
    raise CheckpointError(f"{name}: no variable of StyleGAN2's generator")


def _discriminator_name(name: str) -> str:
    if found := re.fullmatch(r"(Mapping(\d{1,3})|LabelEmbed)/(weight|bias)", name):
        return f"mapping.{'embed' if found[2] is None else f'fc{found[2]}'}.{found[3]}"
    if found := re.fullmatch(r"Output/(weight|bias)", name):
        return f"b4.out.{found[1]}"
    found = re.fullmatch(r"(\d{1,4})x\1/(\w+)/(weight|bias)", name)
    if found and found[2] in _D_LAYERS:
        return f"b{found[1]}.{_D_LAYERS[found[2]]}.{found[3]}"
    raise CheckpointError(f"{name}: no variable of StyleGAN2's discriminator")


def _value(name: str, tensor: Tensor) -> Tensor:
    if name.endswith("/mod_bias"):
        return tensor + 1
    if name.endswith("weight") and tensor.ndim == 4:
        turned = tensor.flip(0, 1) if "/Conv0_up/" in name else tensor
        return turned.permute(3, 2, 0, 1)
    if name.endswith("weight") and tensor.ndim == 2:
        return tensor.t()
    if re.search(r"/noise\d+$", name) and tensor.ndim == 4:
        return tensor[0, 0]
    return tensor[0] if name.endswith("/const") and tensor.ndim == 4 else tensor
