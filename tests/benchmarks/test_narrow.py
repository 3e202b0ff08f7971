"""A GAN with fewer channels draws and judges nearly as it did, and where no channel is missing, exactly."""

import pytest
import torch

from benchmarks.narrow import narrowed
from gseg_cli.builtin import SMALL, Builtin
from gseg_cli.gan.load import load_gan
from gseg_cli.gan.networks.config import StyleGAN2Config
from gseg_cli.gan.networks.discriminator import Discriminator
from gseg_cli.gan.networks.stylegan2 import StyleGAN2


@pytest.fixture
def faces():
    G, D = load_gan(Builtin(SMALL).gan)
    return G.eval().requires_grad_(False), D.eval().requires_grad_(False)


def test_channels_that_nobody_listens_to_are_the_ones_that_go():
    torch.manual_seed(0)
    wide = StyleGAN2Config(img_resolution=16, channel_base=256, channel_max=32)
    G, D = StyleGAN2(wide).requires_grad_(False), Discriminator(wide).requires_grad_(False)
    for layer in (G.synthesis_network.b16.conv1, G.synthesis_network.b16.torgb):  # these read layers of 16 px
        layer.weight[:, ::2] = 0
    for layer in (D.b16.conv0, D.b16.conv1, D.b16.skip, D.b8.conv0, D.b8.conv1, D.b8.skip):
        layer.weight[:, ::2] = 0
    G.synthesis_network.b16.conv0.weight[:, ::2] = G.synthesis_network.b8.conv1.weight[:, ::2] = 0
    G.synthesis_network.b8.torgb.weight[:, ::2] = 0
    new_G, new_D = narrowed(G, D, 128)
    z, image = torch.randn(4, wide.z_dim), torch.randn(4, 3, 16, 16)
    assert new_G.feature_channels == (32, 16, 16, 8, 8) != G.feature_channels
    torch.testing.assert_close(new_G.synthesis(new_G.mapping(z)), G.synthesis(G.mapping(z)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(new_D(image), D(image), rtol=1e-4, atol=1e-4)


def test_half_of_the_toy_faces_channels_still_draw_them(faces):
    G, _ = faces
    new_G, _ = narrowed(*faces, 1024)
    ws = G.mapping(torch.randn(16, G.z_dim, generator=torch.Generator().manual_seed(0)), 0.7)
    there, other = G.synthesis(ws), G.synthesis(ws.roll(1, 0))
    drawn = new_G.synthesis(ws)
    assert (drawn - there).abs().mean() < (drawn - other).abs().mean()


def test_layers_of_four_pixels_stay_as_they_are(faces):
    with pytest.raises(ValueError, match="expected at least 512"):
        narrowed(*faces, 256)
