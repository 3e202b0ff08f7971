"""Small checkpoints as others write them: real pickles of classes that stand in for NVIDIA's, and torch.save."""

import argparse
import collections
import io
import pickle
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gseg_cli.gan.load import make_networks
from gseg_cli.gan.networks.config import StyleGAN2Config

SOURCE = "import os\nos.system('touch sentinel')\n"  # NVIDIA's loader would run it


class Persistent:
    """Pickled as NVIDIA's persistent classes are: a call that brings the source code of its class."""

    def __init__(self, class_name: str, source: str = SOURCE, **state: Any) -> None:
        self.meta = {"type": "class", "version": 6, "module_src": source, "class_name": class_name, "state": state}

    def __reduce__(self) -> tuple[Any, ...]:
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


@contextmanager
def nvidia_modules() -> Iterator[types.ModuleType]:
    """NVIDIA's modules by name, with what a pickle refers to; yields dnnlib.util."""
    persistence, util = types.ModuleType("torch_utils.persistence"), types.ModuleType("dnnlib.util")
    source = "def _reconstruct_persistent_obj(meta): raise AssertionError\n"
    exec(source, persistence.__dict__)
    util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    names = {"torch_utils": types.ModuleType("torch_utils"), "torch_utils.persistence": persistence}
    names |= {"dnnlib": types.ModuleType("dnnlib"), "dnnlib.util": util}
    sys.modules.update(names)
    try:
        yield util
    finally:
        for name in names:
            del sys.modules[name]


def numbers(seed: int, *size: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).randn(*size).astype(np.float32))


def nvidia_tensors(seed: int = 0) -> dict[str, Tensor]:
    """A few tensors with NVIDIA's names: what the reader goes by, not a whole generator."""
    return {
        "mapping.w_avg": numbers(seed, 4),
        "mapping.fc0.weight": numbers(seed + 1, 4, 4),
        "synthesis.b4.const": numbers(seed + 2, 3, 4, 4),
        "synthesis.b4.conv1.weight": numbers(seed + 3, 2, 3, 3, 3).to(memory_format=torch.channels_last),
        "synthesis.b4.conv1.noise_strength": torch.tensor(0.25),
    }


def discriminator_tensors() -> dict[str, Tensor]:
    return {"b8.conv0.weight": numbers(5, 2, 2), "b4.out.weight": numbers(6, 1, 2)}


def rosinality_tensors(seed: int = 0) -> dict[str, Tensor]:
    return {
        "style.1.weight": numbers(seed, 4, 4),
        "input.input": numbers(seed + 1, 1, 3, 4, 4),
        "conv1.noise.weight": torch.tensor([0.5]),
        "noises.noise_0": numbers(seed + 2, 1, 1, 4, 4),
    }


def network(tensors: dict[str, Tensor], **attributes: Any) -> Persistent:
    """Nested persistent modules, as of a torch.nn.Module with these parameters. attributes: of the outermost."""
    parameters: dict[str, Any] = {}
    children: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        if rest:
            children.setdefault(first, {})[rest] = tensor
        else:
            parameters[first] = torch.nn.Parameter(tensor, requires_grad=False)
    modules = {name: network(child, **_attributes(name)) for name, child in children.items()}
    return Persistent(
        "Module",
        training=False,
        _parameters=collections.OrderedDict(parameters, absent=None),
        _buffers=collections.OrderedDict(seen=torch.zeros(1)),
        _modules=collections.OrderedDict(modules, none=None),
        _non_persistent_buffers_set={"seen"},
        _forward_hooks=collections.OrderedDict(),
        weight_gain=np.float64(0.5),
        up_filter=np.eye(2, dtype=np.float32),
        **attributes,
    )


def _attributes(name: str) -> dict[str, Any]:
    if name == "conv1":
        return {"conv_clamp": 256, "use_noise": True}
    return {"architecture": "skip", "use_fp16": True} if name == "b4" else {}


def nvidia_pickle(protocol: int = 4, **attributes: Any) -> bytes:
    """A whole snapshot of stylegan2-ada-pytorch: G, D, G_ema and more."""
    with nvidia_modules() as util:
        given = {
            "z_dim": 4,
            "c_dim": 0,
            "mapping_kwargs": util.EasyDict(num_layers=np.int64(1)),
            "synthesis_kwargs": {},
        }
        snapshot = {
            "training_set_kwargs": util.EasyDict(path="photos.zip", max_size=None),
            "augment_pipe": None,
            "G": network(nvidia_tensors(10)),
            "D": network(discriminator_tensors(), _init_args=(), _init_kwargs={"c_dim": 0}),
            "G_ema": network(nvidia_tensors(), _init_args=(), _init_kwargs=given, img_channels=3, **attributes),
        }
        return pickle.dumps(snapshot, protocol)


def whole_tensors() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A generator and a discriminator of 8 px under NVIDIA's names, with nothing missing."""
    torch.manual_seed(0)
    config = StyleGAN2Config(img_resolution=8, z_dim=4, w_dim=4, channel_base=32, channel_max=4)
    g, d = make_networks("stylegan2", config)
    return {name.replace("_network.", "."): tensor for name, tensor in g.state_dict().items()}, d.state_dict()


def whole_pickle(protocol: int = 4, of_g: Any = None, **tensors: Tensor) -> bytes:
    """A snapshot that gseg opens. of_g: arguments of its generator; tensors: to put in place, with __ for a dot."""
    g, d = whole_tensors()
    g |= {name.replace("__", "."): tensor for name, tensor in tensors.items()}
    with nvidia_modules():
        networks = {"G_ema": network(g, _init_kwargs=of_g or {}), "D": network(d, _init_kwargs={})}
        return pickle.dumps({"training_set_kwargs": None, "augment_pipe": None, "G": None, **networks}, protocol)


def whole_files() -> dict[str, bytes]:
    """One of each kind that is opened, from the first byte to the images."""
    from safetensors.torch import save

    g, d = whole_tensors()
    files = {f"nvidia-{protocol}": whole_pickle(protocol) for protocol in (3, 4)}
    files |= {"zip": torch_bytes({"g_ema": g, "d": d}), "older": torch_bytes({"g_ema": g, "d": d}, is_zip=False)}
    return files | {"safetensors": save(g)}


def rosinality_state() -> dict[str, Any]:
    """A whole training state of rosinality's train.py."""
    discriminator = {"final_linear.0.weight": numbers(7, 2, 2), "final_conv.0.weight": numbers(8, 2, 2)}
    return {
        "g": rosinality_tensors(10),
        "d": discriminator,
        "g_ema": collections.OrderedDict(rosinality_tensors()),
        "g_optim": {"state": {0: {"step": 3, "exp_avg": numbers(9, 64)}}, "param_groups": [{"betas": (0.0, 0.99)}]},
        "args": argparse.Namespace(size=4, n_mlp=1, channel_multiplier=2, ckpt=None),
        "ada_aug_p": np.float64(0.25),
        "latent_avg": numbers(11, 4),
    }


def torch_bytes(value: Any, *, is_zip: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=is_zip)
    return buffer.getvalue()


def small_files() -> dict[str, bytes]:
    """One of each kind that is read."""
    from safetensors.torch import save

    files = {f"nvidia-{protocol}": nvidia_pickle(protocol) for protocol in (2, 3, 4, 5)}
    files |= {"zip": torch_bytes(rosinality_state()), "older": torch_bytes(rosinality_state(), is_zip=False)}
    prefixed = {f"g_ema.{name}": tensor.contiguous() for name, tensor in nvidia_tensors().items()}
    return files | {"safetensors": save(prefixed)}
