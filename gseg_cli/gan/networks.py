"""GAN checkpoints: one safetensors file with G_ema, D and the config that rebuilds both."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gseg_cli.checkpoint import load_checkpoint, save_checkpoint
from gseg_cli.gan.dcgan import DCGAN, DCDiscriminator, DCGANConfig
from gseg_cli.gan.discriminator import Discriminator
from gseg_cli.gan.stylegan2 import StyleGAN2, StyleGAN2Config
from gseg_runtime.errors import CheckpointError, ConfigError

GanConfig = StyleGAN2Config | DCGANConfig
GanModule = StyleGAN2 | DCGAN
_ARCHITECTURES: dict[str, tuple[Any, Any, Any]] = {
    "stylegan2": (StyleGAN2Config, StyleGAN2, Discriminator),
    "dcgan": (DCGANConfig, DCGAN, DCDiscriminator),
}
ARCHITECTURES = tuple(_ARCHITECTURES)


def make_config(arch: str, values: Mapping[str, Any]) -> GanConfig:
    """ConfigError for an unknown architecture, or a resolution it cannot have."""
    if arch not in _ARCHITECTURES:
        raise ConfigError(f"arch: expected one of {', '.join(ARCHITECTURES)}, got {arch!r}")
    return _ARCHITECTURES[arch][0](**values)


def make_networks(arch: str, config: GanConfig) -> tuple[GanModule, nn.Module]:
    _, generator, discriminator = _ARCHITECTURES[arch]
    return generator(config), discriminator(config)


def save_gan(path: Path, generator: GanModule, discriminator: nn.Module, meta: dict[str, Any]) -> None:
    tensors = {f"G_ema.{_public(k)}": v for k, v in generator.state_dict().items()}
    tensors |= {f"D.{k}": v for k, v in discriminator.state_dict().items()}
    save_checkpoint(path, tensors, {"kind": generator.kind, "config": asdict(generator.config), **meta})


def load_generator(path: Path, device: torch.device | str = "cpu") -> GanModule:
    """The generator of a checkpoint, in float32, without gradients, in evaluation mode."""
    tensors, arch, config = _read(path)
    generator = make_networks(arch, config)[0]
    _load(generator, {_private(k): v for k, v in _part(tensors, "G_ema.").items()}, path)
    return generator.eval().requires_grad_(False).to(device)


def load_gan(path: Path, device: torch.device | str = "cpu") -> tuple[GanModule, nn.Module]:
    """Generator and discriminator, as training continues from them."""
    tensors, arch, config = _read(path)
    generator, discriminator = make_networks(arch, config)
    _load(generator, {_private(k): v for k, v in _part(tensors, "G_ema.").items()}, path)
    _load(discriminator, _part(tensors, "D."), path)
    return generator.to(device), discriminator.to(device)


def _read(path: Path) -> tuple[dict[str, Tensor], str, GanConfig]:
    tensors, meta = load_checkpoint(path)
    if meta["kind"] not in _ARCHITECTURES:
        raise CheckpointError(
            f"{path}: expected a GAN ({' or '.join(ARCHITECTURES)}), got a checkpoint of kind {meta['kind']!r}",
            hint="name a file written by `gseg gan-train`",
        )
    try:
        return tensors, meta["kind"], make_config(meta["kind"], meta["config"])
    except (TypeError, ConfigError) as e:
        raise CheckpointError(f"{path}: its config describes no GAN: {e}") from e


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _load(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as e:
        raise CheckpointError(f"{path}: its tensors do not fit its config: {str(e).splitlines()[1].strip()}") from e


# The modules are called mapping_network and synthesis_network, since mapping and synthesis are the protocol's methods;
# files use NVIDIA's names.
def _public(key: str) -> str:
    return key.replace("mapping_network.", "mapping.").replace("synthesis_network.", "synthesis.")


def _private(key: str) -> str:
    for name in ("mapping", "synthesis"):
        if key.startswith(name + "."):
            return key.replace(name, name + "_network", 1)
    return key
