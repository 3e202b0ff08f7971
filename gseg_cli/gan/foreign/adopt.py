"""A foreign StyleGAN2 made gseg's own: NVIDIA's names, a config, float32, and nothing missing.

What the file lacks is made from a fixed seed, so that the same file always gives the same images, and is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gseg_cli.choices import GanKind
from gseg_cli.gan.foreign.checkpoint import ForeignGan
from gseg_cli.gan.foreign.filters import check_filter
from gseg_cli.gan.foreign.namings import discriminator_to_nvidia, generator_to_nvidia
from gseg_cli.gan.foreign.shapes import discriminator_config, generator_config
from gseg_cli.gan.foreign.stylegan3 import stylegan3_config, without_filters
from gseg_cli.gan.networks.build import build
from gseg_cli.gan.networks.config import StyleGAN2Config, StyleGAN3Config
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.mapping import MappingNetwork
from gseg_runtime.errors import CheckpointError, ConfigError

NUM_LATENTS, SEED = 10_000, 0  # of an estimated truncation centre


@dataclass(frozen=True)
class Adopted:
    """tensors: as in gseg's own files, prefixed G_ema. and D.; meta: what there is to say of them."""

    config: StyleGAN2Config | StyleGAN3Config
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    kind: GanKind = "stylegan2"


def adopt(foreign: ForeignGan) -> Adopted:
    """CheckpointError when the tensors are no GAN that gseg computes; a D that is none is left out, and said."""
    if foreign.naming == "stylegan3":
        return _adopt_stylegan3(foreign)
    g = _plain(generator_to_nvidia(foreign.naming, _floats(foreign.generator)))
    hints = foreign.hints if foreign.naming in ("nvidia", "tensorflow") else {}
    try:
        config = StyleGAN2Config(**generator_config(g, _part(hints, "generator")))
    except ConfigError as error:
        raise CheckpointError(error.message) from error
    _check_input(foreign.naming, config, _part(hints, "generator"))
    d, config, judge = _adopt_discriminator(foreign, config, _part(hints, "discriminator"))
    meta: dict[str, Any] = {
        "origin": foreign.origin,
        "truncation_centre": _complete_w_avg(g, foreign.latent_avg, config),
        "noise": _complete_noise(g, config),
        "discriminator": judge,
    }
    if foreign.naming == "nvidia" and "conv_clamp" not in _part(hints, "generator"):
        meta["conv_clamp"] = "none; the file does not say"
    return Adopted(config, _prefixed(g, d), meta | _rest(foreign))


def _adopt_stylegan3(foreign: ForeignGan) -> Adopted:
    hints = _part(foreign.hints, "generator")
    g = _floats(foreign.generator)
    try:
        config = StyleGAN3Config(**stylegan3_config(g, hints))
    except ConfigError as error:
        raise CheckpointError(error.message) from error
    g = without_filters(g, config)
    _check_input(foreign.naming, config, hints)
    of_d = _part(foreign.hints, "discriminator")
    d, judged, judge = _adopt_discriminator(foreign, config.of_discriminator(), of_d)
    meta = {
        "origin": foreign.origin,
        "truncation_centre": _complete_w_avg(g, foreign.latent_avg, config),
        "noise": "none, the generator has no noise inputs",
        "discriminator": judge,
    }
    if "output_scale" not in hints:
        meta["conv_clamp"] = f"{config.conv_clamp:g}, and colours scaled by {config.output_scale:g}, as NVIDIA has them"
    config = replace(config, discriminator=judged.discriminator)
    return Adopted(config, _prefixed(g, d), meta | _rest(foreign), "stylegan3")


def _prefixed(g: Mapping[str, Tensor], d: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"G_ema.{k}": t for k, t in g.items()} | {f"D.{k}": t for k, t in d.items()}


def _rest(foreign: ForeignGan) -> dict[str, Any]:
    """What else the file holds."""
    return {name: found for name in ("left_out", "unread") if (found := list(getattr(foreign, name)))}


def _check_input(naming: str, config: StyleGAN2Config | StyleGAN3Config, hints: Mapping[str, Any]) -> None:
    """CheckpointError when the mapping network takes more than z: its images would then be those of no class.

    Exports of conditional GANs lose the embedding of the class, and leave the layer that it went into.
    """
    z, w, told = config.z_dim, config.w_dim, hints.get("z_dim")
    has_own_width = naming in ("nvidia", "stylegan3", "tensorflow", "genforce")  # elsewhere z is as wide as w
    expected = w if not has_own_width or z == 2 * w else z
    if isinstance(told, int):
        expected = told
    if z != expected or (hints.get("c_dim") and not config.c_dim):
        raise CheckpointError(
            f"its mapping network takes {z} numbers, expected {expected}, the width of z; exports of conditional GANs "
            "that left out the embedding of the classes look like this"
        )


def _adopt_discriminator(
    foreign: ForeignGan, config: StyleGAN2Config, hints: Mapping[str, Any]
) -> tuple[dict[str, Tensor], StyleGAN2Config, str]:
    if not foreign.discriminator:
        return {}, config, "none in the file" + (" that is read" if foreign.unread else "")
    if len(set(config.first_layer)) > 1:
        return {}, config, "left out: it judges rectangular pictures"
    try:
        d = _plain(discriminator_to_nvidia(foreign.naming, _floats(foreign.discriminator)))
        config = replace(config, discriminator=discriminator_config(d, hints, config))
        build(Discriminator, d, config)
    except (CheckpointError, ConfigError) as error:
        return {}, config, f"left out: {error.message}"
    return d, config, "of the file"


def _part(hints: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = hints.get(name)
    return part if isinstance(part, Mapping) else {}


def _floats(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In float32; torch cannot compute with every type of number that files hold."""
    for name, tensor in tensors.items():
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise CheckpointError(f"{name}: {list(tensor.shape)} claims more values than are stored")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On memory of their own, filters left out once they are found to be the usual one."""
    kept = {}
    for name, tensor in tensors.items():
        if name.endswith("resample_filter"):
            check_filter(name, tensor)
        elif not name.endswith("num_batches_tracked"):
            kept[name] = tensor.contiguous()
    return kept


def _complete_w_avg(g: dict[str, Tensor], latent_avg: Tensor | None, config: StyleGAN2Config | StyleGAN3Config) -> str:
    if "mapping.w_avg" in g:
        return "w_avg of the file"
    if latent_avg is not None and latent_avg.numel() % config.w_dim == 0:
        rows = latent_avg.float().reshape(-1, config.w_dim)
        if len(rows) and torch.equal(rows, rows[:1].expand_as(rows)):  # some tools repeat it for every layer
            g["mapping.w_avg"] = rows[0].clone()
            return "latent_avg of the file"
    g["mapping.w_avg"] = _mean_w(g, config)
    return f"the mean of {NUM_LATENTS} w, seed {SEED}; the file has none"


@torch.no_grad()
def _mean_w(g: Mapping[str, Tensor], config: StyleGAN2Config | StyleGAN3Config) -> Tensor:
    """Over random z, and over random classes where there are some."""
    net = build(
        MappingNetwork, {k.removeprefix("mapping."): t for k, t in g.items() if k.startswith("mapping.")},
        config.z_dim, config.c_dim, config.w_dim, config.mapping_layers, config.mapping_lr_multiplier,
    )  # fmt: skip
    rng = np.random.RandomState(SEED)
    total = torch.zeros(config.w_dim)
    for _ in range(0, NUM_LATENTS, 1000):
        z = torch.from_numpy(rng.randn(1000, config.z_dim).astype(np.float32))
        total += net(z, _random_classes(rng, config.c_dim)).sum(dim=0)
    return total / NUM_LATENTS


def _random_classes(rng: np.random.RandomState, c_dim: int) -> Tensor | None:
    """One-hot, for 1000 latents."""
    if not c_dim:
        return None
    return torch.nn.functional.one_hot(torch.from_numpy(rng.randint(c_dim, size=1000)), c_dim).float()


def _complete_noise(g: dict[str, Tensor], config: StyleGAN2Config) -> str:
    if not config.use_noise:
        return "none, the generator has no noise inputs"
    layers = [(f"synthesis.b{r}.conv{i}.", r) for r in config.resolutions for i in (0, 1) if r > 4 or i == 1]
    missing = [(prefix, r) for prefix, r in layers if prefix + "noise_const" not in g]
    rng = np.random.RandomState(SEED)
    for prefix, r in missing:
        g[prefix + "noise_const"] = torch.from_numpy(rng.randn(*config.size_at(r)).astype(np.float32))
    if not missing:
        return "constant, of the file"
    return f"constant, drawn with seed {SEED} for {len(missing)} of {len(layers)} layers; the file has none"
