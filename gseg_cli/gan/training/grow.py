"""Where a training begins: the networks of a checkpoint, or of a GAN of another size, grown or shrunk to this one.

A grown GAN starts as what it was (the idea of Karras et al. 2018, without their fading): G's new block adds nothing to
the upsampled picture, D's new block hands the halved picture to the old ones. A shrunk one starts as the sum of colours
that its generator has reached at the smaller size, which already is the picture, a little too sharp.
"""

import math
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gseg_cli.gan.load import GanFile, GanModule, load_networks, read_gan
from gseg_cli.gan.networks import ops
from gseg_cli.gan.networks.config import GanConfig, StyleGAN2Config
from gseg_cli.gan.networks.discriminator import ConvLayer, Discriminator, DiscriminatorBlock
from gseg_cli.gan.networks.stylegan2 import StyleGAN2, SynthesisBlock
from gseg_cli.gan.transparency import as_channels
from gseg_runtime.errors import ConfigError

LRELU_SLOPE = 0.2
NUM_FITTED, MAX_PIXELS = 32, 4096  # pictures that D's new layer is fitted on, and pixels of each


def load_start(path: Path, resolution: int) -> tuple[GanModule, nn.Module]:
    """The networks of a checkpoint at this resolution, on the CPU; a fresh discriminator where the file has none.

    ConfigError as of `check_start`.
    """
    gan = read_gan(path)
    check_start(gan, resolution)
    G, D = load_networks(gan)
    while G.img_resolution != resolution:
        assert isinstance(G, StyleGAN2) and isinstance(D, Discriminator)
        G, D = grow(G, D) if G.img_resolution < resolution else shrink(G, D)
    return G, D


def check_start(gan: GanFile, resolution: int) -> None:
    """ConfigError when the GAN is neither of this resolution nor one that can be grown or shrunk to it."""
    side = gan.config.img_resolution
    if side != resolution and not _can_change(gan.config, resolution):
        raise ConfigError(
            f"{gan.path}: a GAN of {side} px cannot train at {resolution} px",
            hint=f"train at {side} px; a StyleGAN2 of the usual architecture also at 2, 4 ... times that, a half, a "
            "quarter ...",
        )


def _can_change(config: GanConfig, resolution: int) -> bool:
    """Pictures that are sums over all sizes can grow and shrink, and a discriminator with shortcuts."""
    if not isinstance(config, StyleGAN2Config):
        return False
    architectures = (config.architecture, config.discriminator.architecture)
    return architectures == ("skip", "resnet") and math.log2(resolution / config.img_resolution).is_integer()


def grow(G: StyleGAN2, D: Discriminator) -> tuple[StyleGAN2, Discriminator]:
    """Both at twice the resolution.

    G makes the upsampled picture of the old G. D gives a picture the logits that the old D gives the picture halved
    by the resampling filter, if its new block has two channels for each colour; with fewer the block starts at random.
    """
    config = replace(G.config, img_resolution=2 * G.img_resolution)
    new_G, new_D = StyleGAN2(config), Discriminator(config)
    new_G.load_state_dict(new_G.state_dict() | G.state_dict())
    _silence(new_G.synthesis_network.blocks()[-1])
    first = getattr(D, f"b{G.img_resolution}")
    kept = {name: tensor for name, tensor in D.state_dict().items() if ".fromrgb." not in name}
    new_D.load_state_dict(new_D.state_dict() | kept)
    new_G.class_index, new_D.class_index = G.class_index, D.class_index
    if config.channels_of_discriminator(config.img_resolution) >= 2 * config.img_channels:
        _pass_halved_picture(getattr(new_D, f"b{config.img_resolution}"), first.fromrgb)
    return new_G, new_D


def shrink(G: StyleGAN2, D: Discriminator) -> tuple[StyleGAN2, Discriminator]:
    """Both at half the resolution.

    G makes the sum of colours that the old G has when it reaches this size. D keeps its blocks from there on; the layer
    that reads the picture is new, and fitted to hand them nearly what they had of the enlarged picture.
    """
    config = replace(G.config, img_resolution=G.img_resolution // 2)
    new_G, new_D = StyleGAN2(config), Discriminator(config)
    for new, old in ((new_G, G), (new_D, D)):
        names, tensors = new.state_dict().keys(), old.state_dict()
        new.load_state_dict(new.state_dict() | {name: tensors[name] for name in names & tensors.keys()})
    new_G.class_index, new_D.class_index = G.class_index, D.class_index
    first, before = (getattr(net, f"b{c.img_resolution}") for net, c in ((new_D, config), (D, G.config)))
    _fit_reader(first.fromrgb, before, new_G)
    return new_G, new_D


@torch.no_grad()
def _fit_reader(fromrgb: ConvLayer, before: DiscriminatorBlock, G: StyleGAN2) -> None:
    """Least squares from the colour of a pixel of G to what the block before gave there of the enlarged picture.

    A reader at random tells D nothing: it would judge by chance, and G be pulled to nowhere until D has learnt to see.
    """
    assert fromrgb.bias is not None
    parts = zip(*(_read_pixels(before, G) for _ in range(NUM_FITTED)), strict=True)
    colours, given = (torch.cat(part) for part in parts)  # [P, C], [P, O]
    wanted = torch.where(given > 0, given, given / LRELU_SLOPE) / ops.LRELU_GAIN  # before the leaky ReLU
    solution = torch.linalg.lstsq(F.pad(colours, (0, 1), value=1.0), wanted).solution  # [C + 1, O], the bias last
    fromrgb.weight.copy_(solution[:-1].t()[:, :, None, None] / fromrgb.weight_gain)
    fromrgb.bias.copy_(solution[-1])


def _read_pixels(before: DiscriminatorBlock, G: StyleGAN2) -> tuple[Tensor, Tensor]:
    """Some pixels of one picture of G: their colours [P, C], and what the block gave there [P, O]."""
    picture = as_channels(G.draw(G.mapping(torch.randn(1, G.z_dim))), G.config.img_channels)
    given = before(ops.upsample2d(picture, ops.resample_filter()))
    at = torch.randperm(picture[0, 0].numel())[:MAX_PIXELS]
    return picture[0].flatten(1)[:, at].t(), given[0].flatten(1)[:, at].t()


@torch.no_grad()
def _silence(block: SynthesisBlock) -> None:
    """No colours of its own; the layers before keep their random weights, or nothing could be learnt."""
    block.torgb.weight.zero_()
    block.torgb.bias.zero_()


@torch.no_grad()
def _pass_halved_picture(block: DiscriminatorBlock, fromrgb: ConvLayer) -> None:
    """Make the block compute `fromrgb` of the halved picture.

    Leaky ReLUs of x and of -x hold x between them: lrelu(x) - lrelu(-x) = 1.2 x. So two channels for each colour carry
    the picture through fromrgb and conv0; conv1 halves, undoes this and does what the old first layer did. The other
    channels start at random, as in any new block, but nothing listens to them yet.
    """
    assert block.fromrgb.bias is not None and block.conv0.bias is not None
    assert block.conv1.bias is not None and fromrgb.bias is not None
    for silent in (block.skip.weight, block.conv1.weight, block.fromrgb.bias, block.conv0.bias):
        silent.zero_()
    num_carriers = 2 * fromrgb.weight.shape[1]
    block.fromrgb.weight[:num_carriers] = 0
    block.conv0.weight[:num_carriers] = 0
    both = (1 + LRELU_SLOPE**2) * 2  # a pair's difference after two leaky ReLUs, each with the gain sqrt(2)
    # Of the residual branch: its gain sqrt(1/2) cancels the one of the leaky ReLU, which the old first layer has.
    listen = fromrgb.weight[:, :, 0, 0] * (fromrgb.weight_gain * math.sqrt(2) / both / block.conv1.weight_gain)
    for channel in range(num_carriers):
        colour, sign = channel // 2, 1 - 2 * (channel % 2)
        block.fromrgb.weight[channel, colour] = sign / block.fromrgb.weight_gain
        block.conv0.weight[channel, channel, 1, 1] = 1 / block.conv0.weight_gain
        block.conv1.weight[:, channel, 1, 1] = sign * listen[:, colour]
    block.conv1.bias.copy_(fromrgb.bias * math.sqrt(2))
