"""Projecting layer by layer is the paper's concatenation of upsampled maps, without ever building it."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from gseg_cli.fewshot.features import ProjectedFeatures, gather_hypercolumns, resize_map
from gseg_cli.gan.generator import FeatureStack
from tests.tiny import make_generator

SIZES = [4, 8, 16]  # of label maps: smaller than, among, and as large as the 4 to 16 px of the maps


@pytest.fixture(scope="module")
def stack():
    generator = make_generator()
    return generator.features(generator.mapping(torch.randn(3, 16)))[1]


def hypercolumns(stack, size):
    """[N, sum C, size, size], the plain way."""
    maps = []
    for x in stack.maps:
        if x.shape[-1] > size:
            maps.append(F.avg_pool2d(x, x.shape[-1] // size))
        else:
            maps.append(F.interpolate(x, size=(size, size), mode="bilinear", align_corners=False))
    return torch.cat(maps, dim=1)


def standardized_projection(stack, out_features=7):
    features = ProjectedFeatures(stack.channels, out_features)
    features.standardize(stack)
    return features


@pytest.mark.parametrize("size", [*SIZES, 32])
def test_projection_is_the_linear_layer_on_standardized_hypercolumns(stack, size):
    features = standardized_projection(stack)
    mean = torch.cat([x.mean(dim=[0, 2, 3]) for x in stack.maps])
    deviation = torch.cat([x.std(dim=[0, 2, 3]) for x in stack.maps])
    plain = (hypercolumns(stack, size) - mean[:, None, None]) / deviation[:, None, None]
    expected = features.linear(plain.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
    torch.testing.assert_close(features(stack, size), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [*SIZES, 12, 32])
def test_gathered_hypercolumns_are_the_resized_maps_at_those_pixels(stack, size):
    pixels = torch.ones(3, size, size).nonzero()  # every pixel, corners and edges too
    gathered = gather_hypercolumns(stack, size, *pixels.unbind(1))
    resized = torch.cat([resize_map(x, size) for x in stack.maps], dim=1)
    expected = resized.permute(0, 2, 3, 1).flatten(0, 2)
    torch.testing.assert_close(gathered, expected, rtol=0, atol=1e-5)


def test_training_on_pixels_and_predicting_maps_use_the_same_features(stack):
    features = standardized_projection(stack)
    image, row, column = torch.tensor([0, 2, 1]), torch.tensor([0, 9, 15]), torch.tensor([15, 3, 0])
    at_pixels = features.at_pixels(gather_hypercolumns(stack, 16, image, row, column))
    torch.testing.assert_close(at_pixels, features(stack, 16)[image, :, row, column], rtol=0, atol=1e-5)


def test_a_channel_that_never_changes_does_no_harm():
    stack = FeatureStack((torch.full((2, 3, 4, 4), 5.0), torch.randn(2, 4, 8, 8)))
    features = standardized_projection(stack)
    assert torch.isfinite(features(stack, 8)).all()
    image, row, column = torch.tensor([0]), torch.tensor([1]), torch.tensor([2])
    assert torch.isfinite(features.at_pixels(gather_hypercolumns(stack, 8, image, row, column))).all()
