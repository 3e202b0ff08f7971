"""A GAN with fewer channels that still draws nearly what it drew: those channels stay that are listened to most.

Pruning by the size of weights (Li et al. 2017). What is left keeps its part of every sum, so a training that goes on
mends the rest soon.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import ModulatedConv, StyleGAN2

Channels = Tensor  # indices, sorted


@torch.no_grad()
def narrowed(G: StyleGAN2, D: Discriminator, channel_base: int) -> tuple[StyleGAN2, Discriminator]:
    """Both with layers of channel_base / r channels, of the usual architectures: skips in G, shortcuts in D.

    ValueError when layers of 4 px would be narrower, too.
    """
    config = replace(G.config, channel_base=channel_base)
    if config.channels(4) != G.config.channels(4):
        raise ValueError(f"expected at least {4 * G.config.channels(4)} channels times pixels, got {channel_base}")
    new_G, new_D = StyleGAN2(config), Discriminator(config)
    for new, old in ((new_G, G), (new_D, D)):
        same = {name: tensor for name, tensor in old.state_dict().items() if _fits(tensor, new.state_dict()[name])}
        new.load_state_dict(new.state_dict() | same)
    _fill_generator(new_G, G)
    _fill_discriminator(new_D, D)
    return new_G, new_D


def _fits(tensor: Tensor, place: Tensor) -> bool:
    return tensor.shape == place.shape


def _fill_generator(new: StyleGAN2, old: StyleGAN2) -> None:
    blocks, new_blocks = old.synthesis_network.blocks(), new.synthesis_network.blocks()
    heard = torch.arange(old.config.channels(4))  # of the layer before
    for i, (block, new_block) in enumerate(zip(blocks, new_blocks, strict=True)):
        next_convs = [blocks[i + 1].conv0] if i + 1 < len(blocks) else []
        for name, listeners in (("conv0", [block.conv1]), ("conv1", [block.torgb, *next_convs])):
            if name == "conv0" and block.num_convs == 1:
                continue
            layer, new_layer = getattr(block, name), getattr(new_block, name)
            kept = _most([_styled_energy(listener) for listener in listeners], len(new_layer.bias))
            _copy_styled(new_layer, layer, kept, heard)
            heard = kept
        _copy_styled(new_block.torgb, block.torgb, torch.arange(len(block.torgb.bias)), heard)
        new_block.torgb.weight.mul_(block.torgb.weight_gain / new_block.torgb.weight_gain)


def _fill_discriminator(new: Discriminator, old: Discriminator) -> None:
    blocks = [(getattr(old, f"b{r}"), getattr(new, f"b{r}")) for r in old.resolutions]
    first, new_first = blocks[0]
    heard = _most(_energies(first), len(new_first.fromrgb.weight))
    _copy(new_first.fromrgb, first.fromrgb, heard, torch.arange(first.fromrgb.weight.shape[1]))
    for i, (block, new_block) in enumerate(blocks):
        inner = _most([_energy(block.conv1.weight)], len(new_block.conv0.weight))
        is_last = i + 1 == len(blocks)  # what follows has all its channels
        width = len(new_block.conv1.weight)
        outer = torch.arange(width) if is_last else _most(_energies(blocks[i + 1][0]), width)
        _copy(new_block.conv0, block.conv0, inner, heard)
        _copy(new_block.conv1, block.conv1, outer, inner)
        _copy(new_block.skip, block.skip, outer, heard)
        heard = outer


def _energies(block: nn.Module) -> list[Tensor]:
    """How much a block of D listens to each channel that it is given, by either way."""
    return [_energy(getattr(block, name).weight) for name in ("conv0", "skip")]


def _energy(weight: Tensor) -> Tensor:
    """[I] of weights [O, I, k, k]."""
    return weight.square().sum(dim=(0, 2, 3))


def _styled_energy(layer: ModulatedConv) -> Tensor:
    """[I]: of the weights, and of the styles that they are multiplied by in the mean."""
    affine = layer.affine
    return _energy(layer.weight) * (affine.bias.square() + (affine.weight * affine.weight_gain).square().sum(dim=1))


def _most(energies: Sequence[Tensor], count: int) -> Channels:
    """The channels that are listened to most, each listener counting as much."""
    share = torch.stack([energy / energy.sum() for energy in energies]).sum(dim=0)
    return share.topk(count).indices.sort().values


def _copy_styled(new: ModulatedConv, old: ModulatedConv, outputs: Channels, inputs: Channels) -> None:
    new.weight.copy_(old.weight[outputs][:, inputs])
    new.bias.copy_(old.bias[outputs])
    new.affine.weight.copy_(old.affine.weight[inputs])
    new.affine.bias.copy_(old.affine.bias[inputs])


def _copy(new: Any, old: Any, outputs: Channels, inputs: Channels) -> None:
    new.weight.copy_(old.weight[outputs][:, inputs] * (old.weight_gain / new.weight_gain))
    if old.bias is not None:
        new.bias.copy_(old.bias[outputs])
