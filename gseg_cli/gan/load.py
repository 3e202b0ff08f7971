"""GAN checkpoints: one safetensors file with G_ema, D and the config that rebuilds both; foreign ones are read too."""

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gseg_cli.checkpoint import is_ours, load_checkpoint, parent_of, save_checkpoint
from gseg_cli.choices import GanKind
from gseg_cli.gan.foreign.adopt import adopt
from gseg_cli.gan.foreign.checkpoint import read_foreign
from gseg_cli.gan.foreign.colours import turned
from gseg_cli.gan.foreign.errors import shown
from gseg_cli.gan.networks.build import build
from gseg_cli.gan.networks.config import GanConfig, make_config
from gseg_cli.gan.networks.dcgan import DCGAN, DCDiscriminator
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2
from gseg_cli.gan.networks.stylegan3 import StyleGAN3, discriminator_of
from gseg_runtime.errors import CheckpointError, ConfigError, UsageError

GanModule = StyleGAN2 | StyleGAN3 | DCGAN
_ARCHITECTURES: dict[str, tuple[Any, Any]] = {
    "stylegan2": (StyleGAN2, Discriminator),
    "stylegan3": (StyleGAN3, discriminator_of),
    "dcgan": (DCGAN, DCDiscriminator),
}
ARCHITECTURES = tuple(_ARCHITECTURES)


@dataclass(frozen=True)
class GanFile:
    """A checkpoint as read. tensors: prefixed G_ema. and D. (if there is one); meta: what the file says of itself."""

    path: Path
    kind: GanKind
    config: GanConfig
    tensors: dict[str, Tensor]
    meta: dict[str, Any]

    @property
    def has_discriminator(self) -> bool:
        return any(name.startswith("D.") for name in self.tensors)


def make_networks(arch: str, config: GanConfig) -> tuple[GanModule, nn.Module]:
    generator, discriminator = _ARCHITECTURES[arch]
    return generator(config), discriminator(config)


def save_gan(path: Path, generator: GanModule, discriminator: nn.Module, meta: dict[str, Any]) -> None:
    tensors = {f"G_ema.{_public(k)}": v for k, v in generator.state_dict().items()}
    tensors |= {f"D.{k}": v for k, v in discriminator.state_dict().items()}
    save_checkpoint(path, tensors, {"kind": generator.kind, "config": asdict(generator.config), **meta})


def load_generator(path: Path, device: torch.device | str = "cpu", class_index: int | None = None) -> GanModule:
    """The generator of any checkpoint that gseg reads, in float32, without gradients, in evaluation mode.

    class_index: what a conditional GAN shall draw. CheckpointError for a file that is no GAN; UsageError when a
    conditional GAN is given no class, or one that it does not have.
    """
    gan = read_gan(path)
    return _generator(gan, class_index).eval().requires_grad_(False).to(device)


def load_gan(
    path: Path, device: torch.device | str = "cpu", class_index: int | None = None
) -> tuple[GanModule, nn.Module]:
    """Generator and discriminator, a fresh one where the file has none. class_index: as of `load_generator`."""
    return _networks(read_gan(path), class_index, device)


def load_networks(gan: GanFile) -> tuple[GanModule, nn.Module]:
    """The same as training continues from them: of all classes. Until it says which, they draw and judge the first."""
    return _networks(gan, 0 if getattr(gan.config, "c_dim", 0) else None, "cpu")


def _networks(gan: GanFile, class_index: int | None, device: torch.device | str) -> tuple[GanModule, nn.Module]:
    generator = _generator(gan, class_index)
    discriminator = _build(gan, "D.") if gan.has_discriminator else _ARCHITECTURES[gan.kind][1](gan.config)
    discriminator.class_index = class_index
    return generator.to(device), discriminator.to(device)


def read_gan(path: Path) -> GanFile:
    """Any checkpoint of a GAN: gseg's own, NVIDIA's, rosinality's. CheckpointError for everything else."""
    return _read_own(path) if is_ours(path) else _read_foreign(path)


def convert_gan(path: Path, out: Path, *, is_bgr: bool = False) -> GanFile:
    """Write the foreign checkpoint `path` as gseg's own to `out`; returns what was read.

    is_bgr: its colours are blue, green, red; they are turned round.
    """
    if is_ours(path):
        raise CheckpointError(f"{path}: is a GAN of gseg already", "use it as it is")
    gan = _read_foreign(path)
    meta = {**gan.meta, "kind": gan.kind, "config": asdict(gan.config), "parents": [parent_of(path, "foreign gan")]}
    if is_bgr:
        meta["origin"] = f"{gan.meta['origin'].partition(';')[0]}; colours turned from blue, green, red"
    save_checkpoint(out, turned(gan.tensors) if is_bgr else gan.tensors, meta)
    return gan


def _read_own(path: Path) -> GanFile:
    tensors, meta = load_checkpoint(path)
    if meta["kind"] not in _ARCHITECTURES:
        raise CheckpointError(
            f"{path}: expected a GAN ({', '.join(ARCHITECTURES)}), got a checkpoint of kind {meta['kind']!r}",
            hint="name a file written by `gseg gan-train`",
        )
    try:
        return GanFile(path, meta["kind"], make_config(meta["kind"], meta["config"]), tensors, meta)
    except (TypeError, ConfigError) as e:
        hint = "the file is damaged; make or convert it again"
        raise CheckpointError(f"{path}: its config describes no GAN: {shown(str(e), 300)}", hint) from e


def _read_foreign(path: Path) -> GanFile:
    foreign = read_foreign(path)
    try:
        adopted = adopt(foreign)
    except CheckpointError as error:
        hint = "gseg opens StyleGAN2s and StyleGAN3s that one of the programs in docs/checkpoints.md wrote"
        raise CheckpointError(f"{path}: {foreign.origin}: {error.message}", hint) from error
    gan = GanFile(path, adopted.kind, adopted.config, adopted.tensors, adopted.meta)
    _build(gan, "G_ema.")  # what does not fit is refused by `gseg info` and `gseg convert` too
    return gan


def _generator(gan: GanFile, class_index: int | None) -> GanModule:
    generator = _build(gan, "G_ema.")
    generator.class_index = _checked_class(gan, class_index)
    return generator


def _checked_class(gan: GanFile, class_index: int | None) -> int | None:
    num_classes = getattr(gan.config, "c_dim", 0)
    if num_classes and class_index is None:
        hint = f"use --class N, from 0 to {num_classes - 1}; gseg label takes that of gseg sample --class N"
        raise UsageError(f"{gan.path}: a conditional GAN with {num_classes} classes; choose one", hint)
    if class_index is not None and not 0 <= class_index < num_classes:
        expected = f"0 to {num_classes - 1}" if num_classes else "none, the GAN has no classes"
        raise UsageError(f"{gan.path}: --class: expected {expected}, got {class_index}")
    return class_index


def _build(gan: GanFile, part: str) -> Any:
    network = _ARCHITECTURES[gan.kind][0 if part == "G_ema." else 1]
    try:
        return build(network, _private(_part(gan.tensors, part), part), gan.config)
    except CheckpointError as error:
        raise CheckpointError(f"{gan.path}: {error.message.replace('_network.', '.')}", error.hint) from error


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


# The modules are called mapping_network and synthesis_network, since mapping and synthesis are the protocol's methods;
# files use NVIDIA's names.
def _public(key: str) -> str:
    return key.replace("mapping_network.", "mapping.").replace("synthesis_network.", "synthesis.")


def _private(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    if part != "G_ema.":
        return tensors
    return {re.sub(r"^(mapping|synthesis)\.", r"\1_network.", key): tensor for key, tensor in tensors.items()}
