"""Pickles as NVIDIA's TensorFlow code of 2019 and 2020 wrote them: names, shapes and layout, without TensorFlow."""

import pickle
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.gan.foreign.files import SOURCE

Variables = list[tuple[str, Any]]


@dataclass(frozen=True)
class Layout:
    """The arguments that decide a network's variables, by TensorFlow's names. of_g, of_d: arguments it is made with."""

    resolution: int = 16
    latent_size: int = 16
    fmap_base: int = 64
    fmap_max: int = 16
    num_channels: int = 3
    label_size: int = 0
    mapping_layers: int = 2
    architecture: str = "skip"
    is_ada: bool = False
    of_g: dict[str, Any] = field(default_factory=dict)
    of_d: dict[str, Any] = field(default_factory=dict)

    def channels(self, resolution: int) -> int:
        return int(min(self.fmap_base * 2 // resolution, self.fmap_max))

    @property
    def resolutions(self) -> list[int]:
        return [2**i for i in range(2, self.resolution.bit_length())]


class Draw:
    """Numbers in TensorFlow's shapes; nothing is left at a value that would hide a mistake."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.RandomState(seed)

    def __call__(self, *shape: int, scale: float = 1.0) -> np.ndarray:
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def dense(self, name: str, inputs: int, outputs: int, scale: float = 1.0) -> Variables:
        return [
            (f"{name}/weight", self(inputs, outputs, scale=scale)),
            (f"{name}/bias", self(outputs, scale=0.3 * scale)),
        ]

    def conv(self, name: str, inputs: int, outputs: int, kernel: int, bias: bool = True) -> Variables:
        biases: Variables = [(f"{name}/bias", self(outputs, scale=0.3))] if bias else []
        return [(f"{name}/weight", self(kernel, kernel, inputs, outputs)), *biases]

    def modulated(self, name: str, w: int, inputs: int, outputs: int, kernel: int = 3) -> Variables:
        style = [(f"{name}/mod_weight", self(w, inputs)), (f"{name}/mod_bias", self(inputs, scale=0.3))]
        strength: Variables = [(f"{name}/noise_strength", np.float32(self.random.randn()))] if kernel == 3 else []
        weight, bias = self.conv(name, inputs, outputs, kernel)
        return [weight, *style, *strength, bias]


def mapping_variables(layout: Layout, draw: Draw) -> Variables:
    w = layout.latent_size
    embed = draw.dense("LabelEmbed", layout.label_size, w) if layout.label_size else []
    first = w * (2 if layout.label_size else 1)
    layers = range(layout.mapping_layers)
    return embed + [pair for i in layers for pair in draw.dense(f"Dense{i}", w if i else first, w, scale=100)]


def synthesis_variables(layout: Layout, draw: Draw) -> Variables:
    w, colours = layout.latent_size, layout.num_channels
    found: Variables = [("4x4/Const/const", draw(1, layout.channels(4), 4, 4))]
    for i in range(2 * len(layout.resolutions) - 1):
        size = 2 ** ((i + 5) // 2)
        found.append((f"noise{i}", draw(1, 1, size, size)))
    for r in layout.resolutions:
        before, here = layout.channels(r // 2), layout.channels(r)
        if r == 4:
            found += draw.modulated("4x4/Conv", w, here, here)
        else:
            found += draw.modulated(f"{r}x{r}/Conv0_up", w, before, here)
            found += draw.modulated(f"{r}x{r}/Conv1", w, here, here)
        if layout.architecture == "resnet" and r > 4:
            found += draw.conv(f"{r}x{r}/Skip", before, here, 1, bias=False)
        if layout.architecture == "skip" or r == layout.resolution:
            found += draw.modulated(f"{r}x{r}/ToRGB", w, here, colours, kernel=1)
    return found


def discriminator_variables(layout: Layout, draw: Draw) -> Variables:
    """Architecture resnet, as every configuration has it."""
    found = draw.conv(
        f"{layout.resolution}x{layout.resolution}/FromRGB", layout.num_channels, layout.channels(layout.resolution), 1
    )
    for r in layout.resolutions[:0:-1]:
        here, after = layout.channels(r), layout.channels(r // 2)
        found += draw.conv(f"{r}x{r}/Conv0", here, here, 3)
        found += draw.conv(f"{r}x{r}/Conv1_down", here, after, 3)
        found += draw.conv(f"{r}x{r}/Skip", here, after, 1, bias=False)
    channels, cmap = layout.channels(4), layout.channels(4) if layout.label_size else 1
    if layout.label_size:
        found += draw.dense("LabelEmbed", layout.label_size, cmap)
        found += [pair for i in range(2) for pair in draw.dense(f"Mapping{i}", cmap, cmap, scale=10)]
    found += draw.conv("4x4/Conv", channels + 1, channels, 3)
    return [*found, *draw.dense("4x4/Dense0", channels * 16, channels), *draw.dense("Output", channels, cmap)]


@contextmanager
def tensorflow_modules() -> Iterator[tuple[type, type]]:
    """NVIDIA's Network and EasyDict by name."""
    network, util = types.ModuleType("dnnlib.tflib.network"), types.ModuleType("dnnlib.util")
    network.Network = type("Network", (), {"__module__": "dnnlib.tflib.network"})
    util.EasyDict = type("EasyDict", (dict,), {"__module__": "dnnlib.util"})
    names = {"dnnlib": types.ModuleType("dnnlib"), "dnnlib.tflib": types.ModuleType("dnnlib.tflib")}
    names |= {"dnnlib.tflib.network": network, "dnnlib.util": util}
    before = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield network.Network, util.EasyDict
    finally:
        for name, module in before.items():
            sys.modules.pop(name) if module is None else sys.modules.update({name: module})


def networks(layout: Layout, seed: int, of: type, settings: type) -> tuple[Any, Any, Any]:
    """G, D and Gs."""
    draw = Draw(seed)
    common = {
        name: getattr(layout, name) for name in ("num_channels", "resolution", "label_size", "fmap_base", "fmap_max")
    }
    latent = {
        "latent_size": layout.latent_size,
        "dlatent_size": layout.latent_size,
        "mapping_fmaps": layout.latent_size,
    }
    latent |= {"mapping_layers": layout.mapping_layers, "architecture": layout.architecture}

    def network(name: str, function: str, arguments: dict[str, Any], variables: Variables, **components: Any) -> Any:
        made = of()
        state = {
            "version": 4,
            "name": name,
            "static_kwargs": settings(arguments),
            "components": OrderedDict(components),
        }
        source = {"build_module_src": SOURCE, "build_func_name": function, "variables": variables}
        made.__dict__.update(**state, **source)
        return made

    def generator(name: str) -> Any:
        given = {**common, **latent, **layout.of_g}
        mapping = network("G_mapping", "G_mapping", given, mapping_variables(layout, draw))
        function = "G_synthesis" if layout.is_ada else "G_synthesis_stylegan2"
        synthesis = network("G_synthesis", function, given, synthesis_variables(layout, draw))
        own: Variables = [("lod", np.float32(0)), ("dlatent_avg", draw(layout.latent_size, scale=0.5))]
        return network(name, "G_main", given, own, synthesis=synthesis, mapping=mapping)

    conditional = {"mapping_layers": 2, "mapping_fmaps": layout.channels(4)} if layout.label_size else {}
    judge = "D_main" if layout.is_ada else "D_stylegan2"
    d = network("D", judge, {**common, **conditional, **layout.of_d}, discriminator_variables(layout, draw))
    return generator("G"), d, generator("Gs")


def tensorflow_pickle(layout: Layout = Layout(), seed: int = 0, protocol: int = 4) -> bytes:
    with tensorflow_modules() as (network, settings):
        return pickle.dumps(networks(layout, seed, network, settings), protocol)
