"""The settings of a network in one of NVIDIA's pickles.

Taken from what its constructor was given and, where that is silent, from the attributes of its layers: the defaults
differ between stylegan2-ada-pytorch and the stylegan3 repository, and the source in the file is not read.
"""

from typing import Any

from gseg_cli.gan.foreign.contents import plain
from gseg_cli.gan.foreign.known import Network

_OWN = ("z_dim", "c_dim", "w_dim", "img_resolution", "img_channels")  # attributes of the network
_LAYERS = (  # of its layers, where some may have None
    "conv_clamp", "architecture", "use_noise",
    "output_scale", "margin_size", "num_critical",  # StyleGAN3's
)  # fmt: skip


def settings(networks: dict[str, Network], prefix: str) -> dict[str, Any]:
    """The keywords of the constructor, as plain data, with what its layers tell added at the top level."""
    state = networks[prefix].state
    given = plain(state.get("_init_kwargs"))
    layers = [network.state for name, network in networks.items() if name.startswith(prefix)]
    found = {name: plain(state[name]) for name in _OWN if isinstance(state.get(name), int)}
    found |= {name: _of_layers(layers, name) for name in _LAYERS if any(name in layer for layer in layers)}
    found["num_fp16_res"] = sum(layer.get("use_fp16") is True for layer in layers)
    return {**(given if isinstance(given, dict) else {}), **found}


def _of_layers(layers: list[dict[str, Any]], name: str) -> int | float | str | None:
    values = (layer.get(name) for layer in layers)
    return plain(next((value for value in values if isinstance(value, int | float | str)), None))


def repository(networks: dict[str, Network], prefix: str) -> str:
    """Which of NVIDIA's two repositories a generator was trained with: only one keeps these attributes."""
    synthesis = networks.get(f"{prefix}synthesis.")
    if synthesis is not None and "layer_names" in synthesis.state:
        return "stylegan3 repository"
    is_newer = synthesis is not None and "num_fp16_res" in synthesis.state
    return "stylegan3 repository, StyleGAN2 configuration" if is_newer else "stylegan2-ada-pytorch"
